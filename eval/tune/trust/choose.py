#!/usr/bin/env python3
"""Chooses the default fusion and the coefficients of leg trust from what dump.py wrote.

    choose.py LISTS_DIR [--left-out]

Prints nDCG@10 of each way to fuse on the held-out half of every set; what has coefficients got them
from the other half (`fit`), by coordinate search for the best mean over the sets less the mean of
what a set falls below the better of its legs. With --left-out also with the coefficients from the
fit halves of all other sets. Standard library only.
"""

import collections
import json
import math
import pathlib
import sys

DEPTH = 10
LEAST_SHARE = 0.02
# What the rule `as_written` of `trust.rs` adds to the log-odds of the lexical leg.
AS_WRITTEN = math.log(4.0)

# Per query: scores of its chunks in both legs (brought to deviations, and as min-max), ranks, the
# document and gain of each chunk, features.
Query = collections.namedtuple("Query", "deviations minmax ranks documents gains ideal features more scores")


def filled(leg, chunks, floor):
    scores = {chunk: score for _, chunk, score in leg}
    missing = floor if floor is not None else min(scores.values(), default=0.0)
    return [scores.get(chunk, missing) for chunk in chunks], missing


def deviations(values):
    mean = sum(values) / max(1, len(values))
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / max(1, len(values)))
    if spread <= 1e-9 * abs(mean):
        return [0.0] * len(values)
    return [(v - mean) / spread for v in values]


def scaled(leg, values, missing):
    """From 0 to 1; where all that a leg found scores alike, 1 for what it found."""
    best = max((score for *_, score in leg), default=missing)
    if best > missing:
        return [(v - missing) / (best - missing) for v in values]
    return None


def query_of(row):
    home = {chunk: document for leg in ("lexical", "dense") for document, chunk, _ in row[leg]}
    # Ties are broken by chunk id.
    chunks = sorted(home)
    floor = 0.0 if len(row["lexical"]) < 100 else None
    (lexical, low_l), (dense, low_d) = filled(row["lexical"], chunks, floor), filled(row["dense"], chunks, None)
    dev_l, dev_d = deviations(lexical), deviations(dense)
    held = [{chunk for _, chunk, _ in row[leg]} for leg in ("lexical", "dense")]
    minmax = [
        scaled(leg, values, low) or [float(chunk in own) for chunk in chunks]
        for leg, values, low, own in (
            (row["lexical"], lexical, low_l, held[0]),
            (row["dense"], dense, low_d, held[1]),
        )
    ]
    ranks = [
        [places.get(chunk) for chunk in chunks]
        for places in ({chunk: rank for rank, (_, chunk, _) in enumerate(row[leg], 1)} for leg in ("lexical", "dense"))
    ]
    grades = row["grades"]
    gains = sorted(grades.values(), reverse=True)[:DEPTH]
    # None where the model was not asked: a leg found nothing, or a rule decided.
    features = row["trust"]["features"] or None
    return Query(
        (dev_l, dev_d),
        minmax,
        ranks,
        [home[chunk] for chunk in chunks],
        [grades.get(home[chunk], 0.0) for chunk in chunks],
        sum(gain / math.log2(place + 2) for place, gain in enumerate(gains)),
        features,
        AS_WRITTEN if row["trust"]["rule"] == "as_written" else 0.0,
        (lexical, dense),
    )


def ndcg(query, scores):
    """Of documents, each where its best chunk stands."""
    total, seen = 0.0, set()
    for index in sorted(range(len(scores)), key=lambda index: -scores[index]):
        if scores[index] == -math.inf or len(seen) == DEPTH:
            break
        document = query.documents[index]
        if document not in seen:
            total += query.gains[index] / math.log2(len(seen) + 2)
            seen.add(document)
    return total / query.ideal


def one_leg(leg):
    return lambda query: [-math.inf if rank is None else -rank for rank in query.ranks[leg]]


def rrf(k, share=0.5):
    def score(query):
        votes = zip(*query.ranks)
        weights = (share, 1.0 - share)
        return [sum(w / (k + rank) for w, rank in zip(weights, own) if rank is not None) for own in votes]

    return score


def weighted(lists, share):
    return [share * lexical + (1.0 - share) * dense for lexical, dense in zip(*lists)]


