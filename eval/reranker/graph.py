"""The re-ranker as an ONNX graph, written node by node: the same graph whatever the exporter of
the PyTorch at hand would make of it. Batch and sequence are dynamic. onnx and numpy."""

import math

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

import late_graph
import match_graph

# Read by every ONNX Runtime since 1.10, and the first with LayerNormalization.
OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Left in fp32 when the model is quantized: a few columns, and all of the score.
HEAD = "head"
IN_FULL = (HEAD, "match.salience", "match.inner", "match.outer", "late.salience", "late.mix")


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, name, value):
        # Not ascontiguousarray, which gives scalars a dimension.
        self.weights.append(numpy_helper.from_array(numpy.array(value, order="C"), name))
        return name

    def node(self, kind, inputs, name, **attributes):
        """Adds a node; its one output has its name."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def fixed(self, name, values):
        """A constant of whole numbers: a shape, axes or places."""
        return self.constant(name, numpy.array(values, dtype=numpy.int64))

    def linear(self, states, module, name):
        weight = self.constant(f"{name}.weight", array(module.weight).T)
        product = self.node("MatMul", [states, weight], name)
        return self.node("Add", [product, self.constant(f"{name}.bias", array(module.bias))], f"{name}.add")

    def norm(self, states, module, name):
        scale = self.constant(f"{name}.weight", array(module.weight))
        shift = self.constant(f"{name}.bias", array(module.bias))
        return self.node("LayerNormalization", [states, scale, shift], name, axis=-1, epsilon=module.eps)


    def barred(self, allowed, axes, name):
        """0 where `allowed` is 1 and a large negative number where it is 0, with these axes added."""
        absent = self.node("Sub", [allowed, self.constant(f"{name}.one", numpy.float32(1))], f"{name}.absent")
        large = self.node("Mul", [absent, self.constant(f"{name}.large", numpy.float32(10000))], f"{name}.scaled")
        return self.node("Unsqueeze", [large, self.fixed(f"{name}.axes", axes)], f"{name}.wide")

    def gelu(self, states, name):
        root = self.constant(f"{name}.root", numpy.float32(math.sqrt(2)))
        error = self.node("Erf", [self.node("Div", [states, root], f"{name}.div")], f"{name}.erf")
        more = self.node("Add", [error, self.constant(f"{name}.one", numpy.float32(1))], f"{name}.more")
        product = self.node("Mul", [states, more], f"{name}.mul")
        return self.node("Mul", [product, self.constant(f"{name}.half", numpy.float32(0.5))], f"{name}.out")


def array(tensor):
    return tensor.detach().cpu().float().numpy()


def words(graph, network, quantized):
    """Word embeddings; quantized, each row is int8 with a scale of its own, which is finer than one
    scale for all."""
    table = array(network.words.weight)
    if not quantized:
        return graph.node("Gather", [graph.constant("words", table), "input_ids"], "words.rows", axis=0)
    scale = numpy.maximum(numpy.abs(table).max(axis=1, keepdims=True), 1e-8) / 127
    small = numpy.round(table / scale).astype(numpy.int8)
    rows = graph.node("Gather", [graph.constant("words", small), "input_ids"], "words.rows", axis=0)
    scales = graph.constant("words.scale", scale.astype(numpy.float32))
    scales = graph.node("Gather", [scales, "input_ids"], "words.scales", axis=0)
    rows = graph.node("Cast", [rows], "words.float", to=TensorProto.FLOAT)
    return graph.node("Mul", [rows, scales], "words.scaled")


def token_places(graph):
    """The number of each token, `[tokens]`."""
    shape = graph.node("Shape", ["input_ids"], "shape")
    one = graph.constant("one", numpy.array(1, dtype=numpy.int64))
    zero = graph.constant("zero", numpy.array(0, dtype=numpy.int64))
    length = graph.node("Gather", [shape, one], "length", axis=0)
    return graph.node("Range", [zero, length, one], "places")


def embedded(graph, network, quantized, places, apart):
    """What the first layer reads; `apart` says where tokens stand in texts that are read apart."""
    table = graph.constant("positions", array(network.positions.weight))
    if apart is None:
        types = graph.constant("types", array(network.types.weight))
        types = graph.node("Gather", [types, "token_type_ids"], "types.rows", axis=0)
    else:
        places, types = apart.places, graph.constant("types", array(network.types.weight)[0])
    places = graph.node("Gather", [table, places], "positions.rows", axis=0)
    states = graph.node("Add", [words(graph, network, quantized), places], "embedded.places")
    states = graph.node("Add", [states, types], "embedded.types")
    return graph.norm(states, network.embedded_norm, "embedded.norm")


def attention(graph, asking, states, layer, mask, name):
    """What the tokens of `asking` read from all tokens."""
    hidden = layer.query.in_features
    size = hidden // layer.heads
    heads = graph.constant(f"{name}.heads", numpy.array([0, 0, layer.heads, size], dtype=numpy.int64))
    turned = {"query": [0, 2, 1, 3], "key": [0, 2, 3, 1], "value": [0, 2, 1, 3]}
    parts = {}
    for part, order in turned.items():
        found = graph.linear(asking if part == "query" else states, getattr(layer, part), f"{name}.{part}")
        found = graph.node("Reshape", [found, heads], f"{name}.{part}.split")
        parts[part] = graph.node("Transpose", [found], f"{name}.{part}.turned", perm=order)
    scores = graph.node("MatMul", [parts["query"], parts["key"]], f"{name}.scores")
    root = graph.constant(f"{name}.root", numpy.float32(math.sqrt(size)))
    scores = graph.node("Div", [scores, root], f"{name}.scaled")
    scores = graph.node("Add", [scores, mask], f"{name}.masked")
    shares = graph.node("Softmax", [scores], f"{name}.shares", axis=-1)
    mixed = graph.node("MatMul", [shares, parts["value"]], f"{name}.mixed")
    mixed = graph.node("Transpose", [mixed], f"{name}.turned", perm=[0, 2, 1, 3])
    flat = graph.constant(f"{name}.flat", numpy.array([0, 0, hidden], dtype=numpy.int64))
    mixed = graph.node("Reshape", [mixed, flat], f"{name}.joined")
    return graph.linear(mixed, layer.attended, f"{name}.attended")


def layer_states(graph, states, layer, mask, name, first_only):
    """States of all tokens, or of the first alone, `[batch, 1, hidden]`."""
    asking = states
    if first_only:
        place = graph.constant(f"{name}.place", numpy.array([0], dtype=numpy.int64))
        asking = graph.node("Gather", [states, place], f"{name}.asking", axis=1)
    mixed = attention(graph, asking, states, layer, mask, name)
    # Sum where Add would do: ONNX Runtime makes one node of Add and LayerNormalization, which is slower.
    states = graph.node("Sum", [asking, mixed], f"{name}.attended.sum")
    states = graph.norm(states, layer.attended_norm, f"{name}.attended.norm")
    inner = graph.gelu(graph.linear(states, layer.inner, f"{name}.inner"), f"{name}.gelu")
    outer = graph.linear(inner, layer.outer, f"{name}.outer")
    states = graph.node("Sum", [states, outer], f"{name}.outer.sum")
    return graph.norm(states, layer.outer_norm, f"{name}.outer.norm")


def pooled(graph, network, states):
    first = graph.node("Gather", [states, "zero"], "first", axis=1)
    return graph.node("Tanh", [graph.linear(first, network.pooler, "pooler")], "pooled")


def build(network, quantized_words=False):
    """The model: inputs of int64 `[batch, tokens]`, output `logits` of float `[batch, 1]`."""
    graph = Graph()
    places = token_places(graph)
    mask = graph.node("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
    together = graph.barred(mask, [1, 2], "mask") if network.head is not None else None
    apart = late_graph.Apart(graph, mask, places) if network.apart else None
    states = embedded(graph, network, quantized_words, places, apart)
    levels = ["words.rows" if not quantized_words else "words.scaled"]
    last = len(network.layers) - 1
    for number, layer in enumerate(network.layers):
        if network.apart == number > 0:
            states = apart.told(states, array(network.late.passage))
        # Where the head reads the first token alone, the last layer need not do the others.
        first_only = number == last and network.head is not None
        wide = apart.wide if number < network.apart else together
        states = layer_states(graph, states, layer, wide, f"layer{number}", first_only)
        levels.append(states)
    scores = []
    if network.head is not None:
        scores.append(graph.linear(pooled(graph, network, states), network.head, HEAD))
    if network.match is not None:
        scores.append(match_graph.score(graph, network.match, levels[:-1], mask))
    if network.late is not None:
        scores.append(late_graph.score(graph, network.late, levels[: network.apart + 1], apart))
    graph.node("Sum", scores, "logits")
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "tokens"]) for n in INPUTS]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])]
    built = helper.make_graph(graph.nodes, "cross-encoder", inputs, outputs, graph.weights)
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="braid")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model
