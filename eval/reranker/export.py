#!/usr/bin/env python3
"""Step 7: writes the model folder that Braid loads, and checks that it does what was trained.

    export.py --out OUT [--run NAME] [--recipe FILE] [--set key=value ...]

Writes OUT/runs/NAME/agreement.json, OUT/model/MODEL/: `model.onnx` (dynamic int8, per channel, reduced
range), the tokenizer, `manifest.json`, licence, notice and a card made of measured values; and the same
model in fp32 as OUT/runs/NAME/MODEL-fp32/, to measure what int8 costs. Fails when PyTorch and ONNX
disagree, or int8 loses too much. PyTorch, onnx, onnxruntime.
"""

import pathlib
import shutil

import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

import blend
import candidates
import card
import graph
import lists
import metrics
import network as networks
import options
import recipe as recipes
import scoring
from files import fail, read_json, say, write_json
from pairs import Pairs

PROBES = [
    ("what is the capital of france", "Paris is the capital and most populous city of France."),
    ("what is the capital of france", "Glaucoma is treated with eye drops that lower the pressure in the eye."),
    ("how is glaucoma treated", "Glaucoma is treated with eye drops that lower the pressure in the eye."),
    ("how is glaucoma treated", "The annual report was delivered to the shareholders in March."),
]


class Session:
    """A model on ONNX Runtime."""

    def __init__(self, path, pairs, threads):
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        self.pairs = pairs

    def batch(self, encoded):
        return self.session.run(["logits"], self.pairs.padded(encoded))[0][:, 0]

    def score(self, triples):
        """One pair at a time, as Braid runs a dynamically quantized model."""
        return [float(self.batch([self.pairs.pair(*triple)])[0]) for triple in triples]


def write_models(network, in_full, target):
    """fp32 for comparison, and int8 to ship."""
    onnx.save(graph.build(network), in_full / "model.onnx")
    quantize(network, target / "model.onnx")


def quantize(network, path):
    partial = path.with_suffix(".partial")
    onnx.save(graph.build(network, quantized_words=True), partial)
    quantize_dynamic(
        str(partial),
        str(path),
        weight_type=QuantType.QInt8,
        per_channel=True,
        # Sums of u8 x s8 products saturate on CPUs without VNNI unless a bit is spared.
        reduce_range=True,
        op_types_to_quantize=["MatMul"],
        nodes_to_exclude=list(graph.IN_FULL),
    )
    partial.unlink()


def samples(mined, recipe):
    """Validation lists to compare on; training lists where none was set aside."""
    entries = candidates.valid_entries(mined, recipe, quick=True)
    if entries:
        return entries
    found = []
    for source in mined.values():
        for index in range(min(8, len(source.splits["train"]))):
            row = source.row("train", index)
            keys = [*row["positives"], *row["random"], *row["group"]][:8]
            gains = [1.0 if key in row["positives"] else 0.0 for key in keys]
            shown = {"id": row["id"], "source": source.name, "held_out": False, "fused": [0.0] * len(keys)}
            shown |= dict(zip(("lexical", "dense"), lists.legs(row, keys)))
            found.append({**shown, "gains": gains, "all_gains": gains, "pairs": source.texts(row, keys)})
    return found


def agree_fp32(network, session, entries, pairs, limit):
    """Largest difference of a logit, over padded batches of mixed lengths."""
    triples = [triple for entry in entries for triple in entry["pairs"]][:limit]
    ours = scoring.scorer(network, pairs)(triples)
    theirs = []
    for start in range(0, len(triples), 8):
        theirs += session.batch([pairs.pair(*t) for t in triples[start : start + 8]]).tolist()
    return max(abs(a - b) for a, b in zip(ours, theirs))


def agree_int8(network, session, entries, pairs, weight):
    """Mean rank correlation of int8 with fp32 over lists, and nDCG@10 of both, blended and alone."""
    full = candidates.scored(entries, scoring.scorer(network, pairs))
    small = candidates.scored(entries, session.score)
    found = {"lists": len(entries)}
    pairs_of = [(a["raw"], b["raw"]) for a, b in zip(full, small) if len(a["raw"]) > 2]
    correlations = [metrics.spearman(a, b) for a, b in pairs_of]
    differences = [abs(x - y) for a, b in pairs_of for x, y in zip(a, b)]
    found["correlation"] = metrics.mean(correlations) if correlations else 1.0
    found["largest_difference"] = max(differences, default=0.0)
    for name, share in (("blended", weight), ("alone", 1.0)):
        for kind, scored in (("fp32", full), ("int8", small)):
            means = [metrics.mean(values) for values in blend.by_source(scored, share).values()]
            found[f"{kind}_{name}"] = metrics.mean(means)
    return found


def check(found, settings):
    if found["onnx_difference"] > settings["max_difference"]:
        fail(f"ONNX and PyTorch differ by {found['onnx_difference']:.2e}, more than {settings['max_difference']:.0e}")
    if found["correlation"] < settings["min_correlation"]:
        fail(f"int8 orders lists unlike fp32: correlation {found['correlation']:.3f}, least {settings['min_correlation']}")
    loss = found["fp32_blended"] - found["int8_blended"]
    if loss > settings["max_loss"]:
        fail(f"int8 loses {loss:.4f} nDCG@10 against fp32, more than {settings['max_loss']}")


def run(arguments, recipe, command=""):
    out = pathlib.Path(arguments.out)
    folder, target = out / "runs" / arguments.run, out / "model" / recipe["name"]
    in_full = folder / f"{recipe['name']}-fp32"
    for made in (target, in_full):
        made.mkdir(parents=True, exist_ok=True)
    trained = read_json(folder / "settings.json", {}) or fail(f"{folder} holds no trained run")
    scoring.pick_device(arguments.threads)
    network = networks.load(folder / "checkpoint").eval()
    pairs = Pairs(folder / "checkpoint" / "tokenizer.json", recipe["export"]["max_tokens"])
    write_models(network, in_full, target)
    for name in card.FILES:
        if (folder / "checkpoint" / name).is_file():
            for made in (target, in_full):
                shutil.copyfile(folder / "checkpoint" / name, made / name)
    chosen = read_json(folder / "blend.json", {"weight": 0.0})
    entries = samples(candidates.read(out, recipe), recipe)
    session = Session(target / "model.onnx", pairs, arguments.threads)
    full = Session(in_full / "model.onnx", pairs, arguments.threads)
    limit = recipe["export"]["agree_pairs"]
    found = {"onnx_difference": agree_fp32(network, full, entries, pairs, limit)}
    found |= agree_int8(network, session, entries, pairs, chosen["weight"])
    found["bytes"] = (target / "model.onnx").stat().st_size
    write_json(folder / "agreement.json", found)
    check(found, recipe["export"])
    probes = [{"query": q, "passage": p, "logit": round(session.score([(q, "", p)])[0], 4)} for q, p in PROBES]
    card.manifest(in_full, folder, {**recipe, "name": in_full.name, "trained": trained}, [], "fp32")
    card.write(target, folder, {**recipe, "trained": trained}, probes, command)
    agrees = f"agrees to {found['onnx_difference']:.1e}, int8 correlation {found['correlation']:.3f}"
    say(f"{target}: {found['bytes'] / 1e6:.1f} MB, {agrees}")


def main():
    arguments = options.parse(__doc__, train=True)
    run(arguments, recipes.load(arguments.recipe, arguments.set))


if __name__ == "__main__":
    main()
