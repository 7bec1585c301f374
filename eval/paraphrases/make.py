"""Labelled pairs of questions for `braid eval cache`.

reversed: of items.tsv, written by hand. Each item has a question, the same in other words, and one that
looks like it and has another answer. It gives three pairs: question and paraphrase (same), question and
reversed question (different), paraphrase and reversed question (different). One half of the items is for
choosing a threshold, the other for reporting it: reversed.choose.tsv and reversed.report.tsv.

banking77, clinc: of public sets of questions to an assistant by what is asked for, which are not in this
repository: https://github.com/PolyAI-LDN/task-specific-datasets (banking_data/*.csv, CC BY 4.0) and
https://github.com/clinc/oos-eval (data/data_small.json, CC BY 3.0). Two questions for one thing have the
same answer, two for different things have not. Each question is paired with one of its own kind, drawn at
random, and with the question of another kind that shares most words with it, which is as near as a
mistake can come.

    python3 eval/paraphrases/make.py reversed
    python3 eval/paraphrases/make.py banking77 banking_data/train.csv banking77.choose.tsv
    python3 eval/paraphrases/make.py banking77 banking_data/test.csv banking77.report.tsv
    python3 eval/paraphrases/make.py clinc data_small.json clinc.report.tsv
"""

import csv
import json
import random
import re
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
# Questions taken of a public set: enough for intervals of a percent.
QUESTIONS = 1500
SEED = 1


def write(path, pairs):
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write("one\tother\tsame\tkind\n")
        for one, other, same, kind in pairs:
            out.write(f"{' '.join(one.split())}\t{' '.join(other.split())}\t{int(same)}\t{kind}\n")
    print(f"{path}: {len(pairs)} pairs")


def reversed_pairs():
    halves = defaultdict(list)
    with open(HERE / "items.tsv", encoding="utf-8") as items:
        for item in csv.DictReader(items, delimiter="\t", quoting=csv.QUOTE_NONE):
            one, same, other = item["question"], item["paraphrase"], item["reversed"]
            halves[item["half"]] += [
                (one, same, True, "paraphrase"),
                (one, other, False, item["kind"]),
                (same, other, False, item["kind"]),
            ]
    for half, pairs in halves.items():
        write(HERE / f"reversed.{half}.tsv", pairs)


def words(text):
    return frozenset(re.findall(r"\w+", text.lower()))


def nearest(question, kind, questions):
    """The question of another kind with the greatest share of words in common (Jaccard)."""
    own = words(question)

    def likeness(candidate):
        theirs = candidate[2]
        return len(own & theirs) / max(1, len(own | theirs))

    return max((c for c in questions if c[1] != kind), key=lambda c: (likeness(c), c[0]))


def pairs_of(labelled):
    """`labelled`: (question, kind)."""
    questions = [(text, kind, words(text)) for text, kind in dict.fromkeys(labelled)]
    kinds = defaultdict(list)
    for text, kind, _ in questions:
        kinds[kind].append(text)
    draw = random.Random(SEED)
    pairs = []
    for text, kind, _ in draw.sample(questions, min(QUESTIONS, len(questions))):
        others = [other for other in kinds[kind] if other != text]
        if others:
            pairs.append((text, draw.choice(others), True, "same"))
            pairs.append((text, nearest(text, kind, questions)[0], False, "nearest"))
    return pairs


def banking77(path):
    with open(path, encoding="utf-8", newline="") as rows:
        return [(row["text"], row["category"]) for row in csv.DictReader(rows)]


def clinc(path):
    with open(path, encoding="utf-8") as file:
        return [(text, kind) for text, kind in json.load(file)["test"]]


def main(arguments):
    match arguments:
        case ["reversed"]:
            reversed_pairs()
        case ["banking77", source, out]:
            write(out, pairs_of(banking77(source)))
        case ["clinc", source, out]:
            write(out, pairs_of(clinc(source)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
