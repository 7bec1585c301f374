"""MPNet, the encoder of all-mpnet-base-v2 (Song et al. 2020), to embed with it: BERT's layers whose attention
knows how far apart two tokens are. PyTorch."""

import math

import torch
from torch import nn

import network as networks
import packages

# Distances of more tokens are all alike (T5's and MPNet's `max_distance`).
FARTHEST = 128
# A parameter's name here and in files, where it is not BERT's.
NAMES = {**networks.NAMES, "distances.": "encoder.relative_attention_bias."}
LAYER_NAMES = {
    **networks.LAYER_NAMES,
    "query.": "attention.attn.q.",
    "key.": "attention.attn.k.",
    "value.": "attention.attn.v.",
    "attended.": "attention.attn.o.",
    "attended_norm.": "attention.LayerNorm.",
}


def find(out, given=None):
    """A folder with a bi-encoder, whose vectors are the mean of its token states."""
    return packages.find(packages.DENSE, out, given)


class Mpnet(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config = {**config, "dropout": 0.0}
        hidden = config["hidden_size"]
        self.words = nn.Embedding(config["vocab_size"], hidden)
        self.positions = nn.Embedding(config["max_position_embeddings"], hidden)
        self.embedded_norm = nn.LayerNorm(hidden, eps=config["layer_norm_eps"])
        self.distances = nn.Embedding(config["relative_attention_num_buckets"], config["num_attention_heads"])
        self.layers = nn.ModuleList(networks.Layer(config) for _ in range(config["num_hidden_layers"]))

    def encode(self, input_ids, attention_mask, token_type_ids=None):
        """States of the last layer, `[batch, tokens, hidden]`; there are no token types."""
        padding = self.config["pad_token_id"]
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        known = attention_mask.bool()
        positions = torch.where(known, places + padding + 1, padding)
        states = self.embedded_norm(self.words(input_ids) + self.positions(positions))
        bias = self.distances(buckets(places, self.distances.num_embeddings)).permute(2, 0, 1)
        mask = bias[None].masked_fill(~known[:, None, None, :], float("-inf")).to(mask_type(states))
        for layer in self.layers:
            states = layer(states, mask)
        return states


def mask_type(states):
    """What attention computes in: a mask of another type would be refused."""
    kind = states.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype


def buckets(places, count):
    """The number of the distance from each place to each other, `[tokens, tokens]`: half of `count` for
    either direction, of which half are exact and the others grow with the logarithm."""
    count //= 2
    exact = count // 2
    ahead = places[None, :] - places[:, None]
    away = ahead.abs()
    grown = torch.log(away.clamp(min=1) / exact) / math.log(FARTHEST / exact) * (count - exact)
    far = (exact + grown.long()).clamp(max=count - 1)
    return (ahead > 0).long() * count + torch.where(away < exact, away, far)


def file_name(name, layers):
    """The name in a file of MPNet's (see `network.file_name`)."""
    return networks.file_name(name, layers, NAMES, LAYER_NAMES)


def load(folder):
    """The network of a folder's weights; its pooler is of no use here."""
    network = Mpnet(networks.read_config(folder))
    weights, layers = networks.read_weights(folder), range(len(network.layers))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            found = file_name(name, layers)
            if found not in weights or weights[found].shape != parameter.shape:
                networks.no_weight(folder, found, parameter)
            parameter.copy_(weights[found])
    return network
