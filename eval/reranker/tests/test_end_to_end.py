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


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (see eval/reranker/requirements.txt)")
class EndToEnd(unittest.TestCase):
    def run_tool(self, path, *more):
        changes = [word for change in CHANGES for word in ("--set", change)]
        command = [sys.executable, TOOL / "run.py", "--data", path / "pairs", "--out", path / "out"]
        command += ["--braid", toy.braid(path), "--encoder", path / "encoder", "--threads", "1", "--bf16", "off"]
        outcome = subprocess.run([str(w) for w in (*command, *changes, *more)], capture_output=True, text=True)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        return outcome.stderr

    def test_both_heads_are_trained_exported_and_agree(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            toy.write(path / "pairs")
            write_encoder(path / "encoder")
            self.run_tool(path)
            self.check(path / "out", "run")
            again = self.run_tool(path)
            self.assertIn("going on at step 3", again, "a finished run is not trained again")
            teacher = path / "out/runs/run/checkpoint"
            more = ("--set", 'encoder.head="match"', "--set", "targets.cross=0.5", "--teacher", teacher)
            self.run_tool(path, "--run", "match", "--exact-cosine", *more)
            self.check(path / "out", "match")
            self.check_targets(path / "out/targets/toy.jsonl")
            results = toy.lines(path / "out/results.jsonl")
            self.assertEqual([line["run"] for line in results], ["run", "match"])
            self.assertIn("encoder.head", (path / "out/model/braid-rerank-mini-en/README.md").read_text())

    def check_targets(self, path):
        for row in toy.lines(path):
            self.assertEqual(set(row["cross"]), set(row["cosine"]))
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


if __name__ == "__main__":
    unittest.main()
