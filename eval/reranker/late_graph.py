"""Late interaction as ONNX nodes: what `late.py` does, step by step. numpy."""

import numpy
from onnx import TensorProto

import late
import match


class Apart:
    """Which text each token is of, and where it stands in it."""

    def __init__(self, graph, mask):
        self.graph, self.mask = graph, mask
        self.types = graph.node("Cast", ["token_type_ids"], "late.types", to=TensorProto.FLOAT)
        self.found = graph.node("Mul", [mask, self.types], "late.found")
        self.asked = graph.node("Sub", [mask, self.found], "late.asked")
        self.one = graph.constant("late.one", numpy.float32(1))
        row = graph.fixed("late.row_axis", [1])
        lengths = graph.node("ReduceSum", [self.asked, row], "late.lengths", keepdims=1)
        # Of the query's [SEP], `[batch, 1]`.
        self.last = graph.node("Sub", [lengths, self.one], "late.last")

    def places(self, places):
        """Where each token stands in its own text, `[batch, tokens]`."""
        last = self.graph.node("Cast", [self.last], "late.last.whole", to=TensorProto.INT64)
        back = self.graph.node("Mul", ["token_type_ids", last], "late.back")
        return self.graph.node("Sub", [places, back], "late.places")

    def wide(self, places):
        """0 where a token may attend to another and a large negative number where not, `[batch, 1, tokens, tokens]`."""
        graph = self.graph
        rows = graph.node("Unsqueeze", [self.types, graph.fixed("late.rows_axis", [2])], "late.rows")
        columns = graph.node("Unsqueeze", [self.types, graph.fixed("late.columns_axis", [1])], "late.columns")
        unlike = graph.node("Abs", [graph.node("Sub", [rows, columns], "late.difference")], "late.unlike")
        same = graph.node("Sub", [self.one, unlike], "late.same")
        first = graph.node("Cast", [graph.node("Equal", [places, "zero"], "late.is_first")], "late.first", to=TensorProto.FLOAT)
        allowed = graph.node("Max", [same, first], "late.allowed")
        known = graph.node("Unsqueeze", [self.mask, graph.fixed("late.known_axis", [1])], "late.known")
        allowed = graph.node("Mul", [allowed, known], "late.attended")
        absent = graph.node("Sub", [allowed, self.one], "late.absent")
        large = graph.node("Mul", [absent, graph.constant("late.large", numpy.float32(10000))], "late.scaled")
        return graph.node("Unsqueeze", [large, graph.fixed("late.heads_axis", [1])], "late.wide")

    def told(self, states, passage):
        """The states, those of the passage marked as such."""
        rows = self.graph.node("Mul", ["late.rows", self.graph.constant("late.passage", passage)], "late.marks")
        return self.graph.node("Add", [states, rows], "late.told")

    def words(self, places):
        """1.0 where a token is a word of the query."""
        graph = self.graph
        places = graph.node("Cast", [places], "late.places.float", to=TensorProto.FLOAT)
        after = graph.node("Greater", [places, graph.constant("late.zero", numpy.float32(0))], "late.after_first")
        before = graph.node("Less", [places, self.last], "late.before_last")
        inside = graph.node("And", [after, before], "late.is_word")
        inside = graph.node("Cast", [inside], "late.is_word.float", to=TensorProto.FLOAT)
        return graph.node("Mul", [self.asked, inside], "late.words")


