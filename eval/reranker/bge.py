"""bge-small-en-v1.5 as a teacher (Xiao et al. 2023): cosines of the states of the first tokens of query and
passage. ONNX Runtime.

Twelve layers of 384, trained by its makers to retrieve with; quantized, out of a pinned package (MIT).
"""

import numpy
import onnxruntime

import packages
from pairs import Pairs

QUERY_TOKENS = 64
# What its makers put before a query, and before no passage.
INSTRUCTION = "Represent this sentence for searching relevant passages: "


def find(out, given=None):
    """A folder with the quantized model."""
    return packages.find(packages.BGE, out, given)


class Bge:
    """Cosines. Each text of a source is embedded once: a passage up to `tokens` tokens."""

    def __init__(self, folder, tokens, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(folder / packages.BGE.weights), options)
        self.inputs = {given.name for given in self.session.get_inputs()}
        self.pairs, self.tokens = Pairs(folder / "tokenizer.json", tokens), tokens
        self.source, self.passages, self.queries = None, {}, {}

    def of(self, source, row, keys):
        if self.source is not source:
            lines = source.lines(source.passages)
            self.passages = {key: self.embed(line, self.tokens) for key, line in zip(source.passages, lines)}
            self.source, self.queries = source, {}
        asked = row["query"]
        if asked not in self.queries:
            self.queries[asked] = self.embed(INSTRUCTION + asked, QUERY_TOKENS)
        return [round(float(self.passages[key] @ self.queries[asked]), 5) for key in keys]

    def embed(self, text, tokens):
        """A unit vector. One text at a time: int8 runs no faster on many, and padding would cost."""
        batch = self.pairs.padded([self.pairs.alone(text, tokens)])
        states = self.session.run(None, {name: batch[name] for name in self.inputs})[0]
        first = states[0, 0] if states.ndim == 3 else states[0]
        return first / numpy.linalg.norm(first)
