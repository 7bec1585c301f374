"""The whole tool on a toy: three steps of training, export, agreement. Needs PyTorch and the other
packages of requirements.txt; says so and is skipped without them."""

import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from tests import toy

TOOL = pathlib.Path(__file__).resolve().parents[1]
NEEDED = ("torch", "safetensors", "tokenizers", "onnx", "onnxruntime", "numpy")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
CONFIG = {
    "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 3,
    "max_position_embeddings": 128, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0,
}
# The toy model is random: its int8 copy is near it, but its order of near-equal scores is not.
CHANGES = (
    "train.minutes=0", "train.steps=3", "train.queries_per_step=4", "train.validate_minutes=60", "train.warmup_share=0.34",
    "train.max_tokens=64", "encoder.layers=[0,2]", "data.valid_queries=6", "data.pseudo_queries=4",
    "targets.sparse=0.0", "targets.cosine=0.6", "targets.bm25=0.4",
    "export.max_tokens=64", "export.min_correlation=0.0", "export.max_loss=1.0", "train.bucket_steps=2",
)


def write_encoder(folder):
    """A random BERT of three thin layers over the words of the toy."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    import network

    text = " ".join(f"{row['query']} {row['positive']} {row['title']}" for row in toy.pairs())
    words = sorted(set(text.lower().replace(".", " . ").split()))
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    torch.manual_seed(5)
    made = network.CrossEncoder({**CONFIG, "vocab_size": len(vocabulary), "head": "cls", "dropout": 0.0})
    network.save(made, folder)
    tokenizer.save(str(folder / "tokenizer.json"))


def add_word_head(folder):
    """Makes the encoder in `folder` one that predicts words, under the names of older files."""
    import torch
    from safetensors.torch import load_file, save_file

    path = str(folder / "model.safetensors")
    weights = {f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma"): value for name, value in load_file(path).items()}
    hidden, words = CONFIG["hidden_size"], len(weights["bert.embeddings.word_embeddings.weight"])
    shapes = {"bias": (words,), "transform.dense.weight": (hidden, hidden), "transform.dense.bias": (hidden,)}
    shapes |= {"transform.LayerNorm.gamma": (hidden,), "transform.LayerNorm.beta": (hidden,)}
    save_file(weights | {f"cls.predictions.{name}": torch.randn(shape) for name, shape in shapes.items()}, path)


def write_bge(folder):
    """A model of which every state is its token's vector and the mean of all of them."""
    import numpy
    import onnx
    from onnx import TensorProto, helper

    import graph
    import packages

    write_encoder(folder)
    words = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])
    made = graph.Graph()
    table = made.constant("words", numpy.random.default_rng(3).normal(size=(words, 8)).astype(numpy.float32))
    rows = made.node("Gather", [table, "input_ids"], "rows", axis=0)
    made.node("Add", [rows, made.node("ReduceMean", [rows], "mean", axes=[1], keepdims=1)], "states")
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "tokens"]) for n in ("input_ids", "attention_mask")]
    outputs = [helper.make_tensor_value_info("states", TensorProto.FLOAT, ["batch", "tokens", 8])]
    built = helper.make_graph(made.nodes, "toy", inputs, outputs, made.weights)
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", graph.OPSET)])
    model.ir_version = 8
    onnx.save(model, str(folder / packages.BGE.weights))


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (see eval/reranker/requirements.txt)")
class EndToEnd(unittest.TestCase):
    def run_tool(self, path, *more):
        changes = [word for change in CHANGES for word in ("--set", change)]
        command = [sys.executable, TOOL / "run.py", "--data", path / "pairs", "--out", path / "out"]
        command += ["--braid", toy.braid(path), "--encoder", path / "encoder", "--threads", "1", "--bf16", "off"]
        outcome = subprocess.run([str(w) for w in (*command, *changes, *more)], capture_output=True, text=True)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        return outcome.stderr

    def test_all_heads_are_trained_exported_and_agree(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            toy.write(path / "pairs")
            write_encoder(path / "encoder")
            write_encoder(path / "sparse")
            add_word_head(path / "sparse")
            self.run_tool(path)
            self.check(path / "out", "run")
            again = self.run_tool(path)
            self.assertIn("going on at step 3", again, "a finished run is not trained again")
            teacher = path / "out/runs/run/checkpoint"
            more = ("--set", 'encoder.head="match"', "--set", "targets.cross=0.5", "--teacher", teacher)
            more += ("--set", "targets.sparse=0.5", "--sparse", path / "sparse")
            self.run_tool(path, "--run", "match", "--exact-cosine", *more)
            self.check(path / "out", "match")
            self.check_targets(path / "out/targets/toy.jsonl")
            self.run_tool(path, "--run", "late", "--set", 'encoder.head="late"')
            self.check(path / "out", "late")
            write_bge(path / "bge")
            taught = ("--set", "targets.bge=0.5", "--bge", path / "bge")
            self.run_tool(path, "--run", "joint", "--set", "encoder.head=late", "--set", "encoder.joint=1", *taught)
            self.check(path / "out", "joint")
            self.assertEqual({tuple(row) for row in toy.lines(path / "out/targets/toy.jsonl")}, {("id", "bge")})
            results = toy.lines(path / "out/results.jsonl")
            self.assertEqual([line["run"] for line in results], ["run", "match", "late", "joint"])
            self.assertIn("encoder.head", (path / "out/model/braid-rerank-mini-en/README.md").read_text())

    def test_depths_are_timed(self):
        with tempfile.TemporaryDirectory() as folder:
            write_encoder(pathlib.Path(folder) / "encoder")
            command = [sys.executable, TOOL / "speed.py", "--layers", "0", "--layers", "0,2", "--encoder", f"{folder}/encoder"]
            command += ["--out", folder, "--pairs", "3", "--tokens", "32", "--repeats", "2"]
            outcome = subprocess.run([str(word) for word in command], capture_output=True, text=True)
            self.assertEqual(outcome.returncode, 0, outcome.stderr)
            rows = [line.split("|") for line in outcome.stdout.splitlines() if line.startswith("| 0")]
            self.assertEqual([row[1].strip() for row in rows], ["0", "0,2"])
            self.assertTrue(all(0 <= float(row[3]) <= float(row[4]) for row in rows), outcome.stdout)

    def check_targets(self, path):
        for row in toy.lines(path):
            self.assertEqual(set(row["cross"]), set(row["cosine"]))
            self.assertEqual(set(row["cross"]), set(row["sparse"]))
            self.assertTrue(all(value >= 0.0 for value in row["sparse"].values()))
            self.assertTrue(all(-1.0001 <= value <= 1.0001 for value in row["cosine"].values()))

    def check(self, out, run):
        agreement = json.loads((out / "runs" / run / "agreement.json").read_text())
        self.assertLess(agreement["onnx_difference"], 1e-4)
        model = out / "model/braid-rerank-mini-en"
        manifest = json.loads((model / "manifest.json").read_text())
        self.assertEqual((manifest["schema"], manifest["kind"], manifest["max_tokens"]), (1, "reranker", 64))
        self.assertLessEqual({"model.onnx", "tokenizer.json"}, set(manifest["files"]))
        blend = json.loads((out / "runs" / run / "blend.json").read_text())
        self.assertEqual(manifest["reranker"]["recommended_blend"], blend["weight"])
        steps = [line for line in toy.lines(out / "runs" / run / "log.jsonl") if "validation" in line]
        self.assertEqual(steps[-1]["step"], 3)
        in_full = json.loads((out / "runs" / run / "braid-rerank-mini-en-fp32/manifest.json").read_text())
        self.assertEqual((in_full["reranker"]["recommended_blend"], in_full["reranker"]["probes"]), (blend["weight"], []))
        self.check_onnx(model, manifest)

    def check_onnx(self, model, manifest):
        """The shipped file alone, as Braid will run it, gives the probes that the manifest states."""
        import numpy
        import onnxruntime

        from pairs import Pairs

        session = onnxruntime.InferenceSession(str(model / "model.onnx"), providers=["CPUExecutionProvider"])
        self.assertEqual({i.name for i in session.get_inputs()}, {"input_ids", "attention_mask", "token_type_ids"})
        pairs = Pairs(model / "tokenizer.json", manifest["max_tokens"])
        for probe in manifest["reranker"]["probes"]:
            batch = pairs.padded([pairs.pair(probe["query"], "", probe["passage"])])
            (logits,) = session.run(["logits"], batch)
            self.assertEqual(logits.shape, (1, 1))
            self.assertAlmostEqual(float(logits[0, 0]), probe["logit"], places=3)
        both = pairs.padded([pairs.pair("what is it", "", text) for text in ("the harbour", "the old violin of the town")])
        (logits,) = session.run(["logits"], both)
        self.assertEqual(logits.shape, (2, 1))
        self.assertTrue(numpy.isfinite(logits).all())


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (see eval/reranker/requirements.txt)")
class Losses(unittest.TestCase):
    def test_centred_differences_by_hand(self):
        import torch

        import losses

        scores, goals = torch.tensor([1.0, 3.0, 7.0, 7.5]), torch.tensor([5.0, 5.0, 0.0, 0.5])
        total, parts = losses.total({"centred_mse": 2.0}, scores, goals, goals * 0, [2, 2])
        # The first list is off by 1 either way, the second by nothing but its level.
        self.assertAlmostEqual(parts["centred_mse"], 0.5)
        self.assertAlmostEqual(total.item(), 1.0)
        total, _ = losses.total({"centred_mse": 1.0}, scores[:3], goals[:3], goals[:3] * 0, [2, 1])
        self.assertAlmostEqual(total.item(), 2 / 3, msg="a shorter list is padded, and its padding left out", places=6)


class Told:
    """A source of three passages."""

    passages = {"a": "the harbour", "b": "the old violin of the town", "c": ""}
    splits = {"train": ["the age of the violin"], "pseudo": []}

    def row(self, split, index):
        return {"query": self.splits[split][index]}

    def lines(self, keys):
        return [("Title\n" if key == "a" else "") + self.passages[key] for key in keys]


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (see eval/reranker/requirements.txt)")
class SparseScores(unittest.TestCase):
    def test_a_score_is_the_product_of_the_weights_of_all_words(self):
        import torch

        import sparse

        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            write_encoder(folder)
            add_word_head(folder)
            teacher = sparse.Sparse(folder, torch.device("cpu"), 16)
        with torch.inference_mode():
            whole = lambda text: teacher.activations(teacher.encode([text], 16)[0])
            asked = whole("the age of the violin")
            texts = ("Title\nthe harbour", "the old violin of the town", "")
            products = [float(whole(text) @ asked) for text in texts]
        found = teacher.of(Told(), {"query": "the age of the violin"}, ["a", "b", "c"])
        self.assertGreater(min(products), 0.0)
        for score, product in zip(found, products):
            self.assertAlmostEqual(score, product, delta=0.01 * product + 0.002)


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (see eval/reranker/requirements.txt)")
class DenseScores(unittest.TestCase):
    def write_mpnet(self, folder):
        """A random MPNet of three thin layers, under the names that its files have."""
        import torch
        from safetensors.torch import save_file

        import mpnet

        write_encoder(folder)
        words = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])
        config = {**CONFIG, "model_type": "mpnet", "vocab_size": words, "relative_attention_num_buckets": 32, "pad_token_id": 1}
        (folder / "config.json").write_text(json.dumps(config))
        torch.manual_seed(7)
        made = mpnet.Mpnet(config)
        torch.nn.init.normal_(made.distances.weight, std=3.0)
        layers = range(len(made.layers))
        named = {mpnet.file_name(name, layers): value.detach().contiguous() for name, value in made.named_parameters()}
        save_file(named, str(folder / "model.safetensors"))
        return made

    def test_near_distances_are_exact_and_far_ones_share_a_bucket(self):
        import torch

        import mpnet

        found = mpnet.buckets(torch.arange(200), 32)
        # T5's and MPNet's buckets: 0..15 for what is before, 16..31 for what is ahead.
        self.assertEqual(found[7, :8].tolist(), [7, 6, 5, 4, 3, 2, 1, 0])
        self.assertEqual(found[0, 1:9].tolist(), [17, 18, 19, 20, 21, 22, 23, 24])
        self.assertEqual(found[[16, 32, 64, 127, 128, 199], 0].tolist(), [10, 12, 14, 15, 15, 15])

    def test_a_text_is_embedded_alike_in_any_company_and_word_order_counts(self):
        import torch

        import teacher

        with tempfile.TemporaryDirectory() as name:
            self.write_mpnet(pathlib.Path(name))
            cosine = teacher.Cosine(pathlib.Path(name), torch.device("cpu"), 16, bf16=False)
        texts = ["the harbour", "the old violin of the town", "town the of violin old the"]
        together = cosine.embed(texts)
        for text, vector in zip(texts, together):
            self.assertAlmostEqual(float(cosine.embed([text])[0] @ vector), 1.0, places=5)
        self.assertLess(float(together[1] @ together[2]), 0.9999)

    def test_weights_are_found_by_their_names_and_missing_ones_are_named(self):
        import torch
        from safetensors.torch import load_file, save_file

        import mpnet

        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            made = self.write_mpnet(folder)
            for name, value in mpnet.load(folder).named_parameters():
                self.assertTrue(torch.equal(value, made.get_parameter(name)), name)
            path = str(folder / "model.safetensors")
            weights = load_file(path)
            del weights["encoder.layer.1.attention.attn.q.weight"]
            save_file(weights, path)
            with self.assertRaisesRegex(SystemExit, "encoder.layer.1.attention.attn.q.weight"):
                mpnet.load(folder)

    def test_a_score_is_the_cosine_of_query_and_passage(self):
        import torch

        import teacher

        with tempfile.TemporaryDirectory() as name:
            self.write_mpnet(pathlib.Path(name))
            cosine = teacher.Cosine(pathlib.Path(name), torch.device("cpu"), 16, bf16=False)
        source = Told()
        found = cosine.of(source, {"query": "the age of the violin"}, ["c", "a"])
        asked = cosine.embed(["the age of the violin"])[0]
        for score, text in zip(found, ("", "Title\nthe harbour")):
            self.assertAlmostEqual(score, float(cosine.embed([text])[0] @ asked), places=4)


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (see eval/reranker/requirements.txt)")
class BgeScores(unittest.TestCase):
    def first(self, teacher, text):
        """The first token's state, as a unit vector."""
        import numpy

        ids, _ = teacher.pairs.alone(text, 64)
        (states,) = teacher.session.run(None, {"input_ids": ids[None], "attention_mask": ids[None] * 0 + 1})
        return states[0, 0] / numpy.linalg.norm(states[0, 0])

    def test_a_score_is_the_cosine_of_the_passage_and_the_query_with_its_instruction(self):
        import bge

        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            write_bge(folder)
            self.assertEqual(bge.find(name, folder), folder)
            teacher = bge.Bge(folder, 16, 1)
            (folder / "config.json").unlink()
            with self.assertRaisesRegex(SystemExit, "has no config.json"):
                bge.find(name, folder)
        found = teacher.of(Told(), {"query": "the age of the violin"}, ["c", "a"])
        asked = self.first(teacher, bge.INSTRUCTION + "the age of the violin")
        for score, text in zip(found, ("", "Title\nthe harbour")):
            self.assertAlmostEqual(score, float(self.first(teacher, text) @ asked), places=4)
        self.assertNotAlmostEqual(found[0], found[1], places=3)


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (see eval/reranker/requirements.txt)")
class Rates(unittest.TestCase):
    def test_words_learn_at_a_rate_of_their_own_and_do_not_decay(self):
        import network
        import train

        model = network.CrossEncoder({**CONFIG, "vocab_size": 40, "head": "match", "dropout": 0.0})
        groups = train.parameter_groups(model, {"words_lr": 0.2, "fresh_lr": 5.0, "weight_decay": 0.01})
        found = {id(p): (g["times"], g["weight_decay"]) for g in groups for p in g["params"]}
        self.assertEqual(found[id(model.words.weight)], (0.2, 0.0))
        self.assertEqual(found[id(model.layers[0].query.weight)], (1.0, 0.01))
        self.assertEqual(found[id(model.layers[0].query.bias)], (1.0, 0.0))
        self.assertEqual(found[id(model.head.weight)], (5.0, 0.01))
        self.assertEqual(len(found), sum(p.requires_grad for p in model.parameters()))


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (see eval/reranker/requirements.txt)")
class SoftMatches(unittest.TestCase):
    def test_a_word_of_the_passage_is_found_and_padding_is_not(self):
        import torch

        import match

        states = torch.eye(6)[None, [1, 2, 0, 2, 3, 4]]
        # [CLS] and one word, then [SEP]; the passage has that word, another, and what may be padding.
        types = torch.tensor([[0, 0, 0, 1, 1, 1]])
        mask = torch.ones(1, 6)
        asked, found = match.roles(mask, types)
        self.assertEqual(asked.tolist(), [[1, 1, 1, 0, 0, 0]])
        features = match.token_features(states, 3, found)
        self.assertEqual(tuple(features.shape), (1, 3, match.FEATURES))
        best = features[0, :, 0]
        self.assertAlmostEqual(best[1].item(), 1.0, places=3)
        self.assertAlmostEqual(best[0].item(), 0.0, places=3)
        mask[0, 3] = 0
        _, found = match.roles(mask, types)
        self.assertAlmostEqual(match.token_features(states, 3, found)[0, 1, 0].item(), 0.0, places=3)
        nothing = match.token_features(states, 3, found * 0)
        self.assertTrue(torch.isfinite(nothing).all())
        self.assertEqual(nothing[0, 1, 0].item(), match.NO_MATCH)

    def test_rare_pieces_weigh_more_and_special_ones_nothing(self):
        import match

        found = match.rarity({5: 90, 6: 1}, 100, 8, special=(0, 1)).tolist()
        self.assertEqual(found[:2], [0.0, 0.0])
        self.assertLess(found[5], found[6])
        self.assertLess(found[6], found[7])

    def test_a_query_is_scored_alike_in_any_company(self):
        """The number of query tokens that are looked at is that of the longest query of the batch."""
        import torch

        import network

        torch.manual_seed(3)
        config = {**CONFIG, "vocab_size": 40, "head": "match", "dropout": 0.0}
        model = network.CrossEncoder(config).eval()
        ids = torch.randint(4, 40, (2, 12))
        types, mask = torch.zeros(2, 12, dtype=torch.long), torch.ones(2, 12, dtype=torch.long)
        types[0, 4:], types[1, 8:] = 1, 1
        mask[0, 10:], types[0, 10:] = 0, 0
        with torch.no_grad():
            together = model(ids, mask, types)[0].item()
            alone = model(ids[:1, :10], mask[:1, :10], types[:1, :10])[0].item()
        self.assertAlmostEqual(together, alone, places=5)


if __name__ == "__main__":
    unittest.main()
