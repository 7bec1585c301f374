"""Labelled sources as they are handed in: BEIR folders and pairs JSONL. Standard library only.

Both become passages (`id`, `text`, `title`, `group`) and items: a query with the passages that
answer it (`positives`), passages that its source says do not (`given`), and every passage that must
never be a negative of it (`forbidden`).
"""

import collections
import pathlib
import re

from files import fail, read_lines
from wording import normalised, squeezed

# Share of passages that must get a title for a source to be titled at all.
TITLED = 0.9


class Source:
    """Passages by id, and items, of one source."""

    def __init__(self, name):
        self.name = name
        self.passages = {}
        self.items = []
        self.by_text = {}
        self.notes = []

    def add_passage(self, key, text, title, group):
        """Adds a passage, or finds the one that has the same text; gives its id."""
        text = squeezed(text)
        if text not in self.by_text:
            while key in self.passages:
                key += "+"
            self.by_text[text] = key
            self.passages[key] = {"id": key, "text": text, "title": title, "group": group}
        return self.by_text[text]

    def keep_passages(self, keys):
        self.passages = {key: self.passages[key] for key in self.passages if key in keys}
        self.by_text = {passage["text"]: key for key, passage in self.passages.items()}
        for item in self.items:
            for role in ("positives", "given", "forbidden"):
                item[role] = [key for key in item[role] if key in self.passages]
        self.items = [item for item in self.items if item["positives"]]


def find(arguments):
    """The sources that files and folders hold, as (name, path) in name order."""
    found = {}
    for argument in map(pathlib.Path, arguments):
        for path in places(argument):
            name = re.sub(r"[^A-Za-z0-9_-]", "_", path.stem if path.is_file() else path.name)
            if found.setdefault(name, path) != path:
                fail(f"{path} and {found[name]} are both called {name}")
    if not found:
        fail("no labels: give BEIR folders or pairs JSONL files with --data")
    return sorted(found.items())


def places(argument):
    if argument.is_file():
        return [argument]
    if (argument / "corpus.jsonl").is_file():
        return [argument]
    if not argument.is_dir():
        fail(f"{argument} does not exist")
    pairs = [p for p in sorted(argument.glob("*.jsonl")) if not p.stem.endswith(".passages")]
    beir = [p.parent for p in sorted(argument.glob("*/corpus.jsonl"))]
    if not pairs and not beir:
        fail(f"{argument} holds neither a BEIR folder nor pairs JSONL")
    return pairs + beir


def read(name, path, settings, split="train"):
    source = Source(name)
    if path.is_dir():
        read_beir(source, path, split, settings)
    else:
        read_pairs(source, path, settings)
    if not source.items:
        fail(f"{path} has no usable label")
    return source


def read_beir(source, path, split, settings):
    """A BEIR folder. Titles belong to documents whatever their labels, so they are kept as asked."""
    ids = {}
    for row in read_lines(path / "corpus.jsonl"):
        title = (row.get("title") or "") if settings["titles"] else ""
        if row["text"].strip():
            ids[row["_id"]] = source.add_passage(row["_id"], row["text"], title, row["_id"])
    texts = {row["_id"]: row["text"] for row in read_lines(path / "queries.jsonl")}
    entries = Entries(settings["within_group"])
    for query, document, grade in read_qrels(path / "qrels" / f"{split}.tsv"):
        if query not in texts or document not in ids:
            continue
        role = "positives" if grade > 0 else "given"
        entries.add(texts[query], source.passages[ids[document]]["group"], role, ids[document])
    source.items = entries.items(source.name)


def read_qrels(path):
    if not path.is_file():
        fail(f"{path} is missing: name another split with --split")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split("\t")
        if len(fields) == 3 and fields[2].strip().lstrip("-").isdigit():
            yield fields[0], fields[1], int(fields[2])
        elif number > 1 and line.strip():
            fail(f"{path}:{number}: expected query, document and grade")


def read_pairs(source, path, settings):
    excluded = tuple(settings["exclude_groups"])
    usable = lambda row: not (excluded and (row.get("group") or "").startswith(excluded))
    rows = [row for row in read_lines(path) if usable(row)]
    beside = path.with_suffix(".passages.jsonl")
    for row in filter(usable, read_lines(beside) if beside.is_file() else ()):
        source.add_passage(row["id"], row["text"], "", row.get("group") or row["id"])
    entries = Entries(settings["within_group"])
    for number, row in enumerate(rows):
        if not row["query"].strip() or not row["positive"].strip():
            continue
        group = row.get("group") or f"row-{number}"
        key = source.add_passage(f"{source.name}-row-{number}", row["positive"], "", group)
        entries.add(row["query"], group, "positives", key)
        for place, text in enumerate(row.get("negatives") or ()):
            given = f"{source.name}-row-{number}-{place}"
            entries.add(row["query"], group, "given", source.add_passage(given, text, "", group))
    source.items = entries.items(source.name)
    if settings["titles"]:
        give_titles(source, rows)


def give_titles(source, rows):
    """Titles for all passages of a source or for none.

    A title that only positives have tells the model the label. So a title must be its group's only
    one; passages that still have none are left out, unless that would be many.
    """
    titles = collections.defaultdict(set)
    for row in rows:
        titles[row.get("group")].add(squeezed(row.get("title") or ""))
    sole = {group: next(iter(found)) for group, found in titles.items() if len(found) == 1}
    having = {key for key, p in source.passages.items() if sole.get(p["group"])}
    if len(having) < TITLED * len(source.passages):
        share = len(having) / len(source.passages)
        source.notes.append(f"no titles: only {share:.0%} of the passages would have one")
        return
    for key in having:
        source.passages[key]["title"] = sole[source.passages[key]["group"]]
    source.notes.append(f"titled; {len(source.passages) - len(having)} passages without one left out")
    source.keep_passages(having)


class Entries:
    """Gathers labels by query text, so that rows that share one share their positives."""

    def __init__(self, within_group):
        self.within_group = within_group
        self.rows = {}
        self.forbidden = collections.defaultdict(dict)

    def add(self, query, group, role, key):
        text = normalised(query)
        scope = (text, group if self.within_group else None)
        empty = {"text": squeezed(query), "group": group, "positives": {}, "given": {}}
        self.rows.setdefault(scope, empty)[role][key] = True
        if role == "positives":
            self.forbidden[text][key] = True

    def items(self, name):
        found = []
        for number, ((text, _), row) in enumerate(self.rows.items()):
            forbidden = self.forbidden[text]
            given = [key for key in row["given"] if key not in forbidden]
            roles = {"positives": list(row["positives"]), "given": given, "forbidden": list(forbidden)}
            found.append({"id": f"{name}-q{number:05}", "text": row["text"], "group": row["group"], **roles})
        return [item for item in found if item["positives"]]
