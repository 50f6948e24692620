"""Messages and results of a lane have ids."""

import json

import pytest

from benchmarks.stream.lane import encode_values, parse_id


def test_messages_have_ids_that_count_up() -> None:
    first, second = (json.loads(value) for value in encode_values(['say "hi"', "é"], 41))
    assert {"text": 'say "hi"', "id": "41"} == first
    assert {"text": "é", "id": "42"} == second


@pytest.mark.parametrize("value", [b'{"id":"42","emotions":[]}', b'{"id": "42", "emotions": []}'])
def test_the_id_of_a_result_is_found_without_parsing_it(value: bytes) -> None:
    assert 42 == parse_id(value)
