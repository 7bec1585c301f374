"""Candidate lists, metrics, blends, schedules and what a step shows. Standard library only."""

import argparse
import math
import pathlib
import random
import tempfile
import unittest

import blend
import candidates
import data
import lists
import metrics
import mine
import recipe as recipes
import schedule
from batches import Batches, Stream
from tests import toy


class Metrics(unittest.TestCase):
    def test_ndcg_by_hand(self):
        # One of two answers at rank 2: (1 / log2 3) / (1 + 1 / log2 3).
        expected = (1 / math.log2(3)) / (1 + 1 / math.log2(3))
        self.assertAlmostEqual(metrics.ndcg([0, 1, 0], [1, 1]), expected)
        self.assertAlmostEqual(expected, 0.38685, places=5)
        self.assertEqual(metrics.ndcg([1, 1, 0], [1, 1]), 1.0)
        self.assertEqual(metrics.ndcg([0] * 10 + [1], [1]), 0.0, "rank 11 does not count")
        self.assertEqual(metrics.ndcg([0, 0], []), 0.0)

    def test_correlation_and_interval(self):
        self.assertAlmostEqual(metrics.spearman([1, 2, 3, 4], [2, 4, 6, 9]), 1.0)
        self.assertAlmostEqual(metrics.spearman([1, 2, 3], [3, 2, 1]), -1.0)
        self.assertEqual(metrics.ranks([5, 5, 1]), [1.5, 1.5, 0.0])
        low, high = metrics.interval([0.1] * 20)
        self.assertAlmostEqual(low, 0.1)
        self.assertAlmostEqual(high, 0.1)


