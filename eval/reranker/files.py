"""Reading and writing of the tool's files. Standard library only."""

import hashlib
import json
import os
import pathlib
import random
import sys
import time


def say(message):
    print(f"reranker: {message}", file=sys.stderr, flush=True)


def fail(message):
    sys.exit(f"reranker: {message}")


def read_lines(path):
    """The JSON values of a JSONL file, with blank lines left out."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    fail(f"{path}:{number}: {error}")


def read_json(path, default=None):
    path = pathlib.Path(path)
    if default is not None and not path.is_file():
        return default
    return json.loads(path.read_text(encoding="utf-8"))


def write_text(path, text):
    """Writes a whole file or nothing: an interrupted run leaves no half file behind."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_json(path, value):
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_lines(path, values):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8") as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")
    os.replace(partial, path)


def append_line(path, value):
    """Appends one JSON line with the time of day: the log and the table of everything tried."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stamped = {"at": time.strftime("%Y-%m-%dT%H:%M:%S"), **value}
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(stamped, ensure_ascii=False) + "\n")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def chance(seed, *names):
    """A generator that depends on the seed and on what it is for, and on nothing else."""
    return random.Random("/".join(map(str, (seed, *names))))


def source_dirs(out):
    """The folders of the data step, in name order."""
    found = sorted(path.parent for path in pathlib.Path(out, "sources").glob("*/items.jsonl"))
    if not found:
        fail(f"{out}/sources holds no source: run the data step first")
    return found
