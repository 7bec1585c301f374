"""How far a run is, and what follows from it: phase and learning rate. Standard library only."""

import math


def progress(train, step, elapsed):
    """0..1 by wall-clock seconds, or by steps where the recipe gives no minutes."""
    if train["minutes"] > 0:
        return min(1.0, elapsed / (60 * train["minutes"]))
    return min(1.0, step / max(1, train["steps"]))


def phase_of(train, done):
    """The phase at `done`, and how far the phase is."""
    share = train["warmup_share"]
    if done < share:
        return "warmup", done / share
    return "finetune", (done - share) / (1 - share) if share < 1 else 1.0


def learning_rate(settings, done):
    """Rises from near 0 over `rise` of the phase, then falls to `floor` of the peak."""
    if done < settings["rise"]:
        return settings["lr"] * max(0.01, done / settings["rise"])
    fall = (done - settings["rise"]) / (1 - settings["rise"])
    left = 1 - fall if settings["decay"] == "linear" else (1 + math.cos(math.pi * fall)) / 2
    return settings["lr"] * (settings["floor"] + (1 - settings["floor"]) * max(0.0, left))