class Blend(unittest.TestCase):
    SETTINGS = {"held_out_weight": 3.0, "tolerance": 0.005}

    def test_the_blend_as_braid_does_it(self):
        # As in crates/braid-query/src/rerank.rs and blend.rs.
        entry = {"raw": [-2.0, -2.0, 2.0, 2.0], "fused": [2.0, 1.0, 1.0, 0.0], "lexical": [None] * 4, "dense": [None] * 4}
        self.assertEqual(blend.order(entry, 0.0), [0, 1, 2, 3], "equal scores keep the fused order")
        self.assertEqual(blend.order(entry, 1.0), [2, 3, 0, 1])
        # Deviations are 1.41, 0, 0 and -1.41 against -1, -1, 1 and 1.
        self.assertEqual(blend.order(entry, 0.4), [0, 2, 1, 3])
        self.assertEqual(blend.order(entry, 0.5), [2, 0, 3, 1])
        # As in crates/braid-query/src/by_scores.rs.
        legs = {"lexical": [30.0, 10.0, None, 10.0], "dense": [0.5, 0.9, 0.5, None]}
        entry = {"raw": [-2.0, -2.0, 2.0, 2.0], "fused": [0.04, 0.03, 0.02, 0.01], **legs}
        rounded = lambda values: [round(value, 2) for value in values]
        self.assertEqual(rounded(blend.of_legs(entry)), [0.58, 0.58, -0.58, -0.58])
        alone = {**entry, **legs, "lexical": [None] * 4}
        self.assertEqual(rounded(blend.of_legs(alone)), [-0.58, 1.73, -0.58, -0.58], "a leg that found nothing has no say")
        self.assertEqual(lists.of_legs([[0.1] * 3, [0.2] * 3]), [0.0] * 3, "no deviation but rounding")
        self.assertEqual(blend.order({"raw": [], "fused": [], "lexical": [], "dense": []}, 0.5), [])

    def entry(self, source, gains, raw, held_out=False):
        fused = [1.0 - place / 10 for place in range(len(gains))]
        shown = {"source": source, "held_out": held_out, "fused": fused, "raw": raw, "gains": gains}
        return {**shown, "lexical": fused, "dense": fused, "all_gains": [g for g in gains if g]}

    def test_a_good_model_gets_weight_and_a_bad_one_none(self):
        good = [self.entry("a", [0, 1, 0], [0.0, 9.0, 1.0]) for _ in range(4)]
        bad = [self.entry("a", [1, 0, 0], [0.0, 9.0, 1.0]) for _ in range(4)]
        chosen = blend.choose(blend.measure(good, set(), self.SETTINGS), 0.005)
        self.assertEqual(chosen["ndcg"], 1.0)
        self.assertGreater(chosen["weight"], 0.2)
        chosen = blend.choose(blend.measure(bad, set(), self.SETTINGS), 0.005)
        self.assertEqual((chosen["weight"], chosen["ndcg"]), (0.0, 1.0))

    def test_the_loss_falls_with_the_model_and_ignores_lists_without_an_answer(self):
        good, bad = self.entry("a", [0, 1], [0.0, 9.0]), self.entry("a", [0, 1], [9.0, 0.0])
        nothing = self.entry("a", [0, 0], [1.0, 2.0])
        self.assertLess(blend.loss([good]), blend.loss([bad]))
        self.assertAlmostEqual(blend.loss([good, nothing]), blend.loss([good]))
        # Deviations of 1 and -1 a leg, 2 logits each: 4 logits apart before the model speaks.
        self.assertAlmostEqual(blend.loss_at([self.entry("a", [0, 1], [0.0, 4.0])], 1.0), math.log(2))
        mixed = [good, self.entry("a", [1, 0], [2.0, 6.0])]
        louder = [{**entry, "raw": [2 * value for value in entry["raw"]]} for entry in mixed]
        self.assertAlmostEqual(blend.loss(mixed), blend.loss(louder), msg="the model's scale is free")

    def test_no_source_may_be_hurt(self):
        helped = [self.entry(name, [0, 1, 0], [0.0, 9.0, 1.0]) for name in "ac"]
        hurt = [self.entry("b", [1, 0, 0], [0.0, 9.0, 1.0])]
        chosen = blend.choose(blend.measure(helped + hurt, set(), self.SETTINGS), 0.005)
        self.assertGreaterEqual(chosen["worst"], -0.005)
        free = blend.choose(blend.measure(helped + hurt, set(), self.SETTINGS), 1.0)
        self.assertLess(free["worst"], -0.005)

    def test_the_legs_keep_their_say_where_the_evidence_is_thin(self):
        neutral = [self.entry("a", [1, 0, 0], [9.0, 1.0, 0.0]) for _ in range(9)]
        helped = self.entry("a", [0, 1, 0], [0.0, 9.0, 1.0])
        one = blend.choose(blend.measure([*neutral, helped], set(), self.SETTINGS), 0.005)
        self.assertEqual(one["weight"], 0.0, "a single query is one standard error")
        two = blend.choose(blend.measure([*neutral, helped, helped], set(), self.SETTINGS), 0.005)
        self.assertGreater(two["weight"], 0.2)
        self.assertEqual(two["ndcg"], 1.0)

    def test_the_error_of_a_difference_by_hand(self):
        one, other = {"scores": {"a": [1.0, 0.0], "b": [0.5]}}, {"scores": {"a": [0.0, 0.0], "b": [0.25]}}
        # Differences 1 and 0: variance 1/2, of the mean 1/4, and a counts for half.
        self.assertAlmostEqual(blend.error(one, other), 0.25)
        self.assertAlmostEqual(blend.error(one, other, {"a": 1.0, "b": 3.0}), 0.125)

    def test_a_held_out_source_counts_more(self):
        self.assertAlmostEqual(blend.macro({"a": 0.4, "b": 0.8}, {"b"}, 3.0), (0.4 + 3 * 0.8) / 4)

    def test_the_report_is_paired_by_source(self):
        entries = [self.entry("a", [0, 1, 0], [0.0, 9.0, 1.0]) for _ in range(4)]
        entries.append(self.entry("b", [1, 0], [3.0, 1.0], held_out=True))
        found = blend.report(entries, {"b"}, self.SETTINGS)
        self.assertGreater(found["sources"]["a"]["interval"][0], 0)
        self.assertEqual(found["sources"]["b"]["gain"], 0.0)
        self.assertEqual(set(found["forms"]), set(blend.FORMS))


def corpus_of(count, group=lambda n: f"g{n % 3}"):
    text = lambda n: " ".join(f"word{n}x{i}" for i in range(20))
    made = {f"p{n}": {"id": f"p{n}", "text": text(n), "title": "", "group": group(n)} for n in range(count)}
    return lists.Corpus(made)


SETTINGS = {**recipes.load()["mine"], "within_group": False}
ITEM = {"id": "q", "text": "asked", "group": "g0", "split": "train", "given": [], "positives": ["p0"], "forbidden": ["p0", "p1"]}


def legs(keys, dense=None):
    falling = [(key, 1.0 - place / 100) for place, key in enumerate(keys)]
    return {"lexical": falling, "dense": dense or falling, "hybrid": falling}


