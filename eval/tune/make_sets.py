#!/usr/bin/env python3
"""Makes small BEIR folders out of labelled pairs, to choose defaults on.

    make_sets.py PAIRS_DIR OUT_DIR

PAIRS_DIR holds NAME.jsonl (`query`, `positive`, `title`, `group`) and NAME.passages.jsonl (`id`,
`text`, `group`). One set keeps a passage as a document; the others join the passages of a group
into one document, which is then several chunks long. Sampling is seeded: the same input gives the
same folders. Standard library only.
"""

import collections
import json
import pathlib
import random
import sys

SEED = 20
QUERIES = 200
# Most words of all documents of a set.
WORDS = 60_000
# name: whether a group is a document
SETS = {
    "scifact_train": False,
    "selqa": True,
    "conditionalqa": True,
    "covidqa": True,
}


def lines(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def squeezed(text):
    return " ".join(text.split())


def documents(pairs_dir, name, by_group, titles):
    """Documents by id, and the id of the document each passage is in."""
    texts = collections.OrderedDict()
    home = {}
    for passage in lines(pairs_dir / f"{name}.passages.jsonl"):
        key = passage["group"] if by_group else passage["id"]
        texts.setdefault(key, []).append(passage["text"])
        home.setdefault(squeezed(passage["text"]), key)
    joined = {
        key: {"_id": key, "title": titles.get(key, ""), "text": "\n\n".join(parts)}
        for key, parts in texts.items()
    }
    return joined, home


def relevant_documents(pairs, home):
    """For every query its documents, in the order of the pairs."""
    relevant = collections.OrderedDict()
    for pair in pairs:
        target = home.get(squeezed(pair["positive"]))
        if target is not None:
            relevant.setdefault(pair["query"], set()).add(target)
    return relevant


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(row + "\n" for row in rows)


def make(pairs_dir, out, name):
    by_group = SETS[name]
    pairs = list(lines(pairs_dir / f"{name}.jsonl"))
    titles = {p["group"]: p.get("title") or "" for p in pairs} if by_group else {}
    found, home = documents(pairs_dir, name, by_group, titles)
    order = list(found)
    chance = random.Random(f"{SEED}/{name}")
    chance.shuffle(order)
    relevant = relevant_documents(pairs, home)
    queries = list(relevant)
    chance.shuffle(queries)
    kept, words = {}, 0
    # Half of the words are documents that answer something, the rest are as many as possible that
    # do not: they make the search harder.
    answers = {target for targets in relevant.values() for target in targets}
    order.sort(key=lambda key: key not in answers)
    half = WORDS // 2
    for limit, keys in ((half, order), (WORDS, list(reversed(order)))):
        for key in keys:
            size = len(found[key]["text"].split())
            if key not in kept and words + size <= limit:
                kept[key] = found[key]
                words += size
    asked = [q for q in queries if relevant[q] & kept.keys()][:QUERIES]
    folder = out / name
    write(folder / "corpus.jsonl", (json.dumps(kept[key]) for key in sorted(kept)))
    named = [(f"q{number:04}", query) for number, query in enumerate(asked)]
    write(folder / "queries.jsonl", (json.dumps({"_id": i, "text": q}) for i, q in named))
    qrels = [f"{i}\t{target}\t1" for i, q in named for target in sorted(relevant[q] & kept.keys())]
    write(folder / "qrels" / "test.tsv", ["query-id\tcorpus-id\tscore", *qrels])
    print(f"{name}: {len(kept)} documents, {words} words, {len(asked)} queries")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for name in SETS:
        make(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), name)


if __name__ == "__main__":
    main()
