#!/usr/bin/env python3
"""Step 3: candidates from Braid's own lexical and dense legs and their fused list.

    mine.py --out OUT [--braid target/release/braid] [--recipe FILE] [--set key=value ...]

Runs `braid eval run` on each folder of OUT/sources from the checkout's root and writes
OUT/lists/NAME.jsonl: for every query the fused list as it really came with the score of each leg,
and random and same-group passages. A source with an up-to-date list is not ranked again. Standard
library only.
"""

import pathlib
import shutil
import subprocess

import data
import lists
import options
import recipe as recipes
from files import chance, fail, read_json, read_lines, say, source_dirs, write_json, write_lines

STAGES = ("lexical", "dense", "hybrid")


def rank(braid, folder, work, depth):
    """The run files of one source, out of a throw-away index."""
    runs = work / "runs" / folder.name
    index = work / "index" / folder.name
    if not (runs / "report.json").is_file():
        command = [braid, "eval", "run", "--dataset", folder, "--split", "train"]
        command += ["--stages", ",".join(STAGES), "--depth", str(depth), "--out", runs]
        command += ["--data-dir", index, "--log-level", "error"]
        outcome = subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL)
        if outcome.returncode != 0:
            fail(f"`{' '.join(map(str, command))}` failed; run it from the checkout's root")
    shutil.rmtree(index, ignore_errors=True)
    return {stage: lists.read_run(runs / f"run.{stage}.trec") for stage in STAGES}


def rows(folder, runs, settings, seed):
    passages, items = data.read_source(folder)
    corpus = lists.Corpus(passages)
    for item in items:
        legs = {stage: runs[stage].get(item["id"], []) for stage in STAGES}
        yield lists.build_row(item, corpus, legs, settings, chance(seed, item["id"], "others"))


def summary(path):
    """How often an answer is in the fused list's head, which bounds what re-ranking can gain."""
    counts = {"rows": 0, "judged": 0, "found_10": 0, "found_30": 0, "without_negatives": 0}
    for row in read_lines(path):
        counts["rows"] += 1
        if row["split"] == "pseudo":
            continue
        counts["judged"] += 1
        for size in (10, 30):
            counts[f"found_{size}"] += any(lists.window(row, size)[2])
        pools = lists.negative_pools(row)
        counts["without_negatives"] += not any(pools.values())
    return counts


def mine_source(folder, out, braid, recipe):
    settings = {**recipe["mine"], **recipes.source(recipe, folder.name)}
    written = out / "lists" / f"{folder.name}.jsonl"
    state = {"items": (folder / "items.jsonl").stat().st_mtime_ns, "mine": recipe["mine"], "seed": recipe["seed"]}
    marker = out / "mined" / f"{folder.name}.json"
    if written.is_file() and read_json(marker, {}).get("state") == state:
        return
    if read_json(marker, {}).get("state", {}).get("items") != state["items"]:
        shutil.rmtree(out / "mined" / "runs" / folder.name, ignore_errors=True)
        write_json(marker, {"state": {"items": state["items"]}})
    runs = rank(braid, folder, out / "mined", recipe["mine"]["depth"])
    write_lines(written, rows(folder, runs, settings, recipe["seed"]))
    counts = summary(written)
    write_json(marker, {"state": state, **counts})
    say(f"{folder.name}: {counts}")


def run(arguments, recipe):
    out = pathlib.Path(arguments.out)
    braid = pathlib.Path(arguments.braid).resolve()
    if not braid.is_file():
        fail(f"{arguments.braid} does not exist: build it with `make build` or name it with --braid")
    folders = source_dirs(out)
    (out / "lists").mkdir(exist_ok=True)
    for stray in set((out / "lists").glob("*.jsonl")) - {out / "lists" / f"{f.name}.jsonl" for f in folders}:
        stray.unlink()
    for folder in folders:
        mine_source(folder, out, braid, recipe)


def main():
    arguments = options.parse(__doc__, braid=True)
    run(arguments, recipes.load(arguments.recipe, arguments.set))


if __name__ == "__main__":
    main()
