"""Candidate lists: what the model is trained on and validated on. Standard library only.

A row is one query with its candidates, each `[passage, lexical score, dense score, fused score,
usable]`: a score is `None` where that leg did not rank the passage, and `usable` says whether it
may stand as a negative.
"""

import collections

from files import chance
from wording import containment, shingles

PASSAGE, LEXICAL, DENSE, FUSED, USABLE = range(5)
# Where a shortfall of one origin's negatives is made up, in this order.
FILL = ("fused", "dense", "lexical", "group", "random")
# Shingle containment from which a passage says the same as a positive.
SAME = 0.8
# A sparse score that few pairs reach.
HIGH_SPARSE = 20.0
# Between these are nearly all cosines of bge-small-en-v1.5.
BGE_COSINES = (0.45, 0.85)
# What equal scores may deviate from their mean by rounding, relative to it.
ROUNDING = 1e-9


def read_run(path):
    """A TREC run: (passage, score) lists by query, best first."""
    run = collections.defaultdict(list)
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                query, _, rest = line.split(None, 2)
                passage, _, score, _ = rest.rsplit(None, 3)
                run[query].append((passage, float(score)))
    for ranked in run.values():
        ranked.sort(key=lambda entry: -entry[1])
    return run


class Corpus:
    """A source's passages, with what drawing negatives from them needs."""

    def __init__(self, passages):
        self.passages = passages
        self.ids = sorted(passages)
        self.groups = collections.defaultdict(list)
        for key in self.ids:
            self.groups[passages[key]["group"]].append(key)
        self.shingled = {}

    def shingles(self, key):
        if key not in self.shingled:
            self.shingled[key] = shingles(self.passages[key]["text"])
        return self.shingled[key]

    def says_the_same(self, key, positives):
        mine = self.shingles(key)
        return any(containment(mine, self.shingles(other)) >= SAME for other in positives)


def build_row(item, corpus, legs, settings, draw):
    """One query's candidates out of the runs of the legs, and random and same-group ones.

    `legs` are the (passage, score) lists named lexical, dense and hybrid.
    """
    scores = {name: dict(ranked) for name, ranked in legs.items()}
    group = item["group"] if settings["within_group"] else None
    order = [key for key, _ in legs["hybrid"] if key in corpus.passages]
    if group is not None:
        order = [key for key in order if corpus.passages[key]["group"] == group]
    kept = [key for place, key in enumerate(order) if place < settings["keep"] or key in item["positives"]]
    usable = usable_negatives(item, corpus, kept, scores["dense"], settings)
    candidates = [
        [key, *(scores[leg].get(key) for leg in ("lexical", "dense", "hybrid")), int(key in usable)]
        for key in kept
    ]
    drawn = draw_others(item, corpus, set(kept), settings, draw)
    roles = {role: item[role] for role in ("positives", "given", "forbidden")}
    return {"id": item["id"], "split": item["split"], "query": item["text"], **roles, "candidates": candidates, **drawn}


def usable_negatives(item, corpus, keys, dense, settings):
    """Candidates that are no known answer, do not say the same as one, and are not so close to the
    query, by themselves and beside the best answer, that they likely are answers without a label."""
    forbidden = set(item["forbidden"])
    known = [dense[key] for key in item["positives"] if key in dense]
    limit = max(settings["close"], settings["share_of_positive"] * max(known)) if known else float("inf")
    near = lambda key: dense.get(key, 0.0) > limit or corpus.says_the_same(key, item["positives"])
    return {key for key in keys if key not in forbidden and not near(key)}


def draw_others(item, corpus, taken, settings, draw):
    """Random and same-group passages, chosen once so that a teacher can score them."""
    homes = {corpus.passages[key]["group"] for key in item["positives"]}
    blocked = taken | set(item["forbidden"])
    group = [key for home in sorted(homes) for key in corpus.groups[home] if key not in blocked]
    draw.shuffle(group)
    # More are drawn than wanted, because some are left out again.
    pool = [] if settings["within_group"] else draw.sample(corpus.ids, min(len(corpus.ids), 3 * settings["random"]))
    found = {}
    for name, keys in (("group", group[: 3 * settings["group"]]), ("random", pool)):
        fine = (k for k in keys if k not in blocked and not corpus.says_the_same(k, item["positives"]))
        found[name] = sorted(set(fine), key=keys.index)[: settings[name]]
        blocked |= set(found[name])
    return found


def negative_pools(row):
    """Usable negatives by origin, best first."""
    usable = [candidate for candidate in row["candidates"] if candidate[USABLE]]

    def ranked(column):
        having = [candidate for candidate in usable if candidate[column] is not None]
        return [c[PASSAGE] for c in sorted(having, key=lambda c: -c[column])]

    named = {"fused": ranked(FUSED), "lexical": ranked(LEXICAL)[:20], "dense": ranked(DENSE)[:20]}
    return {**named, "group": row["given"] + row["group"], "random": row["random"]}


