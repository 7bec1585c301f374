"""The re-ranker: a BERT encoder of few layers, a pooler with a linear output, and if wanted a score
of soft matches beside it or late interaction in their place. PyTorch."""

import json
import pathlib
import re

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from files import fail, write_json
from late import Late, mask_apart, places_apart
from match import Match

# What the score reads: the first token alone, soft matches between query and passage too, or the best matches
# of both, read apart, and the first token after layers that read them together.
HEADS = ("cls", "match", "late")
# Parts that only networks made here have.
OWN = ("match.", "late.")


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        self.heads, self.dropout = config["num_attention_heads"], config["dropout"]
        self.query, self.key, self.value, self.attended = (nn.Linear(hidden, hidden) for _ in range(4))
        self.attended_norm = nn.LayerNorm(hidden, eps=config["layer_norm_eps"])
        self.inner, self.outer = nn.Linear(hidden, inner), nn.Linear(inner, hidden)
        self.outer_norm = nn.LayerNorm(hidden, eps=config["layer_norm_eps"])

    def split(self, states):
        batch, length, hidden = states.shape
        return states.view(batch, length, self.heads, hidden // self.heads).transpose(1, 2)

    def drop(self, states):
        return functional.dropout(states, self.dropout, self.training)

    def forward(self, states, mask, tokens=None):
        """States of the first `tokens` tokens, which attend to all of them."""
        asking = states[:, :tokens]
        query, key, value = self.query(asking), self.key(states), self.value(states)
        query, key, value = (self.split(part) for part in (query, key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = self.attended(mixed.transpose(1, 2).reshape(asking.shape))
        states = self.attended_norm(asking + self.drop(mixed))
        inner = functional.gelu(self.inner(states))
        return self.outer_norm(states + self.drop(self.outer(inner)))


class CrossEncoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config["head"] not in HEADS:
            fail(f"encoder.head is {config['head']!r}, not one of {', '.join(HEADS)}")
        self.config = config
        hidden = config["hidden_size"]
        self.words = nn.Embedding(config["vocab_size"], hidden)
        self.positions = nn.Embedding(config["max_position_embeddings"], hidden)
        self.types = nn.Embedding(config["type_vocab_size"], hidden)
        self.embedded_norm = nn.LayerNorm(hidden, eps=config["layer_norm_eps"])
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        # Layers that read query and passage apart, the first ones.
        self.apart = len(self.layers) - config.get("joint", 0) if config["head"] == "late" else 0
        together = self.apart < len(self.layers)
        self.pooler = nn.Linear(hidden, hidden) if together else None
        self.head = nn.Linear(hidden, 1) if together else None
        # Of the word embeddings, and of what each layer but the last makes of them.
        self.match = Match(config, len(self.layers)) if config["head"] == "match" else None
        # Of the word embeddings, and of what each layer that reads apart makes of them.
        self.late = Late(config, self.apart + 1) if self.apart else None

    def encode(self, input_ids, attention_mask, token_type_ids, tokens=None):
        """States of the last layer, `[batch, tokens, hidden]`; only those of the first `tokens` tokens
        if that is all that is wanted, which saves most of that layer's work."""
        return self.levels(input_ids, attention_mask, token_type_ids, tokens)[-1]

    def levels(self, input_ids, attention_mask, token_type_ids, tokens=None):
        """Word embeddings, and the states of each layer."""
        words = self.words(input_ids)
        places, types = self.places(attention_mask, token_type_ids)
        states = self.embedded_norm(words + self.positions(places) + self.types(types))
        states = functional.dropout(states, self.config["dropout"], self.training)
        masks, found = self.masks(attention_mask, token_type_ids), [words]
        for number, layer in enumerate(self.layers):
            if self.apart == number > 0:
                states = states + self.late.passage * token_type_ids[:, :, None]
            wanted = tokens if number == len(self.layers) - 1 else None
            states = layer(states, masks[number < self.apart], wanted)
            found.append(states)
        return found

    def masks(self, attention_mask, token_type_ids):
        """What tokens attend to in layers that read the texts together, and in those that read them apart."""
        # Full rows need no mask, and run faster without one.
        together = None if bool(attention_mask.all()) else attention_mask[:, None, None, :].bool()
        return together, mask_apart(attention_mask, token_type_ids) if self.apart else None

    def places(self, attention_mask, token_type_ids):
        """Where each token stands, and its type."""
        if self.apart:
            # Both texts are what the encoder was trained on: a text of its own, of type 0.
            return places_apart(attention_mask, token_type_ids), torch.zeros_like(token_type_ids)
        return torch.arange(attention_mask.shape[1], device=attention_mask.device), token_type_ids

    def forward(self, input_ids, attention_mask, token_type_ids):
        """Raw scores, `[batch]`."""
        together = self.head is not None
        levels = self.levels(input_ids, attention_mask, token_type_ids, tokens=1 if together else None)
        scores = 0.0
        if together:
            features = torch.tanh(self.pooler(levels[-1][:, 0]))
            features = functional.dropout(features, self.config["dropout"], self.training)
            scores = self.head(features)[:, 0]
        if self.match is not None:
            scores = scores + self.match(levels[:-1], input_ids, attention_mask, token_type_ids)
        if self.late is not None:
            scores = scores + self.late(levels[: self.apart + 1], attention_mask, token_type_ids)
        return scores


# A parameter's name here and in files, which use BERT's.
NAMES = {
    "words.": "embeddings.word_embeddings.",
    "positions.": "embeddings.position_embeddings.",
    "types.": "embeddings.token_type_embeddings.",
    "embedded_norm.": "embeddings.LayerNorm.",
    "pooler.": "pooler.dense.",
    "head.": "classifier.",
}
LAYER_NAMES = {
    "query.": "attention.self.query.",
    "key.": "attention.self.key.",
    "value.": "attention.self.value.",
    "attended.": "attention.output.dense.",
    "attended_norm.": "attention.output.LayerNorm.",
    "inner.": "intermediate.dense.",
    "outer.": "output.dense.",
    "outer_norm.": "output.LayerNorm.",
}


def file_name(name, layers, names=NAMES, layer_names=LAYER_NAMES):
    """The name in a file; `layers[i]` is the file's number of layer i."""
    if name.startswith(OWN):
        return name
    if found := re.fullmatch(r"layers\.(\d+)\.(\w+\.)(\w+)", name):
        number, part, kind = found.groups()
        return f"encoder.layer.{layers[int(number)]}.{layer_names[part]}{kind}"
    part, kind = re.fullmatch(r"(\w+\.)(\w+)", name).groups()
    return names[part] + kind


def renamed(name):
    """Some files put the architecture before every name; older ones call a norm's weights by other names."""
    name = name.removeprefix("bert.").removeprefix("mpnet.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def read_config(folder):
    return json.loads((pathlib.Path(folder) / "config.json").read_text(encoding="utf-8"))


def read_weights(folder):
    """The weights of a folder by their names in files."""
    weights = load_file(str(pathlib.Path(folder) / "model.safetensors"))
    return {renamed(name): value for name, value in weights.items()}


def no_weight(folder, name, parameter):
    fail(f"{folder} has no weight {name} of shape {tuple(parameter.shape)}")


def load(folder, layers=None, head=None, dropout=0.0, joint=None):
    """A network from a folder's weights: the named layers, or all. A pooler or output that the file
    lacks starts small and random, and so do soft matches; late interaction starts as the mean of best cosines."""
    config = {**read_config(folder), "dropout": dropout}
    config["head"] = head or config.get("head", "cls")
    config["joint"] = config.get("joint", 0) if joint is None else joint
    layers = list(range(config["num_hidden_layers"])) if layers is None else list(layers)
    if not layers or max(layers) >= config["num_hidden_layers"]:
        fail(f"encoder.layers is {layers}, the encoder has {config['num_hidden_layers']}")
    most = len(layers) - 1 if config["head"] == "late" else 0
    if config["joint"] not in range(most + 1):
        fail(f"encoder.joint is {config['joint']}: with {len(layers)} layers and the head {config['head']} it is at most {most}")
    config["num_hidden_layers"] = len(layers)
    network = CrossEncoder(config)
    weights = read_weights(folder)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            value = weights.get(file_name(name, layers))
            if value is not None and value.shape == parameter.shape:
                parameter.copy_(value)
            elif name.startswith(OWN):
                continue
            elif name.startswith(("pooler.", "head.")):
                parameter.normal_(0.0, 0.02) if name.endswith("weight") else parameter.zero_()
            else:
                no_weight(folder, file_name(name, layers), parameter)
    return network


def save(network, folder):
    """Writes the weights and their configuration; [`load`] and others that know BERT read them."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    layers = range(len(network.layers))
    weights = {file_name(n, layers): p.detach().cpu().contiguous() for n, p in network.named_parameters()}
    partial = folder / "model.safetensors.partial"
    save_file(weights, str(partial))
    partial.replace(folder / "model.safetensors")
    fixed = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "hidden_act": "gelu"}
    known = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
    known += ("max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id", "head", "joint")
    write_json(folder / "config.json", {**fixed, **{k: network.config[k] for k in known if k in network.config}})
