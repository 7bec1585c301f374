#!/usr/bin/env python3
"""Chooses how the re-ranker's score is blended with the fused one, from what `dump.py --rerank` wrote.

    blend.py LISTS_DIR [NAME ...]

Of all sets, or of those named. For each way to bring the two scores to one scale, each half of every set chooses a weight (the best
mean of nDCG@10 over the sets) and the other half measures it; both halves together are what is
printed, with the paired difference from the fused list and its 95% interval (bootstrap within the
sets, seeded). Below each is what every weight gives, how far it is behind the best one, and the standard
error of that: of two weights that cannot be told apart, take the lesser. Make the sets with `sets.py --unseen-by`: on queries that it was trained on, a model
looks better than it is. Standard library only.
"""

import json
import math
import pathlib
import random
import sys

import choose

WEIGHTS = [step / 20 for step in range(13)]
HALVES = ("fit", "heldout")
# Logits that weigh as much as one standard deviation of the fused score, as in training.
LOGITS = 2.0
# Of the bundled model's manifest.
SLOPE, INTERCEPT = 0.4971, -3.2335
# A spread of the legs' scores that is usual: of BM25 as a share of what the query could score, times
# what leg trust gives it, and of cosines.
USUAL_SPREAD = 0.15
DRAWS = 2000


class Window:
    """The re-ranked head of one query's fused list."""

    def __init__(self, row):
        self.query = choose.query_of(row)
        after = row["trust"]["after"]
        self.share = after["lexical"] / (after["lexical"] + after["dense"])
        self.fused = choose.dbsf(self.share)(self.query)
        chunks = sorted({chunk for leg in ("lexical", "dense") for _, chunk, _ in row[leg]})
        raw = dict(row["rerank"])
        self.places = [index for index, chunk in enumerate(chunks) if chunk in raw]
        self.places.sort(key=lambda index: -self.fused[index])
        self.raw = [raw[chunks[index]] for index in self.places]
        self.of_fused = choose.deviations([self.fused[index] for index in self.places])
        floor = 0.0 if len(row["lexical"]) < 100 else None
        self.of_legs = [self.leg(0, floor), self.leg(1, None)]
        self.spread = self.natural_spread(row["trust"]["features"])

    def leg(self, leg, floor):
        """Deviations within the window; what the leg did not find is as bad as the worst that it did."""
        ranks, scores = self.query.ranks[leg], self.query.scores[leg]
        found = [scores[index] for index in self.places if ranks[index] is not None]
        if not found:
            return None
        least = min(found) if floor is None else min(floor, *found)
        return choose.deviations([least if ranks[index] is None else scores[index] for index in self.places])

    def natural_spread(self, features):
        """By what a deviation of the fused score is multiplied to be in the legs' own units."""
        if "lexical_spread" not in features:
            return None
        return math.exp(-0.1 + features["lexical_spread"]) + math.exp(features["dense_spread"])

    def by_legs(self, share):
        asked = [(w, own) for w, own in zip((share, 1.0 - share), self.of_legs) if own is not None]
        total = sum(weight for weight, _ in asked)
        return [sum(w * own[place] for w, own in asked) / total for place in range(len(self.places))]

    def ndcg(self, blended=None):
        """Of the whole list, the window ordered by `blended`."""
        scores = [score - 1e6 for score in self.fused]
        for place, index in enumerate(self.places):
            scores[index] = self.fused[index] if blended is None else blended[place]
        return choose.ndcg(self.query, scores)


def logits(window):
    middle = sum(window.raw) / len(window.raw)
    return [(raw - middle) / LOGITS for raw in window.raw]


def relevance(window):
    """As far apart as probabilities are: 0 to 4."""
    return [4.0 / (1.0 + math.exp(-(SLOPE * raw + INTERCEPT))) for raw in window.raw]


def natural(window):
    if window.spread is None:
        return window.of_fused
    return [window.fused[index] * window.spread / USUAL_SPREAD for index in window.places]


def deviations(window):
    return choose.deviations(window.raw)


