"""bge-small-en-v1.5 as a teacher (Xiao et al. 2023): cosines of the states of the first tokens of query and
passage. ONNX Runtime.

Twelve layers of 384, trained by its makers to retrieve with; quantized, out of a pinned package (MIT).
"""

import numpy
import onnxruntime

import packages
from cosines import Cosines
from pairs import Pairs

QUERY_TOKENS = 64
# What its makers put before a query, and before no passage.
INSTRUCTION = "Represent this sentence for searching relevant passages: "


def find(out, given=None):
    """A folder with the quantized model."""
    return packages.find(packages.BGE, out, given)


class Bge(Cosines):
    """Cosines of passages, up to `tokens` tokens, and queries."""

    def __init__(self, folder, tokens, threads):
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(folder / packages.BGE.weights), options)
        self.inputs = {given.name for given in self.session.get_inputs()}
        self.pairs, self.tokens = Pairs(folder / "tokenizer.json", tokens), tokens

    def embed(self, texts):
        return [self.vector(text, self.tokens) for text in texts]

    def embed_queries(self, texts):
        return [self.vector(INSTRUCTION + text, QUERY_TOKENS) for text in texts]

    def vector(self, text, tokens):
        """One text at a time: int8 runs no faster on many, and padding would cost."""
        batch = self.pairs.padded([self.pairs.alone(text, tokens)])
        (states,) = self.session.run(None, {name: batch[name] for name in self.inputs})
        return states[0, 0] / numpy.linalg.norm(states[0, 0])
