#!/usr/bin/env python3
"""Writes what both legs of Braid say of every query of BEIR folders.

    dump.py BRAID SETS_DIR DATA_DIR OUT_DIR [NAME ...]

Started in the checkout. Each folder of SETS_DIR (or those named) is ingested into DATA_DIR as the
collection of its name, unless it is there, and served; OUT_DIR/NAME.jsonl has one row a query: its
text, its split, the features that the trace shows, and the chunks of each leg as [document, chunk,
score], 100 deep. Standard library only.
"""

import http.client
import json
import pathlib
import subprocess
import sys

PORT = 8391
DEPTH = 100


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

    def __init__(self, braid, data):
        command = [braid, "serve", "--data-dir", data, "--listen", f"127.0.0.1:{PORT}"]
        command += ["--log-level", "error", "--set", "models.reranker=none"]
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
        sys.exit("braid serve ended")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def retrieve(self, name, query):
        body = {
            "query": query,
            "collection": name,
            "top_k": 2 * DEPTH,
            "candidates": {"lexical": DEPTH, "dense": DEPTH},
            "fusion": {"method": "rrf"},
            "rerank": {"enabled": False},
            "context": {"max_tokens": 0},
            "explain": True,
        }
        self.connection.request("POST", "/retrieve", json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"{query!r}: {text.decode()}")
        return json.loads(text)


def leg(answer, name):
    """The leg's chunks, best first."""
    of = [(hit["scores"][name], hit) for hit in answer["hits"] if name in hit["scores"]]
    of = sorted((own["rank"], own["score"], hit["document_id"], hit["chunk_id"]) for own, hit in of)
    return [[document, chunk, score] for rank, score, document, chunk in of if rank <= DEPTH]


def rows(server, folder):
    judged = qrels(folder)
    for line in (folder / "queries.jsonl").read_text().splitlines():
        topic = json.loads(line)
        if topic["_id"] not in judged:
            continue
        answer = server.retrieve(collection(folder), topic["text"])
        yield {
            "id": topic["_id"],
            "query": topic["text"],
            **judged[topic["_id"]],
            "terms": answer["terms"],
            "trust": answer["trust"],
            "lexical": leg(answer, "lexical"),
            "dense": leg(answer, "dense"),
        }


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    braid, sets, data, out = (pathlib.Path(argument).resolve() for argument in sys.argv[1:5])
    folders = [folder for folder in sorted(sets.iterdir()) if not sys.argv[5:] or folder.name in sys.argv[5:]]
    for folder in folders:
        ingest(braid, folder, data)
    out.mkdir(parents=True, exist_ok=True)
    with Server(braid, data) as server:
        for folder in folders:
            with open(out / f"{folder.name}.jsonl", "w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows(server, folder))
            print(folder.name, flush=True)


if __name__ == "__main__":
    main()
