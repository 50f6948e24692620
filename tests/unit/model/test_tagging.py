"""The result for one text."""

import pytest

from emotag_model.tagging import ScoredLabel, Tagging

TAGGING = Tagging((), {"anger": 0.1, "joy": 0.7, "love": 0.2}, truncated=False)


def test_the_strongest_labels_come_first_whatever_their_thresholds() -> None:
    assert (ScoredLabel("joy", 0.7), ScoredLabel("love", 0.2)) == TAGGING.top(2)
    assert 3 == len(TAGGING.top(10))


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_of_labels_below_one_is_a_mistake(number: int) -> None:
    with pytest.raises(ValueError, match=rf"top\({number}\) has no labels; name a number from 1 to 3"):
        TAGGING.top(number)
