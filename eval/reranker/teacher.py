#!/usr/bin/env python3
"""Step 4: targets that need no labels, beyond what the mined lists hold already.

    teacher.py --out OUT [--teacher RUN_DIR/checkpoint] [--exact-cosine] [--sparse DIR] [--dense DIR] [--bge DIR]
               [--threads N] [--bf16 auto|on|off] [--recipe FILE] [--set key=value ...]

The lists have BM25 and cosine scores of what the legs ranked, which is enough to train. This step
adds to OUT/targets/NAME.jsonl, for every candidate, the scores of a learned sparse retriever (where
`targets.sparse` is above 0; splade-tiny, or `--sparse`), cosines by a larger bi-encoder than the one
that Braid searches with (where `targets.dense` is above 0; all-mpnet-base-v2, or `--dense`), cosines
by bge-small-en-v1.5 (where `targets.bge` is above 0), scores of a larger model trained with this tool
(`--teacher`), and cosines by all-MiniLM-L6-v2 also for passages that the dense leg did not rank
(`--exact-cosine`). An interrupted run goes on after the last source that is whole. PyTorch.
"""

import math
import pathlib

import bge
import candidates
import encoder
import mpnet
import network as networks
import options
import packages
import recipe as recipes
import scoring
import sparse
from cosines import TAUGHT, Cosines
from files import fail, read_json, say, write_json, write_lines
from lists import PASSAGE, USABLE
from pairs import Pairs
from sparse import Sparse


def wanted(row):
    """Passages that training may show for a row."""
    usable = [c[PASSAGE] for c in row["candidates"] if c[USABLE]]
    return list(dict.fromkeys([*row["positives"], *row["given"], *usable, *row["group"], *row["random"]]))


class Cross:
    """A trained cross-encoder; its logits become probabilities."""

    def __init__(self, folder, device, recipe):
        model = networks.load(folder).to(device).eval()
        pairs = Pairs(pathlib.Path(folder) / "tokenizer.json", recipe["export"]["max_tokens"])
        self.score = scoring.scorer(model, pairs)

    def of(self, source, row, keys):
        logits = self.score(source.texts(row, keys))
        return [round(1 / (1 + math.exp(-max(-60.0, min(60.0, x)))), 5) for x in logits]


class Cosine(Cosines):
    """Those of a BERT or an MPNet that reads `tokens` of a text."""

    def __init__(self, folder, device, tokens, bf16):
        super().__init__()
        kind = mpnet if networks.read_config(folder).get("model_type") == "mpnet" else networks
        model, pairs = kind.load(folder).to(device).eval(), Pairs(pathlib.Path(folder) / "tokenizer.json", tokens)
        self.embed = lambda texts: scoring.embed(model, pairs, texts, tokens, bf16).numpy()


def target_rows(source, teachers):
    for split in TAUGHT:
        for index in range(len(source.splits[split])):
            row = source.row(split, index)
            keys = wanted(row)
            scores = {name: dict(zip(keys, teacher.of(source, row, keys))) for name, teacher in teachers.items()}
            yield {"id": row["id"], **scores}


def state_of(lists, folders, arguments, recipe):
    """What the targets of a source were made from."""
    made = {"lists": lists.stat().st_mtime_ns, "exact_cosine": arguments.exact_cosine}
    made["max_tokens"] = recipe["train"]["max_tokens"]
    return made | {name: packages.weights_in(folder).stat().st_mtime_ns for name, folder in folders.items()}


def find(arguments, recipe):
    """The folders of the teachers that are models, by name."""
    folders = {}
    if recipe["targets"]["sparse"] > 0:
        folders["sparse"] = sparse.find(arguments.out, arguments.sparse)
    if recipe["targets"]["dense"] > 0:
        folders["dense"] = mpnet.find(arguments.out, arguments.dense)
    if recipe["targets"]["bge"] > 0:
        folders["bge"] = bge.find(arguments.out, arguments.bge)
    if arguments.teacher:
        folders["cross"] = pathlib.Path(arguments.teacher)
        if not (folders["cross"] / "model.safetensors").is_file():
            fail(f"--teacher {arguments.teacher} has no model.safetensors: name a run's checkpoint folder")
    return folders


def run(arguments, recipe):
    out = pathlib.Path(arguments.out)
    folders = find(arguments, recipe)
    if not folders and not arguments.exact_cosine:
        say("targets: the scores of the mined lists")
        return
    device, teachers = scoring.pick_device(arguments.threads), {}
    bf16 = scoring.wants_bf16(arguments.bf16, device)
    # As much of a passage as the model that learns from it sees.
    tokens = recipe["train"]["max_tokens"]
    if "sparse" in folders:
        teachers["sparse"] = Sparse(folders["sparse"], device, tokens)
    if "dense" in folders:
        teachers["dense"] = Cosine(folders["dense"], device, tokens, bf16)
    if "bge" in folders:
        teachers["bge"] = bge.Bge(folders["bge"], tokens, arguments.threads)
    if "cross" in folders:
        teachers["cross"] = Cross(folders["cross"], device, recipe)
    if arguments.exact_cosine:
        teachers["cosine"] = Cosine(encoder.find(out, arguments.encoder), device, 256, bf16=False)
    for source in candidates.read(out, recipe).values():
        state = state_of(out / "lists" / f"{source.name}.jsonl", folders, arguments, recipe)
        marker = out / "targets" / f"{source.name}.json"
        if read_json(marker, {}) != state:
            write_lines(out / "targets" / f"{source.name}.jsonl", target_rows(source, teachers))
            write_json(marker, state)
            say(f"{source.name}: targets written")


def main():
    arguments = options.parse(__doc__, train=True)
    run(arguments, recipes.load(arguments.recipe, arguments.set))


if __name__ == "__main__":
    main()