def minmax(share):
    return lambda query: weighted(query.minmax, share)


def dbsf(share):
    return lambda query: weighted(query.deviations, share)


def share_of(query, coefficients):
    """The lexical leg's share of the weight, as `trust.rs` has it."""
    if query.features is None:
        return 0.5
    odds = query.more + coefficients["bias"] + sum(coefficients.get(name, 0.0) * value for name, value in query.features.items())
    return min(max(1.0 / (1.0 + math.exp(-odds)), LEAST_SHARE), 1.0 - LEAST_SHARE)


def trusted(coefficients, method=dbsf):
    return lambda query: method(share_of(query, coefficients))(query)


def rrf_at(k):
    return lambda share: rrf(k, share)


def mean(queries, score):
    return sum(ndcg(query, score(query)) for query in queries) / len(queries)


def objective(sets, score):
    """Mean over the sets, less what each falls below the better of its legs."""
    total = 0.0
    for name, queries in sets.items():
        value = mean(queries, score)
        total += value + min(0.0, value - BETTER[name])
    return total / len(sets)


GRID = {
    "bias": (-3.0, 3.0),
    "lexical_spread": (0.0, 1.5),
    "dense_spread": (-1.5, 0.0),
}
# Those of `trust.rs`.
SHIPPED = {"bias": -0.1, "lexical_spread": 1.0, "dense_spread": -1.0}
START = {"bias": 0.0, "lexical_spread": 1.0, "dense_spread": -1.0}


def fitted(sets, names, make):
    """Coordinate search with halving steps over `names`."""
    best = {name: START[name] for name in names}
    value = objective(sets, make(best))
    for step in (0.4, 0.2, 0.1):
        moved = True
        while moved:
            moved = False
            for name in names:
                for change in (-step, step):
                    other = {**best, name: round(best[name] + change, 3)}
                    low, high = GRID[name]
                    if not low <= other[name] <= high:
                        continue
                    found = objective(sets, make(other))
                    if found > value + 1e-6:
                        best, value, moved = other, found, True
    return best


BETTER = {}


def row(label, values, better):
    cells = [f"{value:.3f}" for value in values]
    worst = min(value - best for value, best in zip(values, better))
    print("| " + " | ".join([label, *cells, f"{sum(values) / len(values):.4f}", f"{worst:+.3f}"]) + " |", flush=True)


def main():
    left_out = sys.argv[2:] == ["--left-out"]
    if len(sys.argv) != 2 + left_out:
        sys.exit(__doc__)
    halves = {"fit": {}, "heldout": {}}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            halves[found["split"]].setdefault(path.stem, []).append(query_of(found))
    fit, heldout = halves["fit"], halves["heldout"]
    names = list(heldout)
    legs = [[mean(heldout[name], one_leg(leg)) for name in names] for leg in (0, 1)]
    better = [max(pair) for pair in zip(*legs)]
    BETTER.update((name, max(mean(fit[name], one_leg(leg)) for leg in (0, 1))) for name in names)
    print("| | " + " | ".join([*names, "mean", "worst against the better leg"]) + " |")
    print("|---" * (len(names) + 3) + "|")
    row("lexical", legs[0], better)
    row("dense", legs[1], better)
    methods = {"rrf k=60": rrf_at(60), "rrf k=10": rrf_at(10), "minmax": minmax, "dbsf": dbsf}
    plain = {label: method(0.5) for label, method in methods.items()}
    shipped = {f"{label}, trust as shipped": trusted(SHIPPED, method) for label, method in methods.items()}
    for label, score in {**plain, **shipped}.items():
        row(label, [mean(heldout[name], score) for name in names], better)
    constant = ["bias"]
    spreads = ["bias", "lexical_spread", "dense_spread"]
    for label, used in {"dbsf, one weight": constant, "dbsf, spreads": spreads}.items():
        best = fitted(fit, used, trusted)
        row(f"{label} {best}", [mean(heldout[name], trusted(best)) for name in names], better)
        if not left_out:
            continue
        alone = [fitted({other: fit[other] for other in names if other != name}, used, trusted) for name in names]
        row(f"{label}, left out", [mean(heldout[name], trusted(own)) for name, own in zip(names, alone)], better)


if __name__ == "__main__":
    main()
