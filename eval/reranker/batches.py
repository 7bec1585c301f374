"""What each training step shows: drawn from the seed and the step's number alone, so that a run
that was interrupted goes on with what it would have seen. Standard library only."""

import lists
from files import chance


class Stream:
    """An endless walk over queries, epoch after epoch."""

    def __init__(self, counts, weights, seed):
        self.counts, self.weights, self.seed = counts, weights, seed
        self.number, self.start = 0, 0
        self.order = self.draw(0)

    def draw(self, number):
        order = lists.epoch(self.counts, self.weights, self.seed, number)
        if not order and number > 100:
            raise ValueError("every source has weight 0")
        return order

    def slice(self, start, count):
        """Queries `start..start + count` of the walk; later calls may not go back."""
        found = []
        while len(found) < count:
            place = start + len(found) - self.start
            if place >= len(self.order):
                self.start += len(self.order)
                self.number += 1
                self.order = self.draw(self.number)
            else:
                found += self.order[place : place + count - len(found)]
        return found


class Batches:
    """The steps of one phase: lists of (triples, goals, fused scores), the first of a list its positive."""

    def __init__(self, mined, recipe, phase, length_of):
        self.mined, self.recipe, self.phase, self.length_of = mined, recipe, phase, length_of
        counts, weights = {}, {}
        for name, source in mined.items():
            for split in ("train", "pseudo") if phase == "warmup" else ("train",):
                if source.splits[split]:
                    counts[name, split] = len(source.splits[split])
                    weights[name, split] = source.settings["weight"] if split == "train" else 1.0
        self.stream = Stream(counts, weights, (recipe["seed"], phase))
        self.chunk, self.steps = None, []

    def step(self, number):
        """The lists of step `number` of this phase."""
        size = self.recipe["train"]["bucket_steps"]
        if self.chunk != number // size:
            self.chunk = number // size
            self.steps = self.draw_chunk(self.chunk)
        return self.steps[number % size]

    def draw_chunk(self, chunk):
        """Lists of similar length share a step; the steps come in any order."""
        train = self.recipe["train"]
        per_step = train["queries_per_step"]
        draw = chance(self.recipe["seed"], self.phase, "chunk", chunk)
        total = per_step * train["bucket_steps"]
        shown = [self.draw_list(*entry, draw) for entry in self.stream.slice(chunk * total, total)]
        shown.sort(key=lambda one: max(map(self.length_of, one[0])))
        steps = [shown[start : start + per_step] for start in range(0, total, per_step)]
        draw.shuffle(steps)
        return steps

    def draw_list(self, place, index, draw):
        name, split = place
        source = self.mined[name]
        row = source.row(split, index)
        keys = [draw.choice(row["positives"]), *lists.draw_negatives(row, self.recipe["negatives"], draw)]
        weights = self.recipe["targets"]
        found = lists.targets(row, keys, weights, source.given.get(row["id"]))
        goals = [(target - weights["shift"]) * weights["scale"] for target in found]
        titled = draw.random() >= self.recipe["train"]["title_dropout"]
        bases = lists.bases(row, keys, self.recipe["validate"]["window"])
        return source.texts(row, keys, titled), goals, bases
