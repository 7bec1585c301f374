"""Texts as the tool compares them and as the model sees them. Standard library only."""

import re
import zlib

# Words that say nothing of what a query is about.
STOP_WORDS = frozenset(
    "a about after all also an and any are as at be because been before but by can could did do does "
    "for from get had has have he her his how i if in into is it its me my no not of on one or our "
    "out she should so some than that the their them then there these they this to up us was we "
    "were what when where which who whom whose why will with would you your".split()
)
# Words of one shingle, and how many shingles a text needs for near matches to mean anything.
SHINGLE_WORDS = 5
LEAST_SHINGLES = 8
# One shingle in so many is kept in a sketch: enough to find candidates, which are then compared in
# full.
SKETCH = 4

WORD = re.compile(r"[^\W_]+")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")


def squeezed(text):
    """White space runs as one space: the same text in two layouts is the same text."""
    return " ".join(text.split())


def words(text):
    return WORD.findall(text.lower())


def normalised(text):
    """Lower-case words alone; two texts with equal ones are called equal."""
    return " ".join(words(text))


def content_words(text):
    return frozenset(words(text)) - STOP_WORDS


def jaccard(a, b):
    return len(a & b) / len(a | b) if a or b else 0.0


def shingles(text):
    found = words(text)
    runs = zip(*(found[start:] for start in range(SHINGLE_WORDS)))
    return frozenset(zlib.crc32(" ".join(run).encode()) for run in runs)


def sketch(shingled):
    return [value for value in shingled if value % SKETCH == 0]


def containment(a, b):
    """Share of the smaller text's shingles that the other has; 0 for texts too short to tell."""
    smaller = min(len(a), len(b))
    return len(a & b) / smaller if smaller >= LEAST_SHINGLES else 0.0


def sentences(text):
    return [part.strip() for part in SENTENCE_END.split(squeezed(text)) if part.strip()]


def passage_text(title, text):
    """What the model reads of a passage: the title on a line above the body, as Braid puts it."""
    title = (title or "").strip()
    return f"{title}\n{text}" if title else text
