"""Losses over lists of scores, `[queries, candidates]`, the positive first. PyTorch."""

import torch

from blend import LOGITS
from files import fail


def grid(values, sizes, filling):
    """Flat values of lists of these sizes as a padded grid."""
    longest = max(sizes)
    rows, start = [], 0
    for size in sizes:
        row = values[start : start + size]
        rows.append(torch.nn.functional.pad(row, (0, longest - size), value=filling))
        start += size
    return torch.stack(rows)


def listwise(scores, goals, bases, mask):
    """The positive against all others."""
    return -torch.log_softmax(scores.masked_fill(~mask, -1e4), dim=1)[:, 0].mean()


def residual(scores, goals, bases, mask):
    """The same with the fused score added: what is left to say beside it."""
    return listwise(scores + LOGITS * bases, goals, bases, mask)


def kl(scores, goals, bases, mask):
    """The order that the goals give, as a distribution over the list."""
    theirs = torch.softmax(goals.masked_fill(~mask, -1e4), dim=1)
    ours = torch.log_softmax(scores.masked_fill(~mask, -1e4), dim=1)
    return torch.nn.functional.kl_div(ours, theirs, reduction="batchmean")


def mse(scores, goals, bases, mask):
    """The goals themselves."""
    return ((scores - goals)[mask] ** 2).mean()


def margin_mse(scores, goals, bases, mask):
    """How far the positive is ahead of each other one."""
    ahead = lambda grid: grid[:, :1] - grid[:, 1:]
    return ((ahead(scores) - ahead(goals))[mask[:, 1:]] ** 2).mean()


def centred_mse(scores, goals, bases, mask):
    """How far each is from the list's mean: what a list's order depends on, and all differences within
    it at once (Hofstätter et al. 2020 distil those to the positive)."""
    counts = mask.sum(1, keepdim=True)
    centred = lambda grid: grid - (grid * mask).sum(1, keepdim=True) / counts
    return ((centred(scores) - centred(goals))[mask] ** 2).mean()


LOSSES = {
    "listwise": listwise,
    "residual": residual,
    "kl": kl,
    "mse": mse,
    "margin_mse": margin_mse,
    "centred_mse": centred_mse,
}


def total(weights, scores, goals, bases, sizes):
    """The weighted sum, and each loss by name."""
    if unknown := set(weights) - set(LOSSES):
        fail(f"unknown loss {', '.join(sorted(unknown))}: use {', '.join(LOSSES)}")
    lengths = torch.tensor(sizes, device=scores.device)
    mask = torch.arange(max(sizes), device=scores.device) < lengths[:, None]
    scores, goals, bases = (grid(values, sizes, 0.0) for values in (scores, goals, bases))
    parts = {name: LOSSES[name](scores, goals, bases, mask) for name, weight in weights.items() if weight > 0}
    summed = sum(weights[name] * part for name, part in parts.items())
    return summed, {name: round(part.item(), 4) for name, part in parts.items()}
