"""Late interaction: query and passage are read apart, and each word of the query looks for its best match among
the passage's tokens, the [SEP] at its end included (Khattab and Zaharia 2020, ColBERT). The query sees nothing of
the passage; a passage sees of the query what [CLS] holds, which both share. PyTorch.

An encoder that was trained to compare sentences does so before it is trained here, which a cross-encoder cut
out of it does not: what is learned is which words matter, and to match better.
"""

import torch
from torch import nn

from match import TINY, cosines_of, roles, unit

# Logits of a difference of 1 between cosines, and the cosine at which the logit is 0.
SCALE, SHIFT = 20.0, 0.5


class Late(nn.Module):
    """From states of `levels` levels to a score, `[batch]`. It begins as the mean over the query's words of
    the best cosine in the last level; the other levels and the cosine of both means have no say at first."""

    def __init__(self, config, levels):
        super().__init__()
        self.salience = nn.Linear(config["hidden_size"], 1)
        self.mix = nn.Linear(levels + 1, 1)
        # What tells the passage's tokens from the query's where layers above read both together.
        self.passage = nn.Parameter(torch.zeros(config["hidden_size"]))
        with torch.no_grad():
            for parameter in (*self.salience.parameters(), *self.mix.parameters()):
                parameter.zero_()
            self.mix.weight[0, levels - 1] = 1.0

    def forward(self, levels, attention_mask, token_type_ids):
        """`levels` are states `[batch, tokens, hidden]`, from the word embeddings to the last layer's. In full
        precision, whatever the layers ran in: differences of cosines are small."""
        with torch.autocast(levels[-1].device.type, enabled=False):
            return self.score([states.float() for states in levels], attention_mask, token_type_ids)

    def score(self, levels, attention_mask, token_type_ids):
        words, found = words_of(attention_mask, token_type_ids)
        count = int(words.sum(1).max()) + 1
        words = words[:, :count]
        weights = torch.exp(torch.tanh(self.salience(levels[-1][:, :count])[:, :, 0])) * words
        total = weights.sum(1) + TINY
        best = [cosines_of(states, count, found).amax(2) for states in levels]
        features = [(of_level * weights).sum(1) / total for of_level in best]
        features.append(of_means(levels[-1], count, words, found))
        return SCALE * self.mix(torch.stack(features, dim=1) - SHIFT)[:, 0]


def words_of(attention_mask, token_type_ids):
    """1.0 where a token is a word of the query, between [CLS] and [SEP]; and where it is of the passage."""
    asked, found = roles(attention_mask, token_type_ids)
    places = torch.arange(asked.shape[1], device=asked.device)
    last = asked.sum(1, keepdim=True) - 1
    return asked * (places > 0) * (places < last), found


def of_means(states, count, words, found):
    """The cosine of the query's mean state and the passage's, `[batch]`."""
    asked = (states[:, :count] * words[:, :, None]).sum(1)
    told = (states * found[:, :, None]).sum(1)
    return (unit(asked) * unit(told)).sum(1)


def places_apart(attention_mask, token_type_ids):
    """Where each token stands in its own text, `[batch, tokens]`: a passage's first one comes right after the
    [CLS] that it shares with the query."""
    places = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    asked = (attention_mask * (1 - token_type_ids)).sum(1, keepdim=True)
    return places - token_type_ids * (asked - 1)


def mask_apart(attention_mask, token_type_ids):
    """What each token attends to, `[batch, 1, tokens, tokens]`: those of its own text, and [CLS]."""
    same = token_type_ids[:, :, None] == token_type_ids[:, None, :]
    same[:, :, 0] = True
    return (same & attention_mask[:, None, :].bool())[:, None]
