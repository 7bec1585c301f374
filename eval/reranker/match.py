"""How well the words of the query are found in the passage, as features of a score. PyTorch.

Kernel pooling over the cosines of query and passage tokens (Xiong et al. 2017, K-NRM), of word
embeddings and of the states between layers (MacAvaney et al. 2019, CEDR): a small encoder with little
training learns to weigh such evidence long before it learns to find it.
"""

import math

import torch
from torch import nn
from torch.nn import functional

# Centres of the kernels, and their width.
CENTRES = (0.95, 0.75, 0.55, 0.35)
WIDTH = 0.1
# Features of a level: the best cosine, and how much passage is near each centre.
FEATURES = 1 + len(CENTRES)
# What stands in for the cosine of a pair that does not count: far from every kernel.
NO_MATCH = -2.0
INNER = 32
# Keeps norms of zero vectors away from zero.
TINY = 1e-6


class Match(nn.Module):
    """From states of `levels` levels to a score, `[batch]`."""

    def __init__(self, config, levels):
        super().__init__()
        hidden = config["hidden_size"]
        self.scale = nn.Parameter(torch.ones(levels, hidden))
        # How rare each word piece is; set from the training passages and then left alone.
        self.rarity = nn.Parameter(torch.ones(config["vocab_size"]), requires_grad=False)
        self.salience = nn.Linear(hidden, 1)
        self.inner = nn.Linear(levels * FEATURES + 1, INNER)
        self.outer = nn.Linear(INNER, 1)
        nn.init.zeros_(self.salience.weight)
        nn.init.zeros_(self.salience.bias)

    def forward(self, levels, input_ids, attention_mask, token_type_ids):
        """`levels` are states `[batch, tokens, hidden]` from the word embeddings on."""
        asked, found = roles(attention_mask, token_type_ids)
        count = int(asked.sum(1).max())
        asked = asked[:, :count]
        weights = self.weights(levels[-1][:, :count], input_ids[:, :count], asked)
        total = weights.sum(1, keepdim=True) + TINY
        pooled = [torch.log(total)]
        for scale, states in zip(self.scale, levels):
            of_tokens = token_features(states * scale, count, found)
            pooled.append((weights[:, :, None] * of_tokens).sum(1) / total)
        return self.outer(functional.gelu(self.inner(torch.cat(pooled, dim=1))))[:, 0]

    def weights(self, states, input_ids, asked):
        """How much each token of the query counts, `[batch, count]`: its rarity, more or less of it
        as its state says."""
        salience = torch.exp(torch.tanh(self.salience(states)[:, :, 0]))
        return self.rarity[input_ids] * salience * asked


def roles(attention_mask, token_type_ids):
    """1.0 where a token is of the query, and of the passage. [CLS] and the separators have a rarity
    of 0 or stand with a passage token's weight of almost nothing; they need no mask of their own."""
    mask = attention_mask.float()
    found = mask * token_type_ids.float()
    return mask - found, found


def token_features(states, count, found):
    """Of each of the first `count` tokens, `[batch, count, FEATURES]`: its best match in the passage,
    and the logarithm of how many tokens match about so well."""
    cosines = cosines_of(states, count, found)
    features = [cosines.amax(2)]
    for centre in CENTRES:
        near = torch.exp((cosines - centre) ** 2 * (-1 / (2 * WIDTH**2)))
        features.append(torch.log1p(near.sum(2)))
    return torch.stack(features, dim=2)


def cosines_of(states, count, found):
    """Cosines of each of the first `count` tokens and the passage's, `[batch, count, tokens]`."""
    states = unit(states)
    kept = found[:, None, :]
    return (states[:, :count] @ states.transpose(1, 2)) * kept + NO_MATCH * (1 - kept)


def unit(states):
    return states / torch.sqrt((states**2).sum(-1, keepdim=True) + TINY)


def rarity(counts, passages, vocabulary, special):
    """BM25's inverse document frequency of each word piece; special tokens count for nothing."""
    found = torch.zeros(vocabulary)
    for piece in range(vocabulary):
        holding = counts.get(piece, 0)
        found[piece] = math.log(1 + (passages - holding + 0.5) / (holding + 0.5))
    found[list(special)] = 0.0
    return found
