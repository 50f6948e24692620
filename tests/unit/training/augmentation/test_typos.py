"""One word is misspelled."""

import numpy as np
import pytest

from emotag_training.augmentation.typos import misspell


def test_one_word_changes_and_keeps_its_first_and_last_letter() -> None:
    changed = set()
    for seed in range(200):
        before, after = "I really hate it", misspell("I really hate it", np.random.default_rng(seed))
        pairs = [(a, b) for a, b in zip(before.split(), after.split(), strict=True) if a != b]
        assert len(pairs) <= 1  # swapping two equal letters changes nothing
        for a, b in pairs:
            assert (a[0], a[-1]) == (b[0], b[-1])
            assert abs(len(a) - len(b)) <= 1
            changed.add(b)
    assert {"raelly", "realy", "reallly", "htae", "hte", "haate"} & changed == {
        *("raelly", "realy", "reallly", "htae", "hte", "haate")
    }


@pytest.mark.parametrize("text", ["", "a b c", "[NAME] is ok", "10/10 😂", "the cat"])
def test_texts_without_a_long_word_stay_as_they_are(text: str) -> None:
    assert text == misspell(text, np.random.default_rng(0))
