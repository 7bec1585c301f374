#!/usr/bin/env python3
"""Step 6: chooses the blend of the model's score with the fused score, on validation queries alone.

    blend.py --out OUT [--run NAME] [--recipe FILE] [--set key=value ...]

Reads OUT/runs/NAME/valid.jsonl (the candidates of each validation query with all scores) and writes
OUT/runs/NAME/blend.json: the form and weight to use, and what every other one would give. Braid
blends z-scores of the model's scores and the fused ones; the other forms are measured for comparison.
Standard library only.
"""

import math
import pathlib

import lists
import metrics
import options
import recipe as recipes
from files import fail, read_lines, say, write_json

# The form that Braid has.
FORM = "z_scores"
WEIGHTS = [step / 20 for step in range(21)]
# Logits of the model that weigh as much as one standard deviation of the fused score, fitted on training
# queries: training adds the legs' scores so, too.
LOGITS = 2.0
# By which a model's logits are multiplied to find the loss that is theirs at best.
SCALES = (0.125, 0.25, 0.5, 1.0, 2.0)


def min_max(values):
    """0..1 over the list; where all are equal, each is the best."""
    least, most = min(values), max(values)
    return [(v - least) / (most - least) if most > least else 1.0 for v in values]


def z_score(values):
    return lists.scaled(values, lists.scale_of(values))


def logits(values):
    return [value / LOGITS for value in values]


def fused(entry):
    """The fused list's scores."""
    return z_score(entry["fused"])


def of_legs(entry):
    """The legs' scores by their distances in the window, with even weights (see `lists.of_legs`)."""
    return lists.of_legs([entry["lexical"], entry["dense"]])


# How the model's scores and the fused ones are normalised.
FORMS = {
    "logits": (logits, fused),
    "z_scores": (z_score, fused),
    "min_max": (min_max, lambda entry: min_max(entry["fused"])),
    "legs": (z_score, of_legs),
}


def order(entry, weight, form=FORM):
    """Places of a window, best first; equal scores keep the fused order."""
    if not entry["raw"]:
        return []
    of_raw, of_fused = FORMS[form]
    pairs = zip(of_raw(entry["raw"]), of_fused(entry))
    blended = [weight * model + (1 - weight) * base for model, base in pairs]
    return sorted(range(len(blended)), key=lambda place: -blended[place])


def entry_ndcg(entry, weight, form=FORM):
    ranked = order(entry, weight, form)
    return metrics.ndcg([entry["gains"][place] for place in ranked], entry["all_gains"])


def by_source(entries, weight, form=FORM):
    """nDCG@10 of each query, by source."""
    found = {}
    for entry in entries:
        found.setdefault(entry["source"], []).append(entry_ndcg(entry, weight, form))
    return found


def shares_of(names, held_out, held_out_weight):
    """How much each source counts: a held-out one more, because it measures transfer."""
    return {name: held_out_weight if name in held_out else 1.0 for name in names}


def macro(means, held_out, held_out_weight):
    """The mean over sources."""
    shares = shares_of(means, held_out, held_out_weight)
    return sum(means[n] * shares[n] for n in means) / sum(shares.values())


def measure(entries, held_out, settings, forms=tuple(FORMS)):
    """One line for each form and weight."""
    base = {name: metrics.mean(values) for name, values in by_source(entries, 0.0).items()}
    lines = []
    for form in forms:
        for weight in WEIGHTS:
            scores = by_source(entries, weight, form)
            means = {name: metrics.mean(values) for name, values in scores.items()}
            gains = {name: means[name] - base[name] for name in means}
            line = {"form": form, "weight": weight, "worst": min(gains.values()), "sources": means}
            line["scores"] = scores
            line["ndcg"] = macro(means, held_out, settings["held_out_weight"])
            line["gain"] = macro(gains, held_out, settings["held_out_weight"])
            lines.append(line)
    return lines


def choose(lines, tolerance, form=FORM, shares=None):
    """The least weight that is not told apart from the best one: its mean is at most one standard error
    of their paired difference behind (the one-standard-error rule of Breiman et al. 1984). Validation
    queries come from the sources that the model was trained on and so speak for the model; where they
    do not speak loudly, the legs keep their say. Only weights that hurt no source beyond `tolerance`
    are looked at, or those that hurt the most hurt one least."""
    lines = [line for line in lines if line["form"] == form]
    least = max(line["worst"] for line in lines)
    allowed = [line for line in lines if line["worst"] >= min(-tolerance, least)]
    best = max(allowed, key=lambda line: (round(line["ndcg"], 6), -line["weight"]))
    near = [line for line in allowed if best["ndcg"] - line["ndcg"] <= error(best, line, shares) + 1e-9]
    return min(near, key=lambda line: line["weight"])


