#!/usr/bin/env python3
"""Makes the BEIR folders that fusion, leg trust and the blend are chosen on, out of labelled pairs.

    sets.py PAIRS_DIR OUT_DIR [NAME ...] [--queries N] [--unseen-by DIR]

PAIRS_DIR holds NAME.jsonl (`query`, `positive`, `title`, `group`) and NAME.passages.jsonl (`id`,
`text`, `group`), also in its folder `weak`. Every source becomes OUT_DIR/NAME with two splits of
its queries, `qrels/fit.tsv` and `qrels/heldout.tsv`. Sampling is seeded: the same input gives the
same folders, and the corpora do not depend on the options. `--unseen-by` names what `make
train-reranker` wrote: queries that the model was trained on are left out, and those that it was
validated on come first, whose answers it was not trained on either. Standard library only.
"""

import argparse
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from make_sets import documents, lines, relevant_documents, write  # noqa: E402

SEED = 5
# Queries of a set, unless told otherwise; half of them are held out.
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


def squeezed(text):
    return " ".join(text.lower().split())


def seen(folder, source):
    """By query of the re-ranker's data, whether it was trained on; its validation queries are not."""
    path = folder / "sources" / source / "items.jsonl"
    return {squeezed(item["text"]): item["split"] != "valid" for item in lines(path)} if path.is_file() else {}


def make(arguments, name):
    by_group, words = SETS[name]
    source = pathlib.Path(name).name
    pairs = list(lines(arguments.pairs / f"{name}.jsonl"))
    titles = {p["group"]: p.get("title") or "" for p in pairs} if by_group else {}
    found, home = documents(arguments.pairs, name, by_group, titles)
    relevant = relevant_documents(pairs, home)
    chance = random.Random(f"{SEED}/{name}")
    answers = {target for targets in relevant.values() for target in targets}
    kept = chosen(found, answers, words, chance)
    queries = [query for query in relevant if relevant[query] & kept.keys()]
    chance.shuffle(queries)
    if arguments.unseen_by:
        trained = seen(arguments.unseen_by, source)
        queries = [query for query in queries if not trained.get(squeezed(query))]
        queries.sort(key=lambda query: squeezed(query) not in trained)
    named = [(f"q{number:04}", query) for number, query in enumerate(queries[: arguments.queries])]
    folder = arguments.out / source
    write(folder / "corpus.jsonl", (json.dumps(kept[key]) for key in sorted(kept)))
    write(folder / "queries.jsonl", (json.dumps({"_id": i, "text": q}) for i, q in named))
    for split, half in (("fit", named[0::2]), ("heldout", named[1::2])):
        judged = [f"{i}\t{d}\t1" for i, q in half for d in sorted(relevant[q] & kept.keys())]
        write(folder / "qrels" / f"{split}.tsv", ["query-id\tcorpus-id\tscore", *judged])
    print(f"{source}: {len(kept)} documents, {len(named)} queries")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", metavar="PAIRS_DIR", type=pathlib.Path)
    parser.add_argument("out", metavar="OUT_DIR", type=pathlib.Path)
    parser.add_argument("names", metavar="NAME", nargs="*", help="these sources alone")
    parser.add_argument("--queries", type=int, default=QUERIES, help="of each source")
    parser.add_argument("--unseen-by", type=pathlib.Path, metavar="DIR", help="what make train-reranker wrote")
    arguments = parser.parse_args()
    for name in SETS:
        if not arguments.names or pathlib.Path(name).name in arguments.names:
            make(arguments, name)


if __name__ == "__main__":
    main()
