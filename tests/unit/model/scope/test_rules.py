"""The rules for the scope of a text, and their order."""

import pytest

from emotag_model.scope.rules import (
    EMOJI_ALONE,
    LEAST_SCORE,
    NO_WORDS,
    UNDETERMINED,
    Detected,
    Scope,
    TextScope,
    judge,
)

ENGLISH, KOREAN = Detected("en", 0.9), Detected("ko", 0.9)
UNSURE = Detected("ko", LEAST_SCORE - 0.01)


@pytest.mark.parametrize(
    ("detected", "unknown", "pieces", "expected"),
    [
        (ENGLISH, 0, 5, TextScope("ok", "en")),
        (KOREAN, 0, 5, TextScope("other_language", "ko")),
        (Detected("ko", LEAST_SCORE), 0, 5, TextScope("other_language", "ko")),
        (UNSURE, 0, 5, TextScope("ok", None)),
        (ENGLISH, 2, 4, TextScope("ok", "en")),
        (ENGLISH, 3, 4, TextScope("unreadable", "en")),
        (UNSURE, 1, 1, TextScope("unreadable", None)),
        (NO_WORDS, 1, 1, TextScope("unreadable", None)),
        (NO_WORDS, 1, 2, TextScope("too_short", None)),
        (NO_WORDS, 0, 0, TextScope("too_short", None)),
        (UNDETERMINED, 0, 5, TextScope("ok", None)),
        (UNDETERMINED, 3, 4, TextScope("unreadable", None)),
        (EMOJI_ALONE, 0, 3, TextScope("ok", None)),
        (EMOJI_ALONE, 1, 3, TextScope("too_short", None)),
        (EMOJI_ALONE, 2, 3, TextScope("unreadable", None)),
        # The language is the better reason: the words are unknown because of it.
        (KOREAN, 5, 5, TextScope("other_language", "ko")),
    ],
)
def test_the_first_rule_that_applies_decides(
    detected: Detected, unknown: int, pieces: int, expected: TextScope
) -> None:
    assert expected == judge(detected, unknown=unknown, pieces=pieces, languages=("en",))


@pytest.mark.parametrize(
    ("detected", "unknown", "expected"),
    [
        (NO_WORDS, 0, "ok"),
        (EMOJI_ALONE, 0, "ok"),
        (EMOJI_ALONE, 2, "ok"),
        (EMOJI_ALONE, 3, "unreadable"),
    ],
)
def test_emoji_for_which_the_model_reads_words_are_in_its_scope(
    detected: Detected, unknown: int, expected: Scope
) -> None:
    """Other signs, which stay unknown, may be next to them."""
    judged = judge(detected, unknown=unknown, pieces=5, languages=("en",), is_described=True)
    assert (expected, None) == judged


@pytest.mark.parametrize(
    ("languages", "expected"), [(("ko",), "ok"), (("en", "ko"), "ok"), (("en",), "other_language")]
)
def test_a_language_of_the_model_is_in_its_scope(languages: tuple[str, ...], expected: Scope) -> None:
    assert (expected, "ko") == judge(KOREAN, unknown=0, pieces=5, languages=languages)
