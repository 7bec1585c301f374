#!/usr/bin/env python3
"""Makes the identifier sets of this folder, in BEIR layout.

    make.py [DOCS_DIR]

`generated/` holds invented part numbers, releases, advisories, networks, error codes, settings and
functions, each among near misses that differ in one place and are described in the same words.
`docs/` holds the sections of Braid's own documentation (DOCS_DIR, by default docs/ of the
checkout) as they were when the set was made, each row of a table alone, and asks for names that stand in one
document alone.
Seeded: the same input gives the same files. Standard library only.
"""

import collections
import json
import pathlib
import random
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SEED = 8
# Of each kind in `generated/`: families of near misses, and queries.
FAMILIES = 9
QUERIES = 16
DOCS_QUERIES = 60

DEVICES = "pump valve compressor gearbox turbine sensor actuator relay coupling bearing".split()
PRODUCTS = "nimbus harbor quill lantern orchard basalt meridian sparrow cobalt".split()
VERBS = "parse merge flush encode resolve lookup render validate compact".split()
NOUNS = "header segment cursor token route session payload index frame".split()
EFFECTS = [
    "It applies from the next restart on and is read once.",
    "Operators see it in the log with the time of the last change.",
    "The default suits most installations; change it only after measuring.",
    "A wrong value is refused and the old one stays in force.",
    "Support asks for it in every report, so write it down.",
]


def swapped(text, chance):
    """`text` with two digits that differ changed places, or one digit changed."""
    digits = [i for i, c in enumerate(text) if c.isdigit()]
    pairs = [(a, b) for a in digits for b in digits if a < b and text[a] != text[b]]
    letters = list(text)
    if pairs and chance.random() < 0.6:
        a, b = chance.choice(pairs)
        letters[a], letters[b] = letters[b], letters[a]
    else:
        at = chance.choice(digits)
        letters[at] = chance.choice([d for d in "123456789" if d != letters[at]])
    return "".join(letters)


def near(first, chance, count=4):
    """`first` and names that nearly are it."""
    names = [first]
    while len(names) < count:
        other = swapped(chance.choice(names), chance)
        if other not in names:
            names.append(other)
    return names


def parts(chance):
    code = f"{chance.choice('ABCDEFGH')}{chance.choice('KMRTX')}-{chance.randint(1000, 9999)}-{chance.choice('BCD')}"
    thing = chance.choice(DEVICES)
    for name in near(code, chance):
        bar = chance.randint(4, 90)
        yield name, f"Part {name} is a {thing} for the main circuit, rated at {bar} bar. Torque the bolts of the {thing} evenly."


def releases(chance):
    product = chance.choice(PRODUCTS)
    first = f"{chance.randint(1, 9)}.{chance.randint(10, 29)}.{chance.randint(10, 29)}"
    for name in near(first, chance):
        yield f"{product} {name}", f"Release notes of {product} {name}. This release of {product} mends {chance.randint(3, 40)} defects and adds no setting."


def advisories(chance):
    product = chance.choice(PRODUCTS)
    first = f"CVE-20{chance.randint(15, 25)}-{chance.randint(10000, 59999)}"
    for name in near(first, chance):
        yield name, f"{name} is a flaw of {product}: a crafted request makes it read past its buffer. Update {product} or block the port."


def networks(chance):
    first = f"10.{chance.randint(10, 250)}.{chance.randint(10, 250)}.0/{chance.choice([22, 24, 26])}"
    site = chance.choice("Bergen Porto Lyon Graz Turku Ghent".split())
    for name in near(first, chance):
        yield name, f"The network {name} belongs to the site {site}, VLAN {chance.randint(100, 999)}. Its gateway answers on the first address."


def errors(chance):
    first = f"{chance.choice(['NBS', 'KRN', 'E', 'ORC'])}-{chance.randint(10000, 99999)}"
    for name in near(first, chance):
        yield name, f"Error {name}: the server could not finish the request. Wait {chance.randint(2, 90)} seconds, then send it again."


def settings(chance):
    noun, verb = chance.choice(NOUNS), chance.choice(VERBS)
    units = ["ms", "seconds", "bytes", "kib", "rows"]
    chance.shuffle(units)
    for unit in units[:4]:
        name = f"{noun}.{verb}_{chance.choice(['limit', 'limit', 'interval'])}_{unit}"
        yield name, f"The setting {name} bounds how far the {noun} goes before it must {verb}. Default: {chance.randint(2, 900)}."


