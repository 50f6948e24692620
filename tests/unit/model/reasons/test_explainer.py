"""Reasons as characters of a text."""

import numpy as np
import pytest

from emotag_model.artifact import Artifact
from emotag_model.reasons.explainer import Explainer
from emotag_model.reasons.spans import LEVELS, ReasonSpan
from emotag_model.tokens import TokenIds, Tokens, Window


@pytest.fixture(scope="module")
def tokens(shipped: Artifact) -> Tokens:
    return Tokens(shipped.tokenizer, max_tokens=shipped.config.max_tokens)


@pytest.fixture(scope="module")
def explainer(shipped: Artifact, tokens: Tokens) -> Explainer:
    return Explainer(shipped, tokens)


def test_each_window_of_a_long_text_is_located_alone(explainer: Explainer, tokens: Tokens) -> None:
    text = "  so  good"
    windows = tuple(Window(start, end, tokens(["so good"[start:end]])[0]) for start, end in ((0, 2), (3, 7)))
    found = explainer.locate([text, text], [tokens([text])[0], TokenIds((), False, 0, windows)])
    offsets = [row.offsets.tolist() for each in found for row in each.rows if row.offsets is not None]
    assert [[0, 0], [0, 2], [3, 7], [0, 0]] == offsets[0]
    assert [[[0, 0], [0, 2], [0, 0]], [[0, 0], [0, 4], [0, 0]]] == offsets[1:]
    assert [] == explainer.locate([], [])


def test_emoji_are_located_as_they_were_read_alone_and_in_a_window(explainer: Explainer, tokens: Tokens) -> None:
    alone = tokens(["😡"])[0]
    window = Window(0, 1, tokens(["😡"], are_parts=True)[0])
    found = explainer.locate(["😡", "😡"], [alone, TokenIds((), False, 0, (window,))])
    assert [4, 3] == [len(row.ids) for each in found for row in each.rows]
    assert [4, 3] == [len(row.offsets) for each in found for row in each.rows if row.offsets is not None]


def test_a_label_is_explained_by_the_window_that_its_probability_comes_from(
    explainer: Explainer, shipped: Artifact, tokens: Tokens
) -> None:
    """Of `neutral`, the window in which it is least likely. The spans are places in the whole text."""
    labels = shipped.config.labels
    neutral = labels.index("neutral")
    windows = tuple(Window(start, end, tokens(["x"])[0]) for start, end in ((0, 2), (3, 7)))
    probabilities_WK = np.zeros((2, len(labels)), np.float32)
    probabilities_WK[0, 0] = probabilities_WK[1, 1] = probabilities_WK[0, neutral] = 0.5
    spans_WKS3 = np.zeros((2, len(labels), 3, 3), np.uint16)
    spans_WKS3[0, 0, 0], spans_WKS3[1, 0, 0], spans_WKS3[1, 1, 0] = (0, 2, LEVELS), (0, 1, LEVELS), (0, 4, LEVELS)
    spans_WKS3[0, neutral, 0], spans_WKS3[1, neutral, 0] = (0, 2, LEVELS), (1, 4, LEVELS)
    found = explainer.read(" so   good", TokenIds((), False, 0, windows), probabilities_WK, spans_WKS3)
    assert (ReasonSpan(1, 3, 1.0),) == found[labels[0]]
    assert (ReasonSpan(6, 10, 1.0),) == found[labels[1]]
    assert () == found[labels[2]]
    assert (ReasonSpan(7, 10, 1.0),) == found["neutral"]


def test_rows_that_nobody_fills_in_have_no_spans(explainer: Explainer, tokens: Tokens) -> None:
    texts = ["so good", "yes"]
    found = explainer.find_spans(explainer.allocate(2), explainer.locate(texts, tokens(texts)))
    assert not found.any()
