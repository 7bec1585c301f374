#!/usr/bin/env python3
"""Trains a re-ranker on your labels and writes a model folder that Braid loads.

    run.py --data DIR_OR_FILE ... --out OUT [--against BEIR_DIR ...] [--minutes N] [--set key=value ...]

Runs the steps one after another, from the checkout's root: data, overlap, mine, teacher, train,
blend, export. Each is a script of its own beside this one. A step whose result is there is not run
again, so an interrupted run is started again with the same command. `--steps data,overlap` runs some.
"""

import importlib
import pathlib
import shlex
import sys

import options
import recipe as recipes
from files import fail, say

STEPS = ("data", "overlap", "mine", "teacher", "train", "blend", "export")


def command_line():
    """The command, with folders by their names: the card speaks of no one's machine."""
    words = sys.argv[1:]
    shown = [pathlib.Path(word).name if pathlib.Path(word).is_absolute() else word for word in words]
    return shlex.join(["python3", "eval/reranker/run.py", *shown])


def main():
    arguments = options.parse(__doc__, data=True, against=True, braid=True, train=True, steps=STEPS)
    recipe = recipes.load(arguments.recipe, arguments.set)
    steps = arguments.steps.split(",")
    if unknown := set(steps) - set(STEPS):
        fail(f"unknown step {', '.join(sorted(unknown))}: use {', '.join(STEPS)}")
    for name in STEPS:
        if name in steps:
            say(f"step {name}")
            step = importlib.import_module(name)
            step.run(arguments, recipe, *([command_line()] if name == "export" else []))


if __name__ == "__main__":
    main()
