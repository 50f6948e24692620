"""Tokenize the new texts of a batch, and find the texts on which the tokenizer fails."""

from collections.abc import Mapping, Sequence

from emotag_model.tokens import TokenIds

from .errors import BadRecord, DeviceLost, TokenizerRejected
from .protocols import Tagger

HARMLESS = "a harmless text"
"""If the tokenizer fails on this text too, the cause is the tokenizer and not another text."""


def tokenize_texts(tagger: Tagger, texts: Mapping[str, str]) -> tuple[dict[str, TokenIds], dict[str, BadRecord]]:
    """Return the tokens of each text by its cache key, and the rejection of each text that has none.

    Texts that fail together are halved until the failing text is alone, as the device's are.

    Raises:
        DeviceLost: the tokenizer fails on a harmless text too.
    """
    tokens, errors = _tokenize_or_halve(tagger, list(texts.values()))
    found = dict(zip(texts, tokens, strict=True))
    rejected: dict[str, BadRecord] = {
        key: TokenizerRejected(errors[row]) for row, key in enumerate(texts) if row in errors
    }
    return {key: each for key, each in found.items() if each is not None}, rejected


def _tokenize_or_halve(
    tagger: Tagger, texts: Sequence[str]
) -> tuple[Sequence[TokenIds | None], dict[int, BaseException]]:
    """Return the tokens of each text, None for a text that fails, and its error by its position."""
    try:
        return tagger.tokenize(texts), {}
    except BaseException as error:
        if not _is_failure(error):
            raise
        failure = error
    if len(texts) == 1:
        _check_tokenizer(tagger)
        return [None], {0: failure}
    middle = len(texts) // 2
    left, left_errors = _tokenize_or_halve(tagger, texts[:middle])
    right, right_errors = _tokenize_or_halve(tagger, texts[middle:])
    return [*left, *right], left_errors | {middle + row: error for row, error in right_errors.items()}


def _check_tokenizer(tagger: Tagger) -> None:
    try:
        tagger.tokenize([HARMLESS])
    except BaseException as error:
        if not _is_failure(error):
            raise
        raise DeviceLost(f"the tokenizer fails on every text ({type(error).__name__})") from error


def _is_failure(error: BaseException) -> bool:
    """Return True for an error of the tokenizer, also for a panic in Rust, whose class Python cannot import."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