def score(graph, module, levels, apart, places):
    """`[batch, 1]`, of the states named in `levels`."""
    head = Head(graph, apart)
    words = head.of(apart.words(places), "late.query.words")
    weights = token_weights(graph, module, head.of(levels[-1], "late.query.states"), words)
    axis = graph.fixed("late.tokens_axis", [1])
    total = graph.node("ReduceSum", [weights, axis], "late.sum", keepdims=1)
    total = graph.node("Add", [total, graph.constant("late.tiny", numpy.float32(match.TINY))], "late.total")
    features = []
    for number, states in enumerate(levels):
        weighed = graph.node("Mul", [best(graph, states, head, apart.found, number), weights], f"late.level{number}.weighed")
        summed = graph.node("ReduceSum", [weighed, axis], f"late.level{number}.sum", keepdims=1)
        features.append(graph.node("Div", [summed, total], f"late.level{number}.mean"))
    features.append(of_means(graph, levels[-1], head, words, apart.found))
    features = graph.node("Concat", features, "late.features", axis=1)
    features = graph.node("Sub", [features, graph.constant("late.shift", numpy.float32(late.SHIFT))], "late.shifted")
    mixed = graph.linear(features, module.mix, "late.mix")
    return graph.node("Mul", [mixed, graph.constant("late.scale", numpy.float32(late.SCALE))], "late.score")


class Head:
    """Takes the tokens before the passage, as many as the longest query has."""

    def __init__(self, graph, apart):
        self.graph = graph
        longest = graph.node("ReduceMax", [apart.last], "late.longest", keepdims=0)
        count = graph.node("Cast", [longest], "late.count", to=TensorProto.INT64)
        self.end = graph.node("Unsqueeze", [count, graph.fixed("late.count_axis", [0])], "late.end")
        self.start, self.axis = graph.fixed("late.start", [0]), graph.fixed("late.axis", [1])

    def of(self, values, name):
        return self.graph.node("Slice", [values, self.start, self.end, self.axis], name)


def token_weights(graph, module, states, words):
    salience = graph.linear(states, module.salience, "late.salience")
    salience = graph.node("Squeeze", [salience, graph.fixed("late.salience_axis", [2])], "late.salience.flat")
    salience = graph.node("Exp", [graph.node("Tanh", [salience], "late.salience.tanh")], "late.salience.exp")
    return graph.node("Mul", [salience, words], "late.weights")


def unit(graph, states, name):
    norms = graph.node("ReduceL2", [states], f"{name}.norms", axes=[2], keepdims=1)
    # What `match.TINY` under the root makes of the norm of nothing.
    least = graph.constant(f"{name}.least", numpy.float32(match.TINY**0.5))
    return graph.node("Div", [states, graph.node("Max", [norms, least], f"{name}.safe")], f"{name}.unit")


def best(graph, states, head, found, number):
    """The best cosine in the passage of each token of the query, `[batch, count]`."""
    name = f"late.level{number}"
    states = unit(graph, states, name)
    turned = graph.node("Transpose", [states], f"{name}.turned", perm=[0, 2, 1])
    cosines = graph.node("MatMul", [head.of(states, f"{name}.query"), turned], f"{name}.all_cosines")
    kept = graph.node("Unsqueeze", [found, graph.fixed(f"{name}.kept_axis", [1])], f"{name}.kept")
    # cosine x kept + NO_MATCH x (1 - kept)
    none = graph.constant(f"{name}.none", numpy.float32(match.NO_MATCH))
    above = graph.node("Sub", [cosines, none], f"{name}.above")
    cosines = graph.node("Add", [graph.node("Mul", [above, kept], f"{name}.masked"), none], f"{name}.cosines")
    return graph.node("ReduceMax", [cosines], f"{name}.best", axes=[2], keepdims=0)


def of_means(graph, states, head, words, found):
    """The cosine of the query's mean state and the passage's, `[batch, 1]`."""
    query, passage = head.of(states, "late.means.query.states"), states
    means = []
    for name, text, weights in (("query", query, words), ("passage", passage, found)):
        name = f"late.means.{name}"
        row = graph.node("Unsqueeze", [weights, graph.fixed(f"{name}.axis", [1])], f"{name}.row")
        means.append(unit(graph, graph.node("MatMul", [row, text], f"{name}.sum"), name))
    product = graph.node("Mul", means, "late.means.product")
    summed = graph.node("ReduceSum", [product, graph.fixed("late.means.axis", [2])], "late.means.sum", keepdims=1)
    return graph.node("Squeeze", [summed, graph.fixed("late.means.flat_axis", [2])], "late.means.cosine")