def error(one, other, shares=None):
    """The standard error of the difference of two lines' means over sources."""
    shares = shares or {name: 1.0 for name in one["scores"]}
    total = sum(shares[name] for name in one["scores"])
    squares = 0.0
    for name, values in one["scores"].items():
        differences = [a - b for a, b in zip(values, other["scores"][name])]
        squares += (shares[name] / total) ** 2 * metrics.variance(differences) / len(differences)
    return math.sqrt(squares)


def brief(entries, held_out, settings):
    """What training looks at: fused list, model alone, best blend."""
    lines = measure(entries, held_out, settings, (FORM,))
    best = choose(lines, settings["tolerance"], FORM, shares_of(lines[0]["sources"], held_out, settings["held_out_weight"]))
    alone = next(line for line in lines if line["weight"] == 1.0)
    fused_means = {name: metrics.mean(values) for name, values in by_source(entries, 0.0).items()}
    return {
        "fused": macro(fused_means, held_out, settings["held_out_weight"]),
        "alone": alone["ndcg"],
        "blended": best["ndcg"],
        "weight": best["weight"],
        "loss": loss(entries),
        "sources": {n: [fused_means[n], alone["sources"][n], best["sources"][n]] for n in best["sources"]},
    }


def loss(entries):
    """How little of the list's probability its answers get, by the model beside the fused score: the
    mean over queries of the negative logarithm, at the best of a few scales of the model's scores, as
    the blend's weight chooses theirs too. Smoother than nDCG, which over a few hundred queries moves by
    more than models differ."""
    return min(loss_at(entries, scale) for scale in SCALES)


def loss_at(entries, scale):
    found = []
    for entry in entries:
        if any(entry["gains"]):
            scores = [LOGITS * base + scale * raw for base, raw in zip(of_legs(entry), entry["raw"])]
            highest = max(scores)
            shares = [math.exp(score - highest) for score in scores]
            right = sum(share for share, gain in zip(shares, entry["gains"]) if gain)
            found.append(math.log(sum(shares)) - math.log(max(right, 1e-30)))
    return metrics.mean(found)


def report(entries, held_out, settings):
    """The choice, the best of each form, and paired intervals by source."""
    lines = measure(entries, held_out, settings)
    shares = shares_of(lines[0]["sources"], held_out, settings["held_out_weight"])
    best = choose(lines, settings["tolerance"], FORM, shares)
    before, after = by_source(entries, 0.0), by_source(entries, best["weight"])
    alone = by_source(entries, 1.0)
    sources = {}
    for name in before:
        differences = [b - a for a, b in zip(before[name], after[name])]
        sources[name] = {
            "queries": len(differences),
            "held_out": name in held_out,
            "fused": metrics.mean(before[name]),
            "alone": metrics.mean(alone[name]),
            "blended": metrics.mean(after[name]),
            "gain": metrics.mean(differences),
            "interval": metrics.interval(differences),
        }
    forms = {form: choose(lines, settings["tolerance"], form, shares) for form in FORMS}
    slim = lambda line: {key: line[key] for key in ("form", "weight", "ndcg", "gain", "worst")}
    forms = {form: slim(line) for form, line in forms.items()}
    return {**slim(best), "sources": sources, "forms": forms, "lines": [slim(line) for line in lines]}


def run(arguments, recipe):
    folder = pathlib.Path(arguments.out, "runs", arguments.run)
    if not (folder / "valid.jsonl").is_file():
        fail(f"{folder}/valid.jsonl is missing: run the train step first")
    entries = list(read_lines(folder / "valid.jsonl"))
    if not entries:
        say("no validation queries: blend 0, which leaves the fused order as it is")
        write_json(folder / "blend.json", {"form": FORM, "weight": 0.0, "sources": {}, "forms": {}})
        return
    held_out = {entry["source"] for entry in entries if entry["held_out"]}
    found = report(entries, held_out, recipe["validate"])
    write_json(folder / "blend.json", found)
    gains = f"gain {found['gain']:+.4f}, worst {found['worst']:+.4f}"
    say(f"blend {found['weight']}: nDCG@10 {found['ndcg']:.4f}, {gains}")


def main():
    arguments = options.parse(__doc__, train=True)
    run(arguments, recipes.load(arguments.recipe, arguments.set))


if __name__ == "__main__":
    main()
