"""The score of soft matches as ONNX nodes: what `match.py` does, step by step. numpy."""

import numpy
from onnx import TensorProto

import match


def score(graph, module, levels, mask):
    """`[batch, 1]`, of the states named in `levels`."""
    _, asked, found = roles(graph, mask)
    lengths = graph.node("ReduceSum", [asked, graph.fixed("match.row_axis", [1])], "match.lengths", keepdims=1)
    first = Head(graph, lengths)
    weights = token_weights(graph, module, first, levels[-1], asked)
    axis = graph.fixed("match.tokens_axis", [1])
    total = graph.node("ReduceSum", [weights, axis], "match.sum", keepdims=1)
    total = graph.node("Add", [total, graph.constant("match.tiny", numpy.float32(match.TINY))], "match.total")
    wide = graph.node("Unsqueeze", [weights, graph.fixed("match.last_axis", [2])], "match.weights.wide")
    pooled = [graph.node("Log", [total], "match.total.log")]
    for number, states in enumerate(levels):
        of_tokens = token_features(graph, module, first, states, found, number)
        name = f"match.level{number}"
        weighed = graph.node("Mul", [wide, of_tokens], f"{name}.weighed")
        summed = graph.node("ReduceSum", [weighed, axis], f"{name}.sum", keepdims=0)
        pooled.append(graph.node("Div", [summed, total], f"{name}.pooled"))
    features = graph.node("Concat", pooled, "match.features", axis=1)
    inner = graph.gelu(graph.linear(features, module.inner, "match.inner"), "match.gelu")
    return graph.linear(inner, module.outer, "match.outer")


def roles(graph, mask):
    """The types as numbers, 1.0 where a token is of the query, and of the passage (see `match.roles`)."""
    types = graph.node("Cast", ["token_type_ids"], "types.float", to=TensorProto.FLOAT)
    found = graph.node("Mul", [mask, types], "match.found")
    return types, graph.node("Sub", [mask, found], "match.asked"), found


class Head:
    """Takes the first tokens, as many as the most that `lengths` says, `[batch, 1]`."""

    def __init__(self, graph, lengths):
        self.graph = graph
        longest = graph.node("ReduceMax", [lengths], "match.longest", keepdims=0)
        count = graph.node("Cast", [longest], "match.count", to=TensorProto.INT64)
        self.end = graph.node("Unsqueeze", [count, graph.fixed("match.count_axis", [0])], "match.end")
        self.start, self.axis = graph.fixed("match.start", [0]), graph.fixed("match.axis", [1])

    def of(self, values, name):
        return self.graph.node("Slice", [values, self.start, self.end, self.axis], name)


def token_weights(graph, module, first, states, asked):
    salience = salience_of(graph, module, first.of(states, "match.query.states"), "match.salience")
    table = graph.constant("match.rarity", module.rarity.detach().cpu().float().numpy())
    rarity = graph.node("Gather", [table, first.of("input_ids", "match.query.ids")], "match.query.rarity", axis=0)
    weights = graph.node("Mul", [rarity, salience], "match.weights.all")
    return graph.node("Mul", [weights, first.of(asked, "match.query.asked")], "match.weights")


def salience_of(graph, module, states, name):
    """How much more or less a token counts, as its state says, `[batch, count]`."""
    flat = graph.node("Squeeze", [graph.linear(states, module.salience, name), graph.fixed(f"{name}_axis", [2])], f"{name}.flat")
    return graph.node("Exp", [graph.node("Tanh", [flat], f"{name}.tanh")], f"{name}.exp")


def token_features(graph, module, first, states, found, number):
    name = f"match.level{number}"
    scale = graph.constant(f"{name}.scale", module.scale[number].detach().cpu().float().numpy())
    scaled = graph.node("Mul", [states, scale], f"{name}.scaled")
    cosines = cosines_of(graph, first, scaled, found, name)
    features = [graph.node("ReduceMax", [cosines], f"{name}.best", axes=[2], keepdims=1)]
    features += [kernel(graph, cosines, centre, f"{name}.kernel{place}") for place, centre in enumerate(match.CENTRES)]
    return graph.node("Concat", features, f"{name}.features", axis=2)


def cosines_of(graph, first, states, found, name):
    """Cosines of each of the first tokens and the passage's, `[batch, count, tokens]`."""
    norms = norms_of(graph, states, name)
    # The products are divided, which are fewer than the states.
    turned = [graph.node("Transpose", [part], f"{part}.turned", perm=[0, 2, 1]) for part in (states, norms)]
    products = graph.node("MatMul", [first.of(states, f"{name}.query"), turned[0]], f"{name}.products")
    cosines = graph.node("Div", [products, first.of(norms, f"{name}.query.norms")], f"{name}.by_query")
    cosines = graph.node("Div", [cosines, turned[1]], f"{name}.all_cosines")
    kept = graph.node("Unsqueeze", [found, graph.fixed(f"{name}.kept_axis", [1])], f"{name}.kept")
    # cosine x kept + NO_MATCH x (1 - kept)
    none = graph.constant(f"{name}.none", numpy.float32(match.NO_MATCH))
    above = graph.node("Sub", [cosines, none], f"{name}.above")
    return graph.node("Add", [graph.node("Mul", [above, kept], f"{name}.masked"), none], f"{name}.cosines")


def norms_of(graph, states, name):
    norms = graph.node("ReduceL2", [states], f"{name}.norms", axes=[2], keepdims=1)
    # What `match.TINY` under the root makes of the norm of nothing.
    least = graph.constant(f"{name}.least_norm", numpy.float32(match.TINY**0.5))
    return graph.node("Max", [norms, least], f"{name}.safe")


def kernel(graph, cosines, centre, name):
    """The logarithm of 1 + how many tokens are near `centre`, `[batch, count, 1]`."""
    away = graph.node("Sub", [cosines, graph.constant(f"{name}.centre", numpy.float32(centre))], f"{name}.away")
    squared = graph.node("Mul", [away, away], f"{name}.squared")
    sharp = graph.constant(f"{name}.sharp", numpy.float32(-1 / (2 * match.WIDTH**2)))
    near = graph.node("Exp", [graph.node("Mul", [squared, sharp], f"{name}.scaled")], f"{name}.near")
    count = graph.node("ReduceSum", [near, graph.fixed(f"{name}.axis", [2])], f"{name}.count", keepdims=1)
    more = graph.node("Add", [count, graph.constant(f"{name}.one", numpy.float32(1))], f"{name}.more")
    return graph.node("Log", [more], f"{name}.log")