# What the fused score is, and what the model's.
FORMS = {
    "legs within the window, weights as asked; deviations": (lambda window: window.by_legs(0.5), deviations),
    "legs within the window, trusted; deviations": (lambda window: window.by_legs(window.share), deviations),
    "fused score; deviations": (lambda window: window.of_fused, deviations),
    "fused score; logits": (lambda window: window.of_fused, logits),
    "fused score; relevance": (lambda window: window.of_fused, relevance),
    "legs in their own units; logits": (natural, logits),
}


def measured(sets, form, weight):
    """nDCG@10 of every query, by set and half."""
    base_of, model_of = FORMS[form]

    def one(window):
        if not window.raw:
            return window.ndcg()
        base, model = base_of(window), model_of(window)
        return window.ndcg([weight * m + (1.0 - weight) * b for m, b in zip(model, base)])

    return {name: {half: [one(window) for window in windows] for half, windows in halves.items()} for name, halves in sets.items()}


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def over_sets(found, half):
    return mean(mean(halves[half]) for halves in found.values())


def crossed(by_weight):
    """The weight that each half chooses, and what the other half says of it."""
    chosen, values = [], {}
    for own, other in (HALVES, HALVES[::-1]):
        best = max(by_weight, key=lambda weight: (round(over_sets(by_weight[weight], own), 6), -weight))
        chosen.append(best)
        for name, halves in by_weight[best].items():
            values.setdefault(name, {})[other] = halves[other]
    return chosen, values


def joined(values):
    return {name: halves["fit"] + halves["heldout"] for name, halves in values.items()}


def interval(differences):
    draw = random.Random(7)
    means = sorted(
        mean(mean(draw.choices(own, k=len(own))) for own in differences.values()) for _ in range(DRAWS)
    )
    return means[int(0.025 * DRAWS)], means[int(0.975 * DRAWS) - 1]


def error(values, other):
    """The standard error of the difference of two means over the sets."""
    squares = 0.0
    for name in values:
        differences = [a - b for a, b in zip(values[name], other[name])]
        middle = mean(differences)
        spread = sum((one - middle) ** 2 for one in differences) / max(1, len(differences) - 1)
        squares += spread / len(differences)
    return math.sqrt(squares) / len(values)


def row(label, values, base):
    values, base = joined(values), joined(base)
    differences = {name: [a - b for a, b in zip(values[name], base[name])] for name in values}
    gain, (low, high) = mean(mean(own) for own in differences.values()), interval(differences)
    cells = [f"{mean(own):.3f}" for own in values.values()]
    worst = min(mean(own) for own in differences.values())
    overall = mean(mean(own) for own in values.values())
    print("| " + " | ".join([label, *cells, f"{overall:.4f}", f"{gain:+.4f} [{low:+.4f}, {high:+.4f}]", f"{worst:+.3f}"]) + " |", flush=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sets, names = {}, sys.argv[2:]
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jsonl")):
        if names and path.stem not in names:
            continue
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if not lines:
            continue  # No query is left.
        halves = sets.setdefault(path.stem, {half: [] for half in HALVES})
        for found in lines:
            halves[found["split"]].append(Window(found))
    fused = {name: {half: [w.ndcg() for w in windows] for half, windows in halves.items()} for name, halves in sets.items()}
    counts = [str(sum(map(len, halves.values()))) for halves in sets.values()]
    print("| | " + " | ".join([*sets, "mean", "against the fused list (95% interval)", "worst set"]) + " |")
    print("|---" * (len(sets) + 4) + "|")
    print("| queries | " + " | ".join(counts) + " | | | |")
    row("fused list", fused, fused)
    curves = {}
    for form in FORMS:
        by_weight = {weight: measured(sets, form, weight) for weight in WEIGHTS}
        chosen, values = crossed(by_weight)
        row(f"{form}, held out {chosen}", values, fused)
        row(f"{form}, model alone", measured(sets, form, 1.0), fused)
        curves[form] = {weight: joined(found) for weight, found in by_weight.items()}
    for form, curve in curves.items():
        print(f"\n{form}:\n")
        best = max(curve.values(), key=lambda values: mean(map(mean, values.values())))
        for weight, values in curve.items():
            behind = [mean(values[name]) - mean(best[name]) for name in values]
            overall = mean(map(mean, values.values()))
            print(f"    {weight:.2f}  {overall:.4f}  {mean(behind):+.4f}, standard error {error(values, best):.4f}")


if __name__ == "__main__":
    main()
