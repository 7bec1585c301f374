#!/usr/bin/env python3
"""Makes the BEIR folders that fusion and leg trust are chosen on, out of labelled pairs.

    sets.py PAIRS_DIR OUT_DIR

PAIRS_DIR holds NAME.jsonl (`query`, `positive`, `title`, `group`) and NAME.passages.jsonl (`id`,
`text`, `group`), also in its folder `weak`. Every source becomes OUT_DIR/NAME with two splits of
its queries, `qrels/fit.tsv` and `qrels/heldout.tsv`. Sampling is seeded: the same input gives the
same folders. Standard library only.
"""

import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from make_sets import documents, lines, relevant_documents, write  # noqa: E402

SEED = 5
# Queries of a set; half of them are held out.
QUERIES = 400
# Name in PAIRS_DIR: whether a group is one document, and most words of all documents.
SETS = {
    "weak/code_docstrings": (False, 150_000),
    "weak/doc_headings": (False, 150_000),
    "doc_faq": (False, 150_000),
    "nq_oracle": (False, 200_000),
    "clapnq": (False, 200_000),
    "medquad": (False, 200_000),
    "mtrag": (False, 200_000),
    "multihop": (False, 200_000),
    "tatqa": (False, 150_000),
    "selqa": (True, 200_000),
    "conditionalqa": (True, 150_000),
    "covidqa": (True, 200_000),
    "fairytaleqa": (False, 200_000),
    "squadshifts_amazon": (False, 200_000),
    "squadshifts_reddit": (False, 200_000),
    "squadshifts_wiki": (False, 200_000),
    "scifact_train": (False, 1_500_000),
}


def chosen(found, answers, words, chance):
    """As many documents as fit: half of the words answer something, the rest make it harder."""
    order = list(found)
    chance.shuffle(order)
    order.sort(key=lambda key: key not in answers)
    kept, size = {}, 0
    for limit, keys in ((words // 2, order), (words, list(reversed(order))), (words, order)):
        for key in keys:
            more = len(found[key]["text"].split())
            if key not in kept and size + more <= limit:
                kept[key] = found[key]
                size += more
    return kept


def make(pairs_dir, out, name):
    by_group, words = SETS[name]
    source = pathlib.Path(name).name
    pairs = list(lines(pairs_dir / f"{name}.jsonl"))
    titles = {p["group"]: p.get("title") or "" for p in pairs} if by_group else {}
    found, home = documents(pairs_dir, name, by_group, titles)
    relevant = relevant_documents(pairs, home)
    chance = random.Random(f"{SEED}/{name}")
    answers = {target for targets in relevant.values() for target in targets}
    kept = chosen(found, answers, words, chance)
    queries = [query for query in relevant if relevant[query] & kept.keys()]
    chance.shuffle(queries)
    named = [(f"q{number:04}", query) for number, query in enumerate(queries[:QUERIES])]
    folder = out / source
    write(folder / "corpus.jsonl", (json.dumps(kept[key]) for key in sorted(kept)))
    write(folder / "queries.jsonl", (json.dumps({"_id": i, "text": q}) for i, q in named))
    for split, half in (("fit", named[0::2]), ("heldout", named[1::2])):
        judged = [f"{i}\t{d}\t1" for i, q in half for d in sorted(relevant[q] & kept.keys())]
        write(folder / "qrels" / f"{split}.tsv", ["query-id\tcorpus-id\tscore", *judged])
    print(f"{source}: {len(kept)} documents, {len(named)} queries")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for name in SETS:
        make(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), name)


if __name__ == "__main__":
    main()
