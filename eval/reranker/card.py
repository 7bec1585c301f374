"""The model folder's manifest and card, made of what was measured. Standard library only."""

import json
import pathlib

import packages
import recipe as recipes
from files import read_json, read_lines, sha256, write_json, write_text

# Copied from the encoder the training started from, where it has them.
FILES = (
    "tokenizer.json",
    "config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "LICENSE",
    "NOTICE",
)
# `make bench PARTS=gain,rerank,report` writes between these marks.
MEASURED = ("<!-- measured -->", "Not measured yet.", "<!-- /measured -->")
# What is said of a teacher whose scores count.
TEACHERS = {
    "sparse": f"- those of a learned sparse retriever, splade-tiny of PyPI's {packages.SPARSE.name} (Apache-2.0; two layers"
    " of 128,\n  distilled on MS MARCO from a cross-encoder);",
    "dense": "- cosines of all-mpnet-base-v2 (Apache-2.0; twelve layers of 768, trained by its makers on a billion pairs,"
    " MS MARCO\n  among them);",
    "bge": f"- cosines of bge-small-en-v1.5, quantized, of PyPI's {packages.BGE.name} (MIT; twelve layers of 384, trained by its"
    " makers\n  to retrieve with, on MS MARCO and other sets);",
    "cross": "- those of a larger model trained with the same tool.",
}
# What the score is made of.
HEADS = {
    "cls": "pooler (tanh) and a linear\nhead on [CLS]",
    "match": "pooler (tanh) and a linear\nhead on [CLS], and a score of soft matches between the words of both (`match.py`) added",
    "late": "late interaction: query\nand passage are read apart, and each word of the query looks for its best match (`late.py`)",
}
# And with it where layers on top read both texts.
JOINT = "; the last {joint} of\nthem read both together, and a pooler (tanh) and a linear head on [CLS] are added"
TRAINED_NOTICE = """
{name} was trained from layers {layers} of the model above with the tool in Braid's eval/reranker;
the weights differ from the original's.
"""


def write(target, folder, recipe, probes, command):
    notice(target, recipe)
    manifest(target, folder, recipe, probes)
    write_text(target / "README.md", text(target, folder, recipe, command))


def notice(target, recipe):
    path = target / "NOTICE"
    said = path.read_text(encoding="utf-8") if path.is_file() else ""
    changed = TRAINED_NOTICE.format(name=recipe["name"], layers=layer_list(recipe))
    write_text(path, said.rstrip("\n") + "\n" + changed)


def layer_list(recipe):
    return ", ".join(map(str, recipe["trained"]["encoder"]["layers"]))


def manifest(target, folder, recipe, probes, precision="dynamic int8"):
    chosen = read_json(folder / "blend.json", {"weight": 0.0})
    files = {}
    for name in ("model.onnx", *FILES):
        if (target / name).is_file():
            files[name] = {"bytes": (target / name).stat().st_size, "sha256": sha256(target / name)}
    start = f"layers {layer_list(recipe)} of sentence-transformers/all-MiniLM-L6-v2"
    section = {"recommended_blend": chosen["weight"], "languages": recipe["languages"]}
    section |= {"probe_tolerance": 0.5, "probes": probes}
    whole = {
        "schema": 1,
        "name": recipe["name"],
        "kind": "reranker",
        "licence": recipe["licence"],
        "source": f"trained for Braid from {start}, {precision}",
        "max_tokens": recipe["export"]["max_tokens"],
        # Activations are quantized per tensor: batch mates would move a score.
        "batching": "single",
        "reranker": section,
        "files": files,
    }
    write_json(target / "manifest.json", whole)


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def text(target, folder, recipe, command):
    out = folder.parent.parent
    parts = [f"# {recipe['name']}: an English re-ranker", "", *what(target, recipe), ""]
    parts += ["## How it was made", "", "    " + (command or "eval/reranker/run.py (see its README)"), ""]
    parts += [*training(folder, recipe), "", "## Data", "", *data_section(out), ""]
    parts += ["## Overlap with evaluation sets", "", *overlap_section(out), ""]
    parts += ["## Validation", "", *validation(folder), ""]
    parts += ["## Measured", "", *MEASURED, ""]
    parts += ["## Agreement", "", *agreement(folder), ""]
    parts += ["## Everything tried", "", *tried(out, folder.name), ""]
    return "\n".join(parts)


def what(target, recipe):
    settings = recipe["trained"]["encoder"]
    size = (target / "model.onnx").stat().st_size / 1e6
    count = len(settings["layers"])
    head = HEADS[settings["head"]] + (JOINT.format(joint=settings["joint"]) if settings.get("joint") else "")
    return [
        f"{count} layers ({layer_list(recipe)} of all-MiniLM-L6-v2, Apache-2.0); {head};",
        "input `[CLS] query [SEP] passage [SEP]` (token types 0 and 1), output `logits` [batch, 1] (raw).",
        "Dynamic int8 (QInt8, per channel, reduced range; word embeddings int8 with a scale for each",
        f"row), {size:.1f} MB.",
        f"Window: {recipe['export']['max_tokens']} tokens, the passage cut and never the query. Run it one pair at a time:",
        "activations are quantized per tensor, so batch mates would move a score.",
    ]


