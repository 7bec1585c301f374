#!/usr/bin/env python3
"""Measures chunk sizes and overlaps on the folders of make_sets.py and prints a table.

    chunking.py BRAID SETS_DIR WORK_DIR

BRAID is the binary. One `braid eval run` for each folder and setting; a report that WORK_DIR
already has is not measured again. Standard library only.
"""

import json
import pathlib
import shutil
import subprocess
import sys

# Strategy, target tokens, overlap tokens.
SETTINGS = [
    ("whole", 0, 0),
    ("structure", 220, 0),
    ("structure", 128, 0),
    ("structure", 180, 0),
    ("structure", 254, 0),
    ("structure", 220, 32),
    ("structure", 128, 32),
]
STAGES = ("lexical", "dense", "hybrid")


def measure(braid, folder, setting, work):
    strategy, target, overlap = setting
    out = work / f"{strategy}-{target}-{overlap}" / folder.name
    report = out / "report.json"
    if not report.is_file():
        data = work / "data"
        shutil.rmtree(data, ignore_errors=True)
        command = [braid, "eval", "run", "--dataset", folder, "--data-dir", data, "--out", out]
        command += ["--stages", ",".join(STAGES), "--log-level", "error"]
        command += ["--set", f"chunking.strategy={strategy}"]
        if strategy == "structure":
            command += ["--set", f"chunking.target_tokens={target}"]
            command += ["--set", f"chunking.overlap_tokens={overlap}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(data)
    return json.loads(report.read_text())


def ndcg(report, stage):
    found = next(s for s in report["stages"] if s["stage"] == stage)
    return next(m["mean"] for m in found["metrics"] if m["metric"] == "nDCG@10")


def row(braid, folders, setting, work):
    reports = [measure(braid, folder, setting, work) for folder in folders]
    hybrid = [ndcg(report, "hybrid") for report in reports]
    means = [sum(ndcg(r, stage) for r in reports) / len(reports) for stage in STAGES]
    strategy, target, overlap = setting
    label = strategy if strategy == "whole" else f"{target} / {overlap}"
    cells = [label, *(f"{value:.3f}" for value in hybrid + means)]
    return "| " + " | ".join(cells) + f" | {sum(r['settings']['chunks'] for r in reports)} |"


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    braid, sets, work = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    folders = sorted(path for path in sets.iterdir() if path.is_dir())
    names = [folder.name for folder in folders]
    head = ["target / overlap", *names, "mean lexical", "mean dense", "mean hybrid", "chunks"]
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for setting in SETTINGS:
        print(row(braid, folders, setting, work), flush=True)


if __name__ == "__main__":
    main()
