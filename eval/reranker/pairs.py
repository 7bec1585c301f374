"""(query, passage) pairs as token ids, cut as Braid cuts them when it serves the model."""

import numpy
from tokenizers import Tokenizer

from files import fail

# Passage tokens kept free when a query alone would fill the window.
LEAST_PASSAGE_TOKENS = 64
# Characters of a text that are looked at: more cannot be within any window.
MOST_CHARACTERS = 16_000
# What begins a text, ends it and fills it up, by MPNet's names and by BERT's, which MPNet has too and
# does not use.
BEGINS, ENDS, FILLS = ("<s>", "[CLS]"), ("</s>", "[SEP]"), ("<pad>", "[PAD]")


class Pairs:
    """Tokenizes each text once."""

    def __init__(self, tokenizer_file, max_tokens):
        self.tokenizer = Tokenizer.from_file(str(tokenizer_file))
        # The file may ask for a fixed length.
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.cls, self.sep, self.pad = (self.special(*names) for names in (BEGINS, ENDS, FILLS))
        if self.cls is None or self.sep is None:
            fail(f"{tokenizer_file} has no tokens that begin and end a text ([CLS] and [SEP], or <s> and </s>)")
        self.pad = self.pad or 0
        self.max_tokens = max_tokens
        self.known = {}

    def special(self, *names):
        """The first of these that the tokenizer has."""
        found = (self.tokenizer.token_to_id(name) for name in names)
        return next((token for token in found if token is not None), None)

    def pieces(self, text):
        if text not in self.known:
            encoded = self.tokenizer.encode(text[:MOST_CHARACTERS], add_special_tokens=False)
            self.known[text] = numpy.array(encoded.ids[:512], dtype=numpy.int32)
        return self.known[text]

    def pair(self, query, title, text):
        """Ids and token types. The passage is cut; a query only where it would leave no room."""
        room = self.max_tokens - 3
        asked = self.pieces(query)[: room - min(LEAST_PASSAGE_TOKENS, room // 2)]
        body = self.pieces(text)
        # The title's line ends in white space, so its pieces and the body's can be joined.
        passage = numpy.concatenate([self.pieces(title), body]) if title else body
        passage = passage[: room - len(asked)]
        ids = numpy.concatenate([[self.cls], asked, [self.sep], passage, [self.sep]])
        types = numpy.zeros(len(ids), dtype=numpy.int64)
        types[len(asked) + 2 :] = 1
        return ids.astype(numpy.int64), types

    def alone(self, text, tokens):
        """Ids and token types of one text, cut to `tokens`."""
        ids = numpy.concatenate([[self.cls], self.pieces(text)[: tokens - 2], [self.sep]])
        return ids.astype(numpy.int64), numpy.zeros(len(ids), dtype=numpy.int64)

    def padded(self, pairs):
        """Arrays `input_ids`, `attention_mask`, `token_type_ids` of [pairs, longest]."""
        longest = max(len(ids) for ids, _ in pairs)
        shape = (len(pairs), longest)
        batch = {name: numpy.zeros(shape, dtype=numpy.int64) for name in ("attention_mask", "token_type_ids")}
        batch["input_ids"] = numpy.full(shape, self.pad, dtype=numpy.int64)
        for row, (ids, types) in enumerate(pairs):
            batch["input_ids"][row, : len(ids)] = ids
            batch["attention_mask"][row, : len(ids)] = 1
            batch["token_type_ids"][row, : len(ids)] = types
        return batch