def training(folder, recipe):
    trained = recipe["trained"]
    log = list(read_lines(folder / "log.jsonl")) if (folder / "log.jsonl").is_file() else []
    steps = max((line.get("step", 0) for line in log), default=0)
    minutes = max((line["minutes"] for line in log), default=0)
    mix = ", ".join(f"{count} {name}" for name, count in trained["negatives"].items())
    return [
        f"{steps} steps of {trained['train']['queries_per_step']} queries in {minutes:.0f} minutes; negatives beside each",
        f"positive: {mix}. Losses: {losses(trained['warmup'])} over the first {trained['train']['warmup_share']}",
        f"of the time, then {losses(trained['finetune'])}.",
        *taught(trained["targets"]),
        "All settings:",
        "",
        "    " + json.dumps({key: trained[key] for key in recipes.RUN_SECTIONS if key != "sources"}),
    ]


def taught(targets):
    """Where the scores without labels come from."""
    found = [text for name, text in TEACHERS.items() if targets.get(name, 0) > 0]
    if not found:
        return []
    return ["kl and the mse losses are against scores without labels:", "", *found, "", "None of their weights is in this model."]


def losses(phase):
    return " + ".join(f"{weight} {name}" for name, weight in phase["losses"].items()) + f" at {phase['lr']}"


def data_section(out):
    data = read_json(out / "data.json", {})
    rows = []
    for name, found in data.items():
        used = "validated on only" if found["held_out"] else found["train"]
        titled = "yes" if found["titled"] else "no"
        rows.append([name, used, found["valid"], found["pseudo"], found["passages"], titled, found["licence"]])
    head = ["source", "training queries", "validation queries", "unlabelled queries", "passages", "titles", "licence"]
    note = "Where a source has titles all of its passages have one; where it has none, none do."
    return [table(head, rows), "", note]


def overlap_section(out):
    overlap = read_json(out / "overlap.json", {})
    if not overlap.get("against"):
        return ["Not checked: no evaluation set was named."]
    rows = []
    for name, found in overlap["sources"].items():
        if found["counts"]:
            counts = "; ".join(f"{what}: {count}" for what, count in found["counts"].items())
            rows.append([name, found["queries_dropped"], found["passages_dropped"], counts])
    checked = sum(f["queries_checked"] for f in overlap["sources"].values())
    passages = sum(f["passages_checked"] for f in overlap["sources"].values())
    lines = [
        f"{checked} queries and {passages} passages were compared with {', '.join(overlap['against'])}.",
        "What equalled or nearly equalled an evaluation query or document was dropped, except documents",
        "that a source shares with a set by nature.",
    ]
    found = table(["source", "queries dropped", "passages dropped", "matches"], rows) if rows else "Nothing overlapped."
    return [*lines, "", found]


def validation(folder):
    found = read_json(folder / "blend.json", {})
    if not found.get("sources"):
        return ["Not measured: no query was set aside."]
    rows = []
    for name, line in found["sources"].items():
        low, high = line["interval"]
        shown = [f"{line[key]:.3f}" for key in ("fused", "alone", "blended")]
        kind = "held out" if line["held_out"] else "trained on"
        rows.append([name, kind, line["queries"], *shown, f"{line['gain']:+.3f} ({low:+.3f} to {high:+.3f})"])
    forms = []
    for form, line in found["forms"].items():
        gains = [f"{line['gain']:+.4f}", f"{line['worst']:+.4f}"]
        forms.append([form, line["weight"], f"{line['ndcg']:.4f}", *gains])
    head = ["source", "", "queries", "fused list", "model alone", "blended", "gain (95% interval)"]
    return [
        "nDCG@10 over the fused list's head as Braid gives it, on queries kept out of training: in its own order",
        "(blend 0), by the model alone (blend 1), and by the recommended blend of",
        f"{found['weight']}: the least weight within one standard error of the best. It was chosen here, and on no",
        "evaluation set.",
        "",
        table(head, rows),
        "",
        "The weight so chosen for each way to normalise the two scores (Braid blends z-scores; `blend.py` says",
        "what the others are):",
        "",
        table(["form", "weight", "nDCG@10", "gain", "worst source"], forms),
    ]


def agreement(folder):
    found = read_json(folder / "agreement.json")
    return [
        f"ONNX fp32 and PyTorch differ by at most {found['onnx_difference']:.1e}. int8 against fp32 on",
        f"{found['lists']} validation lists: rank correlation {found['correlation']:.3f}, largest difference",
        f"of a score {found['largest_difference']:.2f}, nDCG@10 blended {found['int8_blended']:.4f} against",
        f"{found['fp32_blended']:.4f}, alone {found['int8_alone']:.4f} against {found['fp32_alone']:.4f}.",
    ]


def tried(out, run):
    path = pathlib.Path(out, "results.jsonl")
    results = list(read_lines(path)) if path.is_file() else []
    if not results:
        return ["This one alone."]
    base = next((line for line in reversed(results) if line["run"] == run), results[-1])["settings"]
    rows = []
    for line in results:
        shown = [f"{line[key]:.4f}" if key in line else "-" for key in ("fused", "base", "alone", "blended")]
        rows.append([line["run"], line["steps"], line["minutes"], *shown, line["weight"], differing(line["settings"], base)])
    head = ["run", "steps", "minutes", "fused", "legs' scores", "alone", "blended", "weight", "differs from this one in"]
    note = "Validation nDCG@10 of each configuration, over as many queries as it was validated on."
    return [note, "", table(head, rows)]


def differing(settings, base):
    found = []
    for section, values in settings.items():
        for key, value in values.items():
            if base.get(section, {}).get(key) != value:
                found.append(f"{section}.{key}={json.dumps(value)}")
    return "; ".join(found) or "-"
