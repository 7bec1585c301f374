"""Late interaction: its score by hand, who reads whom, and the same in ONNX. Needs PyTorch and the other packages of
requirements.txt; says so and is skipped without them."""

import pathlib
import tempfile
import unittest

from tests.test_end_to_end import MISSING, write_encoder


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (see eval/reranker/requirements.txt)")
class LateInteraction(unittest.TestCase):
    """The score of a network that has not learned anything yet."""

    def make(self, folder):
        import network
        from pairs import Pairs

        write_encoder(pathlib.Path(folder))
        return network.load(folder, head="late").eval(), Pairs(pathlib.Path(folder) / "tokenizer.json", 64)

    def states(self, made, pairs, text):
        """Unit vectors of a text's words, encoded by itself."""
        import torch

        ids, types = pairs.alone(text, 64)
        with torch.inference_mode():
            states = made.encode(*(torch.from_numpy(part)[None] for part in (ids, ids * 0 + 1, types)))
        return torch.nn.functional.normalize(states[0, 1:-1], dim=1)

    def test_it_is_the_mean_over_the_words_of_the_query_of_the_best_cosine(self):
        import torch

        import late
        import scoring

        query, passages = "the age of the violin", ("the harbour", "the old violin of the town", "town the of violin old the")
        with tempfile.TemporaryDirectory() as folder:
            made, pairs = self.make(folder)
            asked = self.states(made, pairs, query)
            found = scoring.scorer(made, pairs)([(query, "", text) for text in passages])
            for text, score in zip(passages, found):
                told = self.told(made, pairs, query, text)
                best = (asked @ told.T).amax(1).mean()
                self.assertAlmostEqual(score, float((best - late.SHIFT) * late.SCALE), places=3)
        self.assertNotAlmostEqual(found[1], found[2], places=3, msg="the order of words counts")
        self.assertTrue(torch.isfinite(torch.tensor(found)).all())

    def told(self, made, pairs, query, text):
        import torch

        import scoring

        inputs = scoring.tensors(pairs.padded([pairs.pair(query, "", text)]), torch.device("cpu"))
        with torch.inference_mode():
            states = made.encode(**inputs)[0]
        return torch.nn.functional.normalize(states[inputs["token_type_ids"][0].bool()], dim=1)

    def test_the_query_does_not_read_the_passage_and_a_passage_reads_no_word_of_the_query(self):
        import torch

        import scoring

        with tempfile.TemporaryDirectory() as folder:
            made, pairs = self.make(folder)
            words = {}
            for text in ("the harbour", "the old violin of the town"):
                inputs = scoring.tensors(pairs.padded([pairs.pair("the age", "", text)]), torch.device("cpu"))
                roles = (inputs["attention_mask"], inputs["token_type_ids"])
                (places, _), (_, mask) = made.places(*roles), made.masks(*roles)
                # [CLS] the age [SEP], then the passage from place 1 on.
                self.assertEqual(places[0].tolist(), [0, 1, 2, 3, *range(1, places.shape[1] - 3)])
                self.assertTrue(mask[0, 0, 4:, 0].all() and not mask[0, 0, 4:, 1:4].any() and not mask[0, 0, :4, 4:].any())
                with torch.inference_mode():
                    words[text] = made.encode(**inputs)[0, :4]
        first, second = words.values()
        self.assertTrue(torch.allclose(first, second, atol=1e-5))

    def test_onnx_says_the_same_of_any_weights_and_of_empty_texts(self):
        import onnxruntime
        import torch

        import graph
        import network
        import scoring

        texts = [("the age", "", "the old violin of the town"), ("", "", "the harbour"), ("the age of the violin", "", ""), ("", "", "")]
        with tempfile.TemporaryDirectory() as folder:
            _, pairs = self.make(folder)
            for joint in (0, 1):
                made = network.load(folder, head="late", joint=joint).eval()
                with torch.no_grad():
                    for parameter in made.late.parameters():
                        parameter.normal_(0.0, 0.3)
                batch = pairs.padded([pairs.pair(*text) for text in texts])
                with torch.inference_mode():
                    expected = made(**scoring.tensors(batch, torch.device("cpu")))
                built = onnxruntime.InferenceSession(graph.build(made).SerializeToString())
                (found,) = built.run(["logits"], batch)
                for ours, theirs in zip(found[:, 0].tolist(), expected.tolist()):
                    self.assertAlmostEqual(ours, theirs, places=3, msg=f"joint {joint}")

    def test_the_score_is_in_full_precision_where_layers_are_not(self):
        import torch

        import scoring

        with tempfile.TemporaryDirectory() as folder:
            made, pairs = self.make(folder)
            batch = scoring.tensors(pairs.padded([pairs.pair("the age", "", "the old violin of the town")]), torch.device("cpu"))
            told = batch["attention_mask"], batch["token_type_ids"]
            with torch.inference_mode():
                with torch.autocast("cpu", torch.bfloat16):
                    levels, score = made.levels(**batch), made(**batch)
                self.assertEqual(score.dtype, torch.float32)
                self.assertTrue(torch.equal(score, made.late([states.float() for states in levels], *told)))

    def test_layers_that_read_both_together_add_to_the_score_and_one_layer_reads_apart(self):
        import torch

        import network
        import scoring

        with tempfile.TemporaryDirectory() as folder:
            apart, pairs = self.make(folder)
            made = network.load(folder, head="late", joint=1).eval()
            with self.assertRaisesRegex(SystemExit, "encoder.joint is 3: with 3 layers and the head late it is at most 2"):
                network.load(folder, head="late", joint=3)
            asked = [("the age of the violin", "", "the old violin of the town")]
            with self.assertRaisesRegex(SystemExit, "the head cls it is at most 0"):
                network.load(folder, head="cls", joint=1)
            both = scoring.scorer(made, pairs)(asked)[0]
            self.assertEqual(made.apart, 2)
            with torch.no_grad():
                made.head.weight.zero_()
                made.head.bias.zero_()
            alone = scoring.scorer(made, pairs)(asked)[0]
            self.assertNotAlmostEqual(both, alone, places=4)
            # What is left is the late interaction of the first two layers.
            two = network.load(folder, layers=[0, 1], head="late").eval()
            self.assertAlmostEqual(alone, scoring.scorer(two, pairs)(asked)[0], places=4)
