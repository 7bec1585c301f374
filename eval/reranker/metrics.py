"""Ranking metrics and correlations in plain Python, as trec_eval defines them."""

import math
import random


def dcg(gains):
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def ndcg(ranked_gains, all_gains, depth=10):
    """nDCG at `depth`. `all_gains` are the gains of everything relevant, found or not."""
    ideal = dcg(sorted(all_gains, reverse=True)[:depth])
    return dcg(ranked_gains[:depth]) / ideal if ideal > 0 else 0.0


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def variance(values):
    """The unbiased estimate; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    middle = mean(values)
    return sum((value - middle) ** 2 for value in values) / (len(values) - 1)


def interval(differences, draws=2000, seed=7):
    """95% bootstrap interval of the mean of paired differences."""
    if not differences:
        return (0.0, 0.0)
    draw = random.Random(seed)
    count = len(differences)
    means = sorted(mean(draw.choices(differences, k=count)) for _ in range(draws))
    return (means[int(0.025 * draws)], means[int(0.975 * draws) - 1])


def ranks(values):
    """Ranks from 0, equal values sharing the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            found[place] = (start + end) / 2
        start = end + 1
    return found


def spearman(a, b):
    """Rank correlation; 1 for lists too short or too flat to disagree."""
    a, b = ranks(a), ranks(b)
    mean_a, mean_b = mean(a), mean(b)
    covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
    spread = math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))
    return covariance / spread if spread > 0 else 1.0
