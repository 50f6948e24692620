"""A text on which the tokenizer fails, and its neighbors."""

from collections.abc import Sequence

import pytest

from emotag_model.tokens import TokenIds
from emotag_worker.errors import DeviceLost, TokenizerRejected
from emotag_worker.tokenizing import tokenize_texts
from tests.unit.worker.scripted import OneLabel

PanicException = type("PanicException", (BaseException,), {})
"""A panic in Rust, as Python receives it. Its class cannot be imported."""


class Fragile(OneLabel):
    """A tagger whose tokenizer fails on texts that contain a word."""

    def __init__(self, word: str, error: BaseException) -> None:
        self.word, self.error, self.calls = word, error, 0

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        self.calls += 1
        if any(self.word in text for text in texts):
            raise self.error
        return super().tokenize(texts)


@pytest.mark.parametrize("error", [RuntimeError("the text"), PanicException("the text")])
def test_a_text_that_fails_the_tokenizer_harms_no_other(error: BaseException) -> None:
    texts = {f"k{number}": "bad" if number in (3, 11) else f"text {number}" for number in range(16)}
    tokens, rejected = tokenize_texts(Fragile("bad", error), texts)
    assert {"k3", "k11"} == rejected.keys()
    assert [key for key in texts if key not in rejected] == list(tokens)
    assert "the text" not in str(rejected["k3"])
    assert isinstance(rejected["k3"], TokenizerRejected)


def test_texts_without_a_fault_are_tokenized_at_once() -> None:
    tagger = Fragile("bad", RuntimeError())
    tokens, rejected = tokenize_texts(tagger, {"a": "one", "b": "three"})
    assert ([3, 5], {}, 1) == ([text.ids[0] for text in tokens.values()], rejected, tagger.calls)
    assert ({}, {}) == tokenize_texts(tagger, {})


def test_a_tokenizer_that_fails_on_every_text_ends_the_worker() -> None:
    """Otherwise the whole topic would become dead letters."""
    with pytest.raises(DeviceLost, match="the tokenizer fails on every text"):
        tokenize_texts(Fragile("", RuntimeError()), {"a": "one", "b": "two"})


def test_an_interrupt_is_no_failure() -> None:
    with pytest.raises(KeyboardInterrupt):
        tokenize_texts(Fragile("", KeyboardInterrupt()), {"a": "one"})