def functions(chance):
    noun, verb = chance.choice(NOUNS), chance.choice(VERBS)
    capital = noun.capitalize()
    forms = [f"{verb}{capital}", f"{verb}{capital}s", f"{verb}_{noun}", f"{verb}_{noun}_v2", f"try_{verb}_{noun}"]
    chance.shuffle(forms)
    for name in forms[:4]:
        yield name, f"{name}(input, flags) takes the {noun} and returns {chance.randint(2, 9)} fields, or an error when the {noun} is cut short."


KINDS = {
    "part": (parts, ["{}", "torque for {}", "which bar is part {} rated at"]),
    "release": (releases, ["{}", "what changed in {}", "release notes {}"]),
    "advisory": (advisories, ["{}", "is {} fixed by an update", "how to mitigate {}"]),
    "network": (networks, ["{}", "which VLAN is {}", "site of the network {}"]),
    "error": (errors, ["{}", "what does {} mean", "server answers {} what to do"]),
    "setting": (settings, ["{}", "default of {}", "what does {} bound"]),
    "function": (functions, ["{}", "what does {} return", '"{}"']),
}


def generated():
    corpus, queries, judged = [], [], []
    for kind, (make, templates) in KINDS.items():
        chance = random.Random(f"{SEED}/{kind}")
        names = {}
        for family in range(FAMILIES):
            for member, (name, text) in enumerate(make(chance)):
                if name in names:
                    continue
                names[name] = f"{kind}-{family}-{member}"
                text = f"{text} {chance.choice(EFFECTS)}"
                corpus.append({"_id": names[name], "title": "", "text": text})
        asked = chance.sample(sorted(names), QUERIES)
        for number, name in enumerate(asked):
            query = f"{kind}-q{number:02}"
            queries.append({"_id": query, "text": templates[number % len(templates)].format(name)})
            judged.append((query, names[name]))
    return corpus, queries, judged


def sections(docs):
    """The documentation: one document for each heading with what stands under it, and one for each
    row of a table, so that the settings are near misses of each other."""
    for path in sorted(docs.glob("*.md")):
        title, lines, number, fenced = path.stem, [], 0, False
        for line in [*path.read_text(encoding="utf-8").splitlines(), "# "]:
            fenced ^= line.startswith("```")
            texts = []
            if line.startswith("| ") and not fenced:
                texts = [line]
            elif line.startswith("#") and not fenced:
                texts, lines = ["\n".join(lines).strip()], []
            else:
                lines.append(line)
            for text in filter(None, texts):
                yield {"_id": f"{path.stem}-{number:02}", "title": title, "text": text}
                number += 1
            if line.startswith("#") and not fenced:
                title = f"{path.stem}: {line.lstrip('# ')}"


def names_of(text):
    """What stands between backticks and is written as names are."""
    for name in re.findall(r"`([^`\s]{4,40})`", text):
        if re.fullmatch(r"/?[A-Za-z][\w./-]*[\w]", name) and re.search(r"[_./]|[a-z][A-Z]|-.*-", name):
            yield name


def documentation(docs):
    corpus = list(sections(docs))
    homes = collections.defaultdict(set)
    for document in corpus:
        for name in names_of(document["text"]):
            homes[name].add(document["_id"])
    alone = []
    for name, home in sorted(homes.items()):
        holders = [d["_id"] for d in corpus if name.lower() in d["text"].lower()]
        if len(home) == 1 and holders == sorted(home):
            alone.append((name, holders[0]))
    chance = random.Random(f"{SEED}/docs")
    chance.shuffle(alone)
    templates = ["{}", "what does {} do", "{} default", '"{}"', "where is {} described"]
    queries, judged = [], []
    for number, (name, home) in enumerate(alone[:DOCS_QUERIES]):
        queries.append({"_id": f"docs-q{number:02}", "text": templates[number % len(templates)].format(name)})
        judged.append((f"docs-q{number:02}", home))
    return corpus, queries, judged


def write(folder, corpus, queries, judged):
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus", corpus), ("queries", queries)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    lines = ["query-id\tcorpus-id\tscore", *(f"{query}\t{document}\t1" for query, document in judged)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{folder.name}: {len(corpus)} documents, {len(queries)} queries")


def main():
    docs = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "docs"
    write(HERE / "generated", *generated())
    write(HERE / "docs", *documentation(docs))


if __name__ == "__main__":
    main()
