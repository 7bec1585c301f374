"""A learned sparse retriever as a teacher (Formal et al. 2021, SPLADE): a text becomes a weight for each
word piece of the vocabulary, and a score is the dot product of query and passage. PyTorch.

splade-tiny comes out of a pinned package. It has two layers of 128, was distilled from a cross-encoder
on MS MARCO, and has seen no source of the training data, so what it says of them is transfer.
"""

import torch
from safetensors.torch import load_file
from torch.nn import functional

import network as networks
import packages
import scoring
from pairs import Pairs

QUERY_TOKENS = 64


def find(out, given=None):
    """A folder with a BERT that has the head that predicts words."""
    return packages.find(packages.SPARSE, out, given)


class Sparse:
    """Scores of a sparse model. Each passage of a source is encoded once, up to `tokens` tokens."""

    def __init__(self, folder, device, tokens):
        self.model = networks.load(folder).to(device).eval()
        self.pairs, self.tokens = Pairs(folder / "tokenizer.json", tokens), tokens
        weights = {name: value.to(device) for name, value in load_file(str(folder / "model.safetensors")).items()}
        self.head = {name.partition("predictions.")[2]: value for name, value in weights.items() if "predictions." in name}
        self.head = {networks.renamed(name): value for name, value in self.head.items()}
        self.source, self.states = None, {}

    @torch.inference_mode()
    def of(self, source, row, keys):
        if self.source is not source:
            self.source, self.states = source, self.encode_all(source)
        asked = self.activations(self.encode([row["query"]], QUERY_TOKENS)[0])
        pieces = asked.nonzero()[:, 0]
        states = [self.states[key] for key in keys]
        found = self.weights(torch.cat(states).float(), pieces)
        best = [part.amax(0) for part in found.split([len(part) for part in states])]
        return [round(x, 3) for x in (torch.stack(best) @ asked[pieces]).tolist()]

    def encode_all(self, source):
        keys = list(source.passages)
        return dict(zip(keys, self.encode(source.lines(keys), self.tokens)))

    @torch.inference_mode()
    def encode(self, texts, tokens):
        """The head's states of each text's tokens, `[tokens, hidden]`."""
        encoded = [self.pairs.alone(text, tokens) for text in texts]
        found = [None] * len(texts)
        device = scoring.device_of(self.model)
        for batch in scoring.in_batches([len(ids) for ids, _ in encoded]):
            inputs = scoring.tensors(self.pairs.padded([encoded[place] for place in batch]), device)
            states = self.transform(self.model.encode(**inputs)).half()
            for place, one, mask in zip(batch, states, inputs["attention_mask"]):
                found[place] = one[: int(mask.sum())].clone()
        return found

    def transform(self, states):
        dense, norm = "transform.dense.", "transform.LayerNorm."
        states = functional.gelu(functional.linear(states, self.head[f"{dense}weight"], self.head[f"{dense}bias"]))
        weight, bias = self.head[f"{norm}weight"], self.head[f"{norm}bias"]
        return functional.layer_norm(states, weight.shape, weight, bias, self.model.config["layer_norm_eps"])

    def weights(self, states, pieces=None):
        """Each token's weight for word pieces, `[tokens, pieces]`, or for all of them."""
        words, bias = self.model.words.weight, self.head["bias"]
        if pieces is not None:
            words, bias = words[pieces], bias[pieces]
        return torch.log1p(torch.relu(states @ words.T + bias))

    def activations(self, states):
        """A text's weight of each word piece, `[vocabulary]`."""
        return self.weights(states.float()).amax(0)
