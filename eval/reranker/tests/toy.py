"""A toy source, and a stand-in for the braid binary that ranks by shared words."""

import json
import pathlib
import stat
import sys

HERE = pathlib.Path(__file__).resolve()
THINGS = ("harbour", "glacier", "orchard", "violin", "telescope", "bakery", "tunnel", "lighthouse")
FACTS = ("age", "colour", "owner", "length", "weight")


def pairs(source="toy"):
    """40 questions, one passage each, five of a group."""
    rows = []
    for place, thing in enumerate(THINGS):
        for number, fact in enumerate(FACTS):
            value = f"value{place}{number}"
            text = f"The {fact} of the old {thing} is {value}. People of the town wrote {value} down long ago."
            row = {"query": f"what is the {fact} of the {thing}", "positive": text, "title": thing.title()}
            rows.append({**row, "source": source, "group": thing})
    return rows


def write(folder, source="toy"):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = pairs(source)
    (folder / f"{source}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    passages = [{"id": f"{source}-{n}", "text": r["positive"], "group": r["group"]} for n, r in enumerate(rows)]
    (folder / f"{source}.passages.jsonl").write_text("".join(json.dumps(p) + "\n" for p in passages))


def braid(folder):
    """An executable that takes the arguments of `braid eval run` that the tool uses."""
    path = pathlib.Path(folder) / "braid"
    path.write_text(f"#!/bin/sh\nexec {sys.executable} {HERE} \"$@\"\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def main(arguments):
    options = dict(zip(arguments[2::2], arguments[3::2]))
    dataset, out = pathlib.Path(options["--dataset"]), pathlib.Path(options["--out"])
    out.mkdir(parents=True)
    corpus = {row["_id"]: set(row["text"].lower().split()) for row in lines(dataset / "corpus.jsonl")}
    for bonus, stage in enumerate(options["--stages"].split(",")):
        with open(out / f"run.{stage}.trec", "w") as run:
            for query in lines(dataset / "queries.jsonl"):
                asked = set(query["text"].lower().split())
                score = {key: len(asked & words) + bonus / 10 for key, words in corpus.items()}
                ranked = sorted(score, key=lambda key: (-score[key], key))[: int(options["--depth"])]
                for place, key in enumerate(ranked, 1):
                    run.write(f"{query['_id']} Q0 {key} {place} {score[key] / 10 - place / 1e5} braid-{stage}\n")
    (out / "report.json").write_text("{}")


if __name__ == "__main__":
    main(sys.argv[1:])