class Lists(unittest.TestCase):
    def build(self, item=ITEM, corpus=None, runs=None, **settings):
        corpus = corpus or corpus_of(30)
        runs = runs or legs([f"p{n}" for n in range(12)], [(f"p{n}", 0.5 - n / 50) for n in range(12)])
        return lists.build_row(item, corpus, runs, {**SETTINGS, **settings}, random.Random(1))

    def test_known_answers_are_never_negatives(self):
        row = self.build()
        for seed in range(30):
            chosen = lists.draw_negatives(row, {"fused": 4, "random": 2, "group": 2}, random.Random(seed))
            self.assertEqual(len(chosen), 8)
            self.assertEqual(len(set(chosen)), 8)
            self.assertFalse({"p0", "p1"} & set(chosen))

    def test_a_short_origin_is_made_up_by_others(self):
        row = self.build()
        row["group"] = []
        self.assertEqual(len(lists.draw_negatives(row, {"group": 6}, random.Random(0))), 6)

    def test_within_a_group_negatives_are_of_the_group(self):
        corpus = corpus_of(30)
        row = self.build(corpus=corpus, within_group=True)
        chosen = lists.draw_negatives(row, {"fused": 4, "random": 4}, random.Random(0))
        self.assertTrue(chosen)
        self.assertEqual({corpus.passages[key]["group"] for key in chosen}, {"g0"})

    def test_likely_and_hidden_answers_are_no_negatives(self):
        corpus = corpus_of(30)
        corpus.passages["p5"]["text"] = corpus.passages["p0"]["text"] + " and a tail"
        dense = [("p2", 0.79), ("p0", 0.8), ("p3", 0.5), ("p5", 0.4)]
        runs = legs(["p0", "p2", "p3", "p5"], dense)
        usable = lambda row: [c[lists.PASSAGE] for c in row["candidates"] if c[lists.USABLE]]
        row = self.build(corpus=corpus, runs=runs)
        self.assertEqual(usable(row), ["p3"], "p2 is as close as the answer, p5 says the same")
        row = self.build(corpus=corpus, runs=runs, close=0.85)
        self.assertEqual(usable(row), ["p2", "p3"], "p2 is not close by itself")

    def test_the_window_is_the_fused_head_as_it_came(self):
        row = self.build(runs=legs(["p4", "p0", "p9"]))
        keys, fused, gains = lists.window(row, 2)
        self.assertEqual((keys, gains), (["p4", "p0"], [0.0, 1.0]))
        self.assertGreater(fused[0], fused[1])

    def test_targets_weigh_what_is_known(self):
        row = self.build(runs={"lexical": [("p2", 8.0), ("p0", 4.0)], "dense": [("p0", 0.7), ("p3", 0.3)], "hybrid": [("p0", 3), ("p2", 2), ("p3", 1)]})
        weights = {"cosine": 0.5, "bm25": 0.5, "sparse": 0.0, "dense": 0.0, "bge": 0.0, "cross": 0.0}
        found = lists.targets(row, ["p0", "p2", "p3", "p20"], weights)
        for value, expected in zip(found, (0.6, 0.625, 0.15, 0.125)):
            self.assertAlmostEqual(value, expected)
        weights = {"cosine": 0.5, "bm25": 0.0, "sparse": 1.0, "dense": 0.0, "bge": 0.0, "cross": 0.5}
        given = {"cosine": {"p20": 0.2}, "cross": {"p20": 0.4}}
        self.assertAlmostEqual(lists.targets(row, ["p20"], weights, given)[0], 0.3, msg="no sparse score is known")
        given["sparse"] = {"p20": lists.HIGH_SPARSE / 2}
        self.assertAlmostEqual(lists.targets(row, ["p20"], weights, given)[0], 0.4)
        given["dense"] = {"p20": 0.9}
        weights["dense"] = 2.0
        self.assertAlmostEqual(lists.targets(row, ["p20"], weights, given)[0], 0.65)
        # Halfway between its low cosines and its high ones.
        given["bge"] = {"p20": sum(lists.BGE_COSINES) / 2}
        weights["bge"] = 4.0
        self.assertAlmostEqual(lists.targets(row, ["p20"], weights, given)[0], 4.6 / 8)

    def test_a_run_file_is_read_in_order(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "run"
            path.write_text("q Q0 b 2 0.5 t\nq Q0 a name 1 0.9 t\n")
            self.assertEqual(lists.read_run(path)["q"], [("a name", 0.9), ("b", 0.5)])


class Steps(unittest.TestCase):
    def test_weights_say_how_often_a_query_is_drawn(self):
        order = lists.epoch({"a": 100, "b": 100}, {"a": 2.0, "b": 0.5}, 1, 0)
        count = lambda name: sum(entry[0] == name for entry in order)
        self.assertEqual(count("a"), 200)
        self.assertTrue(30 < count("b") < 70)

    def test_a_walk_can_be_taken_up_anywhere(self):
        whole = Stream({"a": 7, "b": 5}, {"a": 1.0, "b": 1.5}, 3).slice(0, 60)
        self.assertEqual(Stream({"a": 7, "b": 5}, {"a": 1.0, "b": 1.5}, 3).slice(40, 20), whole[40:])

    def test_the_learning_rate_ends_in_time(self):
        settings = {"lr": 1.0, "rise": 0.1, "decay": "linear", "floor": 0.0}
        rates = [schedule.learning_rate(settings, done) for done in (0.0, 0.05, 0.1, 0.55, 1.0)]
        for rate, expected in zip(rates, (0.01, 0.5, 1.0, 0.5, 0.0)):
            self.assertAlmostEqual(rate, expected)
        train = {"minutes": 2.0, "steps": 0, "warmup_share": 0.25}
        self.assertEqual(schedule.progress(train, 1, 60.0), 0.5)
        self.assertEqual(schedule.phase_of(train, 0.125), ("warmup", 0.5))
        self.assertEqual(schedule.phase_of(train, 0.625), ("finetune", 0.5))
        self.assertEqual(schedule.progress({"minutes": 0, "steps": 4}, 3, 1e9), 0.75)

    def test_a_recipe_is_changed_and_mistakes_are_named(self):
        recipe = recipes.load(changes=["encoder.layers=[0,5]"])
        self.assertEqual(recipe["encoder"]["layers"], [0, 5])
        with self.assertRaises(SystemExit) as failure:
            recipes.load(changes=["encoder.layer=3"])
        self.assertIn("encoder.layer", str(failure.exception))


class Mining(unittest.TestCase):
    def test_a_recipe_of_yours_may_leave_out_keys_and_keeps_what_it_says(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "recipe.toml"
            path.write_text("[targets]\nsparse = 0.5\n[finetune]\nlosses = { kl = 1.0 }\n[sources.mine]\ncap = 7\n")
            found = recipes.load(path)
        self.assertEqual((found["targets"]["sparse"], found["targets"]["bge"]), (0.5, 0.0))
        self.assertEqual((found["finetune"]["losses"], found["sources"]), ({"kl": 1.0}, {"mine": {"cap": 7}}))

    def test_lists_come_from_the_run_files_and_steps_show_their_texts(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            toy.write(path / "pairs")
            recipe = recipes.load()
            recipe["data"] |= {"valid_queries": 6, "pseudo_queries": 4}
            recipe["sources"]["toy"] = {"titles": True}
            options = argparse.Namespace(data=[path / "pairs"], out=path / "out", split="train", braid=toy.braid(path))
            data.run(options, recipe)
            mine.run(options, recipe)
            written = path / "out/lists/toy.jsonl"
            stamp = written.stat().st_mtime_ns
            mine.run(options, recipe)
            self.assertEqual(written.stat().st_mtime_ns, stamp, "nothing is ranked twice")
            mined = candidates.read(path / "out", recipe)
            self.check(mined, recipe)

    def check(self, mined, recipe):
        source = mined["toy"]
        self.assertEqual({s: len(r) for s, r in source.splits.items()}, {"train": 34, "valid": 6, "pseudo": 4})
        entries = candidates.valid_entries(mined, recipe, quick=False)
        self.assertEqual({len(entry["pairs"]) for entry in entries}, {30})
        perfect = lambda triples: [float(q.split()[3] in text and q.split()[-1] in text) for q, _, text in triples]
        found = blend.brief(candidates.scored(entries, perfect), set(), recipe["validate"])
        self.assertEqual(found["alone"], 1.0)
        make = lambda: Batches(mined, recipe, "finetune", lambda triple: len(triple[2]))
        steps, resumed = make(), make()
        shown = [steps.step(number) for number in range(20)][-1]
        self.assertEqual(shown, resumed.step(19), "a step depends on its number alone")
        for triples, goals, bases in shown:
            self.assertEqual(len(triples), 1 + sum(recipe["negatives"].values()))
            self.assertEqual((len(goals), len(bases)), (len(triples), len(triples)))
            self.assertTrue(all(math.isfinite(base) for base in bases))
            self.assertEqual(len({bool(title) for _, title, _ in triples}), 1, "all titled or none")
            (query, _, text), others = triples[0], triples[1:]
            self.assertIn(query.split()[-1], text)
            self.assertNotIn(text, [other for _, _, other in others])


if __name__ == "__main__":
    unittest.main()
