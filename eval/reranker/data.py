#!/usr/bin/env python3
"""Step 1: reads labels, balances sources, sets queries aside for validation.

    data.py --data DIR_OR_FILE ... --out OUT [--split train] [--recipe FILE] [--set key=value ...]

Writes OUT/sources/NAME/: a BEIR folder (`corpus.jsonl`, `queries.jsonl`, `qrels/train.tsv`) for
Braid to rank, and `items.jsonl` with groups, splits and labels; OUT/data.json counts everything.
A source that was written with the same recipe is not read again. Standard library only.
"""

import pathlib
import shutil

import options
import recipe as recipes
import sources
from files import chance, read_json, read_lines, say, write_json, write_lines, write_text
from wording import content_words, normalised, sentences

# Words of a sentence that can stand as a query.
QUERY_WORDS = range(4, 31)


def sample(source, settings, seed):
    """At most `cap` items, by chance."""
    order = list(source.items)
    chance(seed, source.name, "cap").shuffle(order)
    source.items = sorted(order[: settings["cap"]], key=lambda item: item["id"])


def set_aside(source, settings, count, seed):
    """Marks items `train` or `valid`. No passage that answers a validation query is trained on as
    an answer. Where negatives come from one group, fused lists say little, so nothing is set aside;
    a held-out source is set aside whole."""
    order = list(source.items)
    chance(seed, source.name, "valid").shuffle(order)
    if settings["held_out"]:
        chosen, rest = order[:count], []
    elif settings["within_group"]:
        chosen, rest = [], order
    else:
        count = min(count, len(order) // 4)
        chosen, rest = order[:count], order[count:]
    answers = {key for item in chosen for key in item["positives"]}
    rest = [item for item in rest if answers.isdisjoint(item["positives"])]
    for split, items in (("valid", chosen), ("train", rest)):
        for item in items:
            item["split"] = split
    source.items = sorted(chosen + rest, key=lambda item: item["id"])


def thin(source, most, seed):
    """Keeps the passages that items name, and others by chance up to `most`."""
    named = {key for item in source.items for role in ("positives", "given") for key in item[role]}
    others = [key for key in source.passages if key not in named]
    chance(seed, source.name, "passages").shuffle(others)
    source.keep_passages(named | set(others[: max(0, most - len(named))]))


def pseudo_items(source, count, seed):
    """Sentences and headings of passages as queries without a label, for the warm-up."""
    draw = chance(seed, source.name, "pseudo")
    keys = list(source.passages)
    draw.shuffle(keys)
    taken = {normalised(item["text"]) for item in source.items}
    items = []
    for key in keys:
        if len(items) == count:
            break
        text = pseudo_query(source.passages[key], draw)
        if text is None or normalised(text) in taken:
            continue
        taken.add(normalised(text))
        number = f"{source.name}-p{len(items):05}"
        group = source.passages[key]["group"]
        roles = {"positives": [key], "given": [], "forbidden": [key], "split": "pseudo"}
        items.append({"id": number, "text": text, "group": group, **roles})
    return items


def pseudo_query(passage, draw):
    usable = [s for s in sentences(passage["text"]) if len(s.split()) in QUERY_WORDS]
    usable = [s for s in usable if len(content_words(s)) >= 2]
    if passage["title"] and draw.random() < 0.2 and len(passage["title"].split()) >= 2:
        return passage["title"]
    return draw.choice(usable) if usable else None


def write_source(folder, passages, items, notes):
    """Writes a source's folder; `items.jsonl` comes last and says that it is whole."""
    folder = pathlib.Path(folder)
    (folder / "items.jsonl").unlink(missing_ok=True)
    corpus = ({"_id": p["id"], "title": p["title"], "text": p["text"]} for p in passages)
    write_lines(folder / "corpus.jsonl", corpus)
    write_json(folder / "groups.json", {p["id"]: p["group"] for p in passages})
    write_lines(folder / "queries.jsonl", ({"_id": i["id"], "text": i["text"]} for i in items))
    judged = [f"{item['id']}\t{key}\t1" for item in items for key in item["positives"]]
    write_text(folder / "qrels" / "train.tsv", "\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n")
    write_json(folder / "notes.json", notes)
    write_lines(folder / "items.jsonl", items)


def read_source(folder):
    """Passages by id, and items, as the step wrote them."""
    folder = pathlib.Path(folder)
    groups = read_json(folder / "groups.json")
    passages = {
        row["_id"]: {"id": row["_id"], "text": row["text"], "title": row["title"], "group": groups[row["_id"]]}
        for row in read_lines(folder / "corpus.jsonl")
    }
    return passages, list(read_lines(folder / "items.jsonl"))


def prepare(name, path, recipe, split):
    """One source, balanced and split, and its counts."""
    settings, seed = recipes.source(recipe, name), recipe["seed"]
    source = sources.read(name, path, settings, split)
    labelled = len(source.items)
    sample(source, settings, seed)
    set_aside(source, settings, recipe["data"]["valid_queries"], seed)
    thin(source, recipe["data"]["passages"], seed)
    count = 0 if settings["held_out"] else recipe["data"]["pseudo_queries"]
    source.items += pseudo_items(source, count, seed)
    splits = {s: sum(i["split"] == s for i in source.items) for s in ("train", "valid", "pseudo")}
    notes = {
        "labelled_queries": labelled,
        **splits,
        "passages": len(source.passages),
        "titled": any(p["title"] for p in source.passages.values()),
        "held_out": settings["held_out"],
        "licence": settings["licence"],
        "notes": source.notes,
    }
    return source, notes


def run(arguments, recipe):
    out = pathlib.Path(arguments.out)
    asked = [(n, p) for n, p in sources.find(arguments.data) if recipes.source(recipe, n)["use"]]
    made = {key: recipe[key] for key in ("seed", "data")}
    for stray in set((out / "sources").glob("*")) - {out / "sources" / name for name, _ in asked}:
        shutil.rmtree(stray)
    for name, path in asked:
        folder = out / "sources" / name
        from_what = {**made, "source": recipes.source(recipe, name), "path": str(path)}
        if (folder / "items.jsonl").is_file() and read_json(folder / "made.json", {}) == from_what:
            continue
        source, notes = prepare(name, path, recipe, arguments.split)
        write_source(folder, source.passages.values(), source.items, notes)
        write_json(folder / "made.json", from_what)
        say(f"{name}: {notes['train']} to train on, {notes['valid']} to validate on, {notes['passages']} passages")
    write_json(out / "data.json", {n: read_json(out / "sources" / n / "notes.json") for n, _ in asked})


def main():
    arguments = options.parse(__doc__, data=True)
    run(arguments, recipes.load(arguments.recipe, arguments.set))


if __name__ == "__main__":
    main()
