#!/usr/bin/env python3
"""Step 2: keeps what models are measured on out of what they are trained on.

    overlap.py --out OUT [--against BEIR_DIR ...] [--recipe FILE] [--set key=value ...]

Compares every query and passage of OUT/sources with the queries and documents of the folders:
equal after normalisation, or near (content-word Jaccard for queries, shared five-word shingles for
passages). What overlaps is dropped from OUT/sources; OUT/overlap.json has the counts and examples.
A source whose recipe says `share_documents` keeps passages that the named sets have, and they are
counted apart. Standard library only.
"""

import collections
import hashlib
import math
import pathlib

import data
import options
import recipe as recipes
from files import fail, read_json, read_lines, say, source_dirs, write_json
from wording import containment, content_words, jaccard, normalised, shingles, sketch

EXAMPLES = 5
# Postings of a shingle beyond this are boilerplate that finds nothing in particular.
COMMON = 200


class Queries:
    """Finds queries that equal a given one or nearly do."""

    def __init__(self, threshold):
        self.threshold = threshold
        self.exact = {}
        self.contents = []
        self.postings = collections.defaultdict(list)

    def add(self, name, text):
        self.exact.setdefault(normalised(text), (name, text))
        content = content_words(text)
        for word in content:
            self.postings[word].append(len(self.contents))
        self.contents.append((content, name, text))

    def match(self, text):
        """(kind, set, text) of a match; `None` where there is none."""
        if found := self.exact.get(normalised(text)):
            return ("exact", *found)
        content = content_words(text)
        # Of sets that share this much, one of the few rarest words is shared.
        most_missing = len(content) - math.ceil(self.threshold * len(content)) + 1
        rarest = sorted(content, key=lambda word: (len(self.postings.get(word, ())), word))
        for word in rarest[:most_missing]:
            for place in self.postings.get(word, ()):
                other, name, theirs = self.contents[place]
                if jaccard(content, other) >= self.threshold:
                    return ("near", name, theirs)
        return None


class Passages:
    """Finds documents that equal a given passage, hold much of it, or are largely within it."""

    def __init__(self, threshold):
        self.threshold = threshold
        self.exact = {}
        self.texts = []
        self.postings = collections.defaultdict(list)

    def add(self, name, text):
        self.exact.setdefault(normalised(text), []).append((name, text))
        for value in sketch(shingles(text)):
            self.postings[value].append(len(self.texts))
        self.texts.append((name, text))

    def matches(self, text):
        """(kind, set, text) of every match, at most one for each set."""
        found = {name: ("exact", name, theirs) for name, theirs in self.exact.get(normalised(text), ())}
        mine = shingles(text)
        shared = collections.Counter()
        for value in sketch(mine):
            places = self.postings.get(value, ())
            if len(places) <= COMMON:
                shared.update(places)
        for place, _ in shared.most_common(20):
            name, theirs = self.texts[place]
            if name not in found and containment(mine, shingles(theirs)) >= self.threshold:
                found[name] = ("near", name, theirs)
        return list(found.values())


def read_against(folders, thresholds):
    """What training data is compared with: the queries and documents of BEIR folders."""
    queries = Queries(thresholds["query_jaccard"])
    passages = Passages(thresholds["passage_containment"])
    for folder in map(pathlib.Path, folders):
        if not (folder / "corpus.jsonl").is_file():
            fail(f"--against {folder}: not a BEIR folder")
        for row in read_lines(folder / "queries.jsonl"):
            queries.add(folder.name, row["text"])
        for row in read_lines(folder / "corpus.jsonl"):
            if row["text"].strip():
                passages.add(folder.name, row["text"])
    return queries, passages


class Findings:
    """Counts and examples of one source."""

    def __init__(self, share_documents):
        self.share_documents = set(share_documents)
        self.counts = collections.Counter()
        self.examples = []

    def add(self, what, match, text):
        kind, name, theirs = match
        self.counts[f"{what} {kind} {name}"] += 1
        if sum(example["what"] == what for example in self.examples) < EXAMPLES:
            shown = {"what": what, "kind": kind, "set": name, "ours": text[:200], "theirs": theirs[:200]}
            self.examples.append(shown)

    def passage(self, matches, text):
        """Whether a passage must go."""
        drop = False
        for match in matches:
            shared = match[1] in self.share_documents
            self.add("shared document" if shared else "passage", match, text)
            drop = drop or not shared
        return drop


def check_source(passages, items, against, share_documents):
    """Findings, and the passages and items that stay."""
    queries, documents = against
    findings = Findings(share_documents)
    kept_items = []
    for item in items:
        match = queries.match(item["text"])
        if match:
            findings.add("pseudo query" if item["split"] == "pseudo" else "query", match, item["text"])
        else:
            kept_items.append(item)
    kept = {
        key: passage
        for key, passage in passages.items()
        if not findings.passage(documents.matches(passage["text"]), passage["text"])
    }
    for item in kept_items:
        for role in ("positives", "given", "forbidden"):
            item[role] = [key for key in item[role] if key in kept]
    return findings, kept, [item for item in kept_items if item["positives"]]


def check_folder(folder, against, recipe):
    passages, items = data.read_source(folder)
    share = recipes.source(recipe, folder.name)["share_documents"]
    findings, kept, kept_items = check_source(passages, items, against, share)
    if len(kept) < len(passages) or len(kept_items) < len(items):
        notes = read_json(folder / "notes.json")
        for split in ("train", "valid", "pseudo"):
            notes[split] = sum(item["split"] == split for item in kept_items)
        notes["passages"] = len(kept)
        data.write_source(folder, kept.values(), kept_items, notes)
    return {
        "queries_checked": len(items),
        "passages_checked": len(passages),
        "queries_dropped": len(items) - len(kept_items),
        "passages_dropped": len(passages) - len(kept),
        "counts": dict(sorted(findings.counts.items())),
        "examples": findings.examples,
    }


def fingerprint(folder, arguments, recipe):
    """Says whether a folder, as it is now, was checked against the same sets."""
    state = [(folder / "items.jsonl").stat().st_mtime_ns, sorted(arguments.against), recipe["overlap"]]
    return hashlib.sha256(repr(state).encode()).hexdigest()


def run(arguments, recipe):
    out = pathlib.Path(arguments.out)
    if not arguments.against:
        say("no --against: overlap with evaluation sets was not checked")
    against = None
    report = {"against": sorted(pathlib.Path(p).name for p in arguments.against), "sources": {}}
    for folder in source_dirs(out):
        done = read_json(folder / "overlap.json", {})
        if done.get("fingerprint") != fingerprint(folder, arguments, recipe):
            against = against or read_against(arguments.against, recipe["overlap"])
            found = check_folder(folder, against, recipe)
            done = {"fingerprint": fingerprint(folder, arguments, recipe), **found}
            write_json(folder / "overlap.json", done)
            say(f"{folder.name}: dropped {found['queries_dropped']} queries, {found['passages_dropped']} passages")
        report["sources"][folder.name] = {k: v for k, v in done.items() if k != "fingerprint"}
    write_json(out / "overlap.json", report)
    write_json(out / "data.json", {f.name: read_json(f / "notes.json") for f in source_dirs(out)})


def main():
    arguments = options.parse(__doc__, against=True)
    run(arguments, recipes.load(arguments.recipe, arguments.set))


if __name__ == "__main__":
    main()