def draw_negatives(row, mix, draw):
    """Distinct negatives, as many of each origin as `mix` says where there are as many."""
    pools = negative_pools(row)
    wanted = sum(mix.values())
    blocked = set(row["forbidden"]) | set(row["positives"])
    chosen = []
    for name, count in mix.items():
        chosen += take(pools[name], count, blocked, draw)
    for name in FILL:
        chosen += take(pools[name], wanted - len(chosen), blocked, draw)
    return chosen


def take(keys, count, blocked, draw):
    left = [key for key in dict.fromkeys(keys) if key not in blocked]
    drawn = draw.sample(left, min(count, len(left)))
    blocked.update(drawn)
    return drawn


def window(row, size):
    """The head of the fused list as it really comes: passages, fused scores, gains."""
    fused = [c for c in row["candidates"] if c[FUSED] is not None]
    fused.sort(key=lambda candidate: -candidate[FUSED])
    head = fused[:size]
    gains = [1.0 if c[PASSAGE] in row["positives"] else 0.0 for c in head]
    return [c[PASSAGE] for c in head], [c[FUSED] for c in head], gains


def legs(row, keys):
    """The scores of the lexical and of the dense leg for each passage, `None` where it ranked it not."""
    columns = {c[PASSAGE]: c for c in row["candidates"]}
    nothing = [None] * 5
    return [[columns.get(key, nothing)[leg] for key in keys] for leg in (LEXICAL, DENSE)]


def of_legs(known, wanted=None):
    """The mean of the legs' scores, each in standard deviations from its mean in `known`; a passage
    that a leg did not rank is as bad there as the worst that it did, and a leg that ranked none has
    no say."""
    scales = [scale_of(values) for values in known]
    parts = [scaled(values, scale) for values, scale in zip(wanted or known, scales) if scale is not None]
    if not parts:
        return [0.0] * len((wanted or known)[0])
    return [sum(column) / len(parts) for column in zip(*parts)]


def bases(row, keys, size):
    """For each passage the fused score by legs, by the scale of the list's head of `size` passages."""
    head, _, _ = window(row, size)
    return of_legs(legs(row, head), legs(row, keys))


def scale_of(values):
    """Least, mean and standard deviation, with what is missing as bad as the least."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    least = min(known)
    filled = [least if value is None else value for value in values]
    middle = sum(filled) / len(filled)
    return least, middle, (sum((v - middle) ** 2 for v in filled) / len(filled)) ** 0.5


def scaled(values, scale):
    """In standard deviations from the mean; where there is no deviation, all are equal."""
    least, middle, spread = scale
    of = lambda value: (value - middle) / spread if spread > ROUNDING * abs(middle) else 0.0
    return [of(least if value is None else value) for value in values]


def targets(row, keys, weights, given=None):
    """For each passage a score in about 0..1 that needs no label: cosine to the query, share of the
    best BM25 score, a share of a high score of the sparse teacher, the cosine of the dense one, where that of
    bge-small-en-v1.5 stands among its cosines, and a teacher's probability, weighted. `given` holds scores of the teacher step; a passage that a leg did not rank gets a little
    less than the last one it did rank."""
    given = given or {}
    columns = {c[PASSAGE]: c for c in row["candidates"]}
    dense = [c[DENSE] for c in row["candidates"] if c[DENSE] is not None]
    best = max((c[LEXICAL] or 0.0 for c in row["candidates"]), default=0.0)
    floor = max(0.0, min(dense) - 0.05) if dense else 0.0
    found = []
    for key in keys:
        leg = columns.get(key) or [key, None, None, None, 0]
        parts = {
            "cosine": given.get("cosine", {}).get(key, floor if leg[DENSE] is None else leg[DENSE]),
            "bm25": (leg[LEXICAL] or 0.0) / best if best > 0 else 0.0,
            "sparse": shared(given.get("sparse", {}).get(key)),
            "dense": given.get("dense", {}).get(key),
            "bge": among_bge(given.get("bge", {}).get(key)),
            "cross": given.get("cross", {}).get(key),
        }
        known = {name: value for name, value in parts.items() if value is not None and weights[name] > 0}
        total = sum(weights[name] for name in known)
        found.append(sum(weights[n] * v for n, v in known.items()) / total if total else 0.0)
    return found


def shared(score):
    """A sparse score as a share of a high one."""
    return None if score is None else score / HIGH_SPARSE


def among_bge(cosine):
    """0 for a low cosine and 1 for a high one."""
    least, most = BGE_COSINES
    return None if cosine is None else (cosine - least) / (most - least)


def epoch(counts, weights, seed, number):
    """The order in which an epoch visits queries, as (source, index): `weight` copies of each
    query, a fraction standing for a share of them, drawn anew every epoch."""
    draw = chance(seed, "epoch", number)
    order = []
    for name in sorted(counts):
        whole, part = divmod(weights[name], 1.0)
        for index in range(counts[name]):
            copies = int(whole) + (draw.random() < part)
            order += [(name, index)] * copies
    draw.shuffle(order)
    return order
