"""How results look on a terminal."""

import json

import pytest

from worker.show import result_line


def test_a_result_is_a_line() -> None:
    emotions = [{"label": "joy", "score": 0.912}, {"label": "love", "score": 0.5}]
    assert "42  joy 91.2 %, love 50.0 %" == result_line(json.dumps({"id": "42", "emotions": emotions}))


@pytest.mark.parametrize("value", ["", "null", "[]", "3", "{}", "no JSON", '{"id": "1", "emotions": 3}'])
def test_what_is_no_result_is_no_line_and_no_traceback(value: str) -> None:
    """Anyone may write to a topic."""
    assert "" == result_line(value)
