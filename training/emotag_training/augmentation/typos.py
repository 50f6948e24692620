"""Misspellings, as a hurried person types them."""

import re

import numpy as np

_WORD = re.compile(r"(?<![\w\[])[a-zA-Z]{4,}(?![\w\]])")
"""A word that can be misspelled; `[NAME]` in GoEmotions is none."""


def misspell(text: str, draw: np.random.Generator) -> str:
    """Return the text with one word changed: two letters swapped, one left out, or one typed twice."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = words[draw.integers(len(words))]
    start = word.start() + int(draw.integers(1, len(word[0]) - 2))  # the first letter stays, and the last one
    first, second = text[start], text[start + 1]
    changed = (second + first, second, first + first + second)[draw.integers(3)]
    return text[:start] + changed + text[start + 2 :]
