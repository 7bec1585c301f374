"""The mined lists with their passages, as training, teachers and validation read them."""

import json
import pathlib

import data
import lists
import recipe as recipes
from files import chance, fail, read_lines


class Mined:
    """One source: passages by id and rows. Rows stay text until they are used: parsed, all of them
    would take gigabytes."""

    def __init__(self, name, passages, splits, settings, targets):
        self.name, self.passages, self.splits = name, passages, splits
        self.settings, self.given = settings, targets

    def row(self, split, index):
        return json.loads(self.splits[split][index])

    def texts(self, row, keys, titled=True):
        """(query, title, text) of each passage."""
        found = (self.passages[key] for key in keys)
        return [(row["query"], p["title"] if titled else "", p["text"]) for p in found]

    def lines(self, keys):
        """Each passage by itself, its title on a line above."""
        triples = self.texts({"query": ""}, keys)
        return [f"{title}\n{text}" if title else text for _, title, text in triples]


def read(out, recipe):
    """Every mined source, by name."""
    out = pathlib.Path(out)
    mined = {}
    for path in sorted((out / "lists").glob("*.jsonl")):
        name = path.stem
        passages, _ = data.read_source(out / "sources" / name)
        splits = {"train": [], "valid": [], "pseudo": []}
        with open(path, encoding="utf-8") as file:
            for line in file:
                splits[json.loads(line)["split"]].append(line)
        given = read_targets(out / "targets" / f"{name}.jsonl")
        mined[name] = Mined(name, passages, splits, recipes.source(recipe, name), given)
    if not mined:
        fail(f"{out}/lists is empty: run the mine step first")
    return mined


def read_targets(path):
    return {row.pop("id"): row for row in read_lines(path)} if path.is_file() else {}


def valid_entries(mined, recipe, quick):
    """Validation queries with the fused list's head. Quick ones are the first of each source."""
    entries = []
    settings = recipe["validate"]
    for source in mined.values():
        count = len(source.splits["valid"])
        order = list(range(count))
        chance(recipe["seed"], source.name, "quick").shuffle(order)
        for index in order[: settings["quick" if quick else "final"]]:
            row = source.row("valid", index)
            keys, fused, gains = lists.window(row, settings["window"])
            shown = {"id": row["id"], "source": source.name, "held_out": source.settings["held_out"]}
            shown |= dict(zip(("lexical", "dense"), lists.legs(row, keys)))
            shown |= {"fused": fused, "gains": gains, "all_gains": [1.0] * len(row["positives"])}
            entries.append({**shown, "pairs": source.texts(row, keys)})
    return entries


def scored(entries, score):
    """The entries with the model's raw scores; `score` takes (query, title, text) triples."""
    triples = [triple for entry in entries for triple in entry["pairs"]]
    raw = iter(score(triples))
    found = []
    for entry in entries:
        kept = {key: value for key, value in entry.items() if key != "pairs"}
        found.append({**kept, "raw": [next(raw) for _ in entry["pairs"]]})
    return found


def held_out(entries):
    return {entry["source"] for entry in entries if entry["held_out"]}
