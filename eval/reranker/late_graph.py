"""Late interaction as ONNX nodes: what `late.py` does, step by step. numpy."""

import numpy
from onnx import TensorProto

import late
import match
import match_graph


class Apart:
    """Which text each token is of, and what that means for reading: `places` has where it stands in its own text,
    `[batch, tokens]`, and `wide` what it attends to, `[batch, 1, tokens, tokens]`."""

    def __init__(self, graph, mask, numbers):
        self.graph, self.numbers = graph, numbers
        self.types, self.asked, self.found = match_graph.roles(graph, mask)
        self.one = graph.constant("late.one", numpy.float32(1))
        lengths = graph.node("ReduceSum", [self.asked, graph.fixed("late.row_axis", [1])], "late.lengths", keepdims=1)
        # The number of the query's [SEP], `[batch, 1]`.
        self.last = graph.node("Sub", [lengths, self.one], "late.last")
        last = graph.node("Cast", [self.last], "late.last.whole", to=TensorProto.INT64)
        back = graph.node("Mul", ["token_type_ids", last], "late.back")
        self.places = graph.node("Sub", [numbers, back], "late.places")
        self.rows = graph.node("Unsqueeze", [self.types, graph.fixed("late.rows_axis", [2])], "late.rows")
        self.wide = graph.barred(self.attended(mask), [1], "late.mask")

    def attended(self, mask):
        """1.0 where a token attends to another, `[batch, tokens, tokens]`."""
        graph = self.graph
        columns = graph.node("Unsqueeze", [self.types, graph.fixed("late.columns_axis", [1])], "late.columns")
        unlike = graph.node("Abs", [graph.node("Sub", [self.rows, columns], "late.difference")], "late.unlike")
        same = graph.node("Sub", [self.one, unlike], "late.same")
        first = graph.node("Cast", [graph.node("Equal", [self.numbers, "zero"], "late.is_first")], "late.first", to=TensorProto.FLOAT)
        known = graph.node("Unsqueeze", [mask, graph.fixed("late.known_axis", [1])], "late.known")
        return graph.node("Mul", [graph.node("Max", [same, first], "late.allowed"), known], "late.attended")

    def told(self, states, passage):
        """The states, those of the passage marked as such."""
        rows = self.graph.node("Mul", [self.rows, self.graph.constant("late.passage", passage)], "late.marks")
        return self.graph.node("Add", [states, rows], "late.told")

    def words(self):
        """1.0 where a token is a word of the query."""
        graph = self.graph
        numbers = graph.node("Cast", [self.numbers], "late.numbers.float", to=TensorProto.FLOAT)
        after = graph.node("Greater", [numbers, graph.constant("late.zero", numpy.float32(0))], "late.after_first")
        before = graph.node("Less", [numbers, self.last], "late.before_last")
        inside = graph.node("And", [after, before], "late.is_word")
        inside = graph.node("Cast", [inside], "late.is_word.float", to=TensorProto.FLOAT)
        return graph.node("Mul", [self.asked, inside], "late.words")


def score(graph, module, levels, apart):
    """`[batch, 1]`, of the states named in `levels`."""
    head = match_graph.Head(graph, apart.last)
    words = head.of(apart.words(), "late.query.words")
    salience = match_graph.salience_of(graph, module, head.of(levels[-1], "late.query.states"), "late.salience")
    weights = graph.node("Mul", [salience, words], "late.weights")
    axis = graph.fixed("late.tokens_axis", [1])
    total = graph.node("ReduceSum", [weights, axis], "late.sum", keepdims=1)
    total = graph.node("Add", [total, graph.constant("late.tiny", numpy.float32(match.TINY))], "late.total")
    features = []
    for number, states in enumerate(levels):
        name = f"late.level{number}"
        cosines = match_graph.cosines_of(graph, head, states, apart.found, name)
        best = graph.node("ReduceMax", [cosines], f"{name}.best", axes=[2], keepdims=0)
        weighed = graph.node("Mul", [best, weights], f"{name}.weighed")
        summed = graph.node("ReduceSum", [weighed, axis], f"{name}.sum", keepdims=1)
        features.append(graph.node("Div", [summed, total], f"{name}.mean"))
    features.append(of_means(graph, levels[-1], head, words, apart.found))
    features = graph.node("Concat", features, "late.features", axis=1)
    features = graph.node("Sub", [features, graph.constant("late.shift", numpy.float32(late.SHIFT))], "late.shifted")
    mixed = graph.linear(features, module.mix, "late.mix")
    return graph.node("Mul", [mixed, graph.constant("late.scale", numpy.float32(late.SCALE))], "late.score")


def of_means(graph, states, head, words, found):
    """The cosine of the query's mean state and the passage's, `[batch, 1]`."""
    query, passage = head.of(states, "late.means.query.states"), states
    means = []
    for name, text, weights in (("query", query, words), ("passage", passage, found)):
        name = f"late.means.{name}"
        row = graph.node("Unsqueeze", [weights, graph.fixed(f"{name}.axis", [1])], f"{name}.row")
        summed = graph.node("MatMul", [row, text], f"{name}.sum")
        means.append(graph.node("Div", [summed, match_graph.norms_of(graph, summed, name)], f"{name}.unit"))
    product = graph.node("Mul", means, "late.means.product")
    summed = graph.node("ReduceSum", [product, graph.fixed("late.means.axis", [2])], "late.means.sum", keepdims=1)
    return graph.node("Squeeze", [summed, graph.fixed("late.means.flat_axis", [2])], "late.means.cosine")
