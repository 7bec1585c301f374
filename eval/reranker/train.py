#!/usr/bin/env python3
"""Step 5: trains the cross-encoder and validates it as it goes.

    train.py --out OUT [--run NAME] [--minutes N] [--threads N] [--bf16 auto|on|off] [--encoder DIR]
             [--recipe FILE] [--set key=value ...]

A warm-up on scores that need no labels, then fine-tuning on labels with those scores as a
regulariser. Writes OUT/runs/NAME/: `log.jsonl`, `last.pt` (an interrupted run goes on from it),
`checkpoint/` (the best averaged weights so far), `valid.jsonl` (the scores of the best on every
validation query), and adds a line to OUT/results.jsonl. PyTorch.
"""

import collections
import copy
import json
import math
import pathlib
import shutil
import time

import torch

import blend
import candidates
import encoder
import losses
import match
import network as networks
import options
import recipe as recipes
import schedule
import scoring
from batches import Batches
from files import append_line, fail, read_json, say, write_json, write_lines
from pairs import Pairs

# Seconds between checkpoints, and steps between log lines.
SAVE_SECONDS = 120
LOG_STEPS = 20


class Training:
    def __init__(self, arguments, recipe):
        self.out, self.recipe = pathlib.Path(arguments.out), recipe
        self.folder = self.out / "runs" / arguments.run
        self.folder.mkdir(parents=True, exist_ok=True)
        self.device = scoring.pick_device(arguments.threads)
        self.autocast = scoring.wants_bf16(arguments.bf16, self.device)
        torch.manual_seed(recipe["seed"])
        self.mined = candidates.read(self.out, recipe)
        self.build(encoder.find(self.out, arguments.encoder))
        self.quick = candidates.valid_entries(self.mined, recipe, quick=True)
        if not self.quick:
            say("no validation queries: the last weights are kept, and no blend can be chosen")
        self.batches = {phase: Batches(self.mined, recipe, phase, self.length) for phase in ("warmup", "finetune")}
        self.state = {"step": 0, "elapsed": 0.0, "best": math.inf, "worse": 0, "done": False}
        self.state |= {"phase_steps": {"warmup": 0, "finetune": 0}, "validated": 0.0}
        self.resume()

    def build(self, start):
        settings = self.recipe["encoder"]
        self.model = networks.load(start, settings["layers"], settings["head"], settings["dropout"], settings["joint"])
        if settings["freeze_embeddings"]:
            self.model.words.weight.requires_grad_(False)
        if self.model.match is not None and not (self.folder / "last.pt").is_file():
            self.count_words(start)
        self.model.to(self.device)
        self.average = copy.deepcopy(self.model).eval()
        (self.folder / "checkpoint").mkdir(exist_ok=True)
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "LICENSE", "NOTICE"):
            if (start / name).is_file():
                shutil.copyfile(start / name, self.folder / "checkpoint" / name)
        train = self.recipe["train"]
        self.pairs = Pairs(start / "tokenizer.json", train["max_tokens"])
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, train), lr=1e-9)

    def count_words(self, start):
        """How rare each word piece is in the training passages, which soft matches are weighed by."""
        pairs, counts, passages = Pairs(start / "tokenizer.json", 512), collections.Counter(), 0
        for source in self.mined.values():
            if not source.settings["held_out"]:
                passages += len(source.passages)
                for passage in source.passages.values():
                    counts.update(set(pairs.pieces(passage["text"]).tolist()))
        found = match.rarity(counts, passages, len(self.model.match.rarity), (pairs.cls, pairs.sep, pairs.pad))
        with torch.no_grad():
            self.model.match.rarity.copy_(found)

    def length(self, triple):
        _, title, text = triple
        return min(self.pairs.max_tokens, len(self.pairs.pieces(text)) + (len(title) // 4 if title else 0))

    def resume(self):
        path = self.folder / "last.pt"
        settled = recipes.fingerprint(self.recipe)
        if path.is_file():
            saved = torch.load(path, map_location=self.device, weights_only=True)
            if saved["recipe"] != settled:
                fail(f"{self.folder} was trained with other settings: choose another --run or remove it")
            self.model.load_state_dict(saved["model"])
            self.average.load_state_dict(saved["average"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.state = saved["state"]
            torch.manual_seed(self.recipe["seed"] + self.state["step"])
            say(f"{self.folder.name}: going on at step {self.state['step']}")
        else:
            write_json(self.folder / "settings.json", self.recipe)

    def save(self):
        whole = {"recipe": recipes.fingerprint(self.recipe), "state": self.state}
        whole |= {"model": self.model.state_dict(), "average": self.average.state_dict()}
        whole["optimizer"] = self.optimizer.state_dict()
        partial = self.folder / "last.pt.partial"
        torch.save(whole, partial)
        partial.replace(self.folder / "last.pt")

    def forward(self, shown):
        """Scores of all pairs of a step, in slices of similar length."""
        triples = [triple for triples, _, _ in shown for triple in triples]
        encoded = [self.pairs.pair(*triple) for triple in triples]
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place][0]))
        size = math.ceil(len(order) / self.recipe["train"]["slices"])
        scores = []
        for start in range(0, len(order), size):
            batch = self.pairs.padded([encoded[place] for place in order[start : start + size]])
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                scores.append(self.model(**scoring.tensors(batch, self.device)).float())
        return torch.cat(scores)[torch.tensor(order, device=self.device).argsort()]

    def step(self, phase, done):
        settings = self.recipe[phase]
        shown = self.batches[phase].step(self.state["phase_steps"][phase])
        rate = schedule.learning_rate(settings, done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["times"]
        self.model.train()
        scores = self.forward(shown)
        flat = lambda column: torch.tensor([x for one in shown for x in one[column]], device=self.device)
        sizes = [len(goals) for _, goals, _ in shown]
        loss, parts = losses.total(settings["losses"], scores, flat(1), flat(2), sizes)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe["train"]["clip"])
        self.optimizer.step()
        self.state["step"] += 1
        self.state["phase_steps"][phase] += 1
        self.follow()
        return {"loss": round(loss.item(), 4), **parts, "lr": rate, "pairs": len(scores)}

    @torch.no_grad()
    def follow(self):
        """Moves the averaged weights after the trained ones, quickly at first."""
        step = self.state["step"]
        share = 1 - min(self.recipe["train"]["ema"], (1 + step) / (10 + step))
        trained = [p for p in self.model.parameters() if p.requires_grad]
        averaged = [a for a, p in zip(self.average.parameters(), self.model.parameters()) if p.requires_grad]
        torch._foreach_lerp_(averaged, trained, share)

    def validate(self, phase):
        """Scores the quick validation queries; keeps the weights when they are the best so far."""
        if not self.quick:
            networks.save(self.average, self.folder / "checkpoint")
            return
        score = scoring.scorer(self.average, self.pairs, self.autocast)
        entries = candidates.scored(self.quick, score)
        found = blend.brief(entries, candidates.held_out(entries), self.recipe["validate"])
        better = found["loss"] < self.state["best"]
        if better or not (self.folder / "checkpoint" / "model.safetensors").is_file():
            self.state |= {"best": found["loss"], "worse": 0, "best_step": self.state["step"]}
            networks.save(self.average, self.folder / "checkpoint")
        elif phase == "finetune":
            self.state["worse"] += 1
        self.log({"validation": found, "step": self.state["step"], "phase": phase, "kept": better})
        shown = ", ".join(f"{name} {found[name]:.4f}" for name in ("fused", "alone", "blended"))
        say(f"step {self.state['step']}: loss {found['loss']:.4f}, nDCG@10 {shown} at {found['weight']}")

    def log(self, line):
        append_line(self.folder / "log.jsonl", {**line, "minutes": round(self.state["elapsed"] / 60, 2)})

    def run(self):
        train, state = self.recipe["train"], self.state
        began, saved, seen, worked = time.monotonic() - state["elapsed"], time.monotonic(), 0, 0.0
        while not state["done"]:
            state["elapsed"] = time.monotonic() - began
            done = schedule.progress(train, state["step"], state["elapsed"])
            if done >= 1.0 or state["worse"] >= train["patience"]:
                break
            phase, within = schedule.phase_of(train, done)
            started = time.monotonic()
            line = self.step(phase, within)
            seen, worked = seen + line["pairs"], worked + time.monotonic() - started
            if state["step"] % LOG_STEPS == 0:
                self.log({"step": state["step"], "phase": phase, **line, "pairs_per_s": round(seen / worked, 1)})
                seen, worked = 0, 0.0
            state["elapsed"] = time.monotonic() - began
            if state["elapsed"] - state["validated"] >= 60 * train["validate_minutes"]:
                self.validate(phase)
                state["elapsed"] = state["validated"] = time.monotonic() - began
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        if not state["done"]:
            self.validate("finetune")
            state["done"] = True
            self.save()


def parameter_groups(model, train):
    """Weights decay, biases and norms do not, nor do word embeddings: those of words that training never
    shows stay as they are. What starts random learns faster."""
    groups = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            words, fresh = name.startswith("words."), name.startswith((*networks.OWN, "head.", "pooler."))
            times = train["words_lr"] if words else train["fresh_lr"] if fresh else 1.0
            decay = train["weight_decay"] if parameter.dim() > 1 and not words else 0.0
            groups.setdefault((times, decay), []).append(parameter)
    return [{"params": p, "times": times, "weight_decay": decay} for (times, decay), p in groups.items()]


def finish(training):
    """Scores every validation query with the best weights."""
    folder, recipe = training.folder, training.recipe
    if not training.quick:
        write_lines(folder / "valid.jsonl", [])
        return
    best = networks.load(folder / "checkpoint").to(training.device).eval()
    # Validated as it is served: with the window that is shipped.
    pairs = Pairs(folder / "checkpoint" / "tokenizer.json", recipe["export"]["max_tokens"])
    entries = candidates.valid_entries(training.mined, recipe, quick=False)
    entries = candidates.scored(entries, scoring.scorer(best, pairs, training.autocast))
    write_lines(folder / "valid.jsonl", entries)
    found = blend.brief(entries, candidates.held_out(entries), recipe["validate"])
    line = {"run": folder.name, "settings": json.loads(recipes.fingerprint(recipe)), **found}
    minutes = round(training.state["elapsed"] / 60, 1)
    append_line(training.out / "results.jsonl", {**line, "steps": training.state["step"], "minutes": minutes})


def run(arguments, recipe):
    if arguments.minutes is not None:
        recipe["train"]["minutes"] = arguments.minutes
    training = Training(arguments, recipe)
    if not (training.folder / "valid.jsonl").is_file() or not training.state["done"]:
        training.run()
        finish(training)
    return read_json(training.folder / "settings.json")


def main():
    arguments = options.parse(__doc__, train=True)
    run(arguments, recipes.load(arguments.recipe, arguments.set))


if __name__ == "__main__":
    main()
