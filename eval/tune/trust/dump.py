#!/usr/bin/env python3
"""Writes what both legs of Braid say of every query of BEIR folders.

    dump.py BRAID SETS_DIR DATA_DIR OUT_DIR [NAME ...] [--rerank]

Started in the checkout. Each folder of SETS_DIR (or those named) is ingested into DATA_DIR as the
collection of its name, unless it is there, and served; OUT_DIR/NAME.jsonl has one row a query: its
text, its split, how far each leg was trusted, and the chunks of each leg as [document, chunk, score],
100 deep. With --rerank also the re-ranker's raw score of the 30 chunks that are best by the default
fusion, as [chunk, score]. Standard library only.
"""

import argparse
import http.client
import json
import pathlib
import subprocess
import sys
import time

PORT = 8391
DEPTH = 100
WINDOW = 30
MODES = ("lexical", "dense", "hybrid")


def collection(folder):
    return folder.name.replace(".", "-")


def qrels(folder):
    """Query ids by split, and the grade of each judged document."""
    judged = {}
    for path in sorted((folder / "qrels").glob("*.tsv")):
        for line in path.read_text().splitlines()[1:]:
            query, document, grade = line.split("\t")
            row = judged.setdefault(query, {"split": path.stem, "grades": {}})
            row["grades"][document] = float(grade)
    return judged


def ingest(braid, folder, data):
    subprocess.run(
        [braid, "ingest", folder, "--format", "beir", "--collection", collection(folder), "--data-dir", data, "--sync"]
        + ["--log-level", "error", "--set", "lexical.language=english"],
        check=True,
    )


class Server:
    """`braid serve` for as long as the block runs."""

    def __init__(self, braid, data, rerank):
        command = [braid, "serve", "--data-dir", data, "--listen", f"127.0.0.1:{PORT}", "--log-level", "error"]
        command += [] if rerank else ["--set", "models.reranker=none"]
        self.rerank = rerank
        self.process = subprocess.Popen(command)

    def __enter__(self):
        while self.process.poll() is None:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", PORT)
                self.connection.request("GET", "/readyz")
                answer = self.connection.getresponse()
                answer.read()
                if answer.status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        sys.exit("braid serve ended")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def retrieve(self, name, query, mode):
        """At a depth of `top_k`: a leg is never searched less deep than that."""
        rerank = self.rerank and mode == "hybrid"
        body = {
            "query": query,
            "collection": name,
            "mode": mode,
            "top_k": DEPTH,
            "candidates": {"lexical": DEPTH, "dense": DEPTH},
            "distinct": False,
            "rerank": {"enabled": rerank, "candidates": WINDOW, "blend": 0.0, "deadline_ms": 60_000},
            "context": {"max_tokens": 0},
            "explain": True,
        }
        self.connection.request("POST", "/retrieve", json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"{query!r}: {text.decode()}")
        return json.loads(text)


def ranked(answer, stage):
    """Document, chunk and score of each hit that the stage ranked, best first."""
    of = [(hit["scores"][stage], hit) for hit in answer["hits"] if stage in hit["scores"]]
    of = sorted((own["rank"], own["score"], hit["document_id"], hit["chunk_id"]) for own, hit in of)
    return [[document, chunk, score] for _, score, document, chunk in of]


def rows(server, folder):
    judged = qrels(folder)
    for line in (folder / "queries.jsonl").read_text().splitlines():
        topic = json.loads(line)
        if topic["_id"] not in judged:
            continue
        answers = {mode: server.retrieve(collection(folder), topic["text"], mode) for mode in MODES}
        yield {
            "id": topic["_id"],
            "query": topic["text"],
            **judged[topic["_id"]],
            "terms": answers["lexical"]["terms"],
            "trust": answers["hybrid"]["trust"],
            "lexical": ranked(answers["lexical"], "lexical"),
            "dense": ranked(answers["dense"], "dense"),
            "rerank": [[chunk, score] for _, chunk, score in ranked(answers["hybrid"], "rerank")],
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("braid", "sets", "data", "out"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("names", metavar="NAME", nargs="*", help="these sets alone")
    parser.add_argument("--rerank", action="store_true", help="also the re-ranker's scores")
    asked = parser.parse_args()
    braid, sets, data, out = (path.resolve() for path in (asked.braid, asked.sets, asked.data, asked.out))
    folders = [folder for folder in sorted(sets.iterdir()) if not asked.names or folder.name in asked.names]
    for folder in folders:
        ingest(braid, folder, data)
    out.mkdir(parents=True, exist_ok=True)
    with Server(braid, data, asked.rerank) as server:
        for folder in folders:
            with open(out / f"{folder.name}.jsonl", "w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows(server, folder))
            print(folder.name, flush=True)


if __name__ == "__main__":
    main()
