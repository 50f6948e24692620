"""Messages of producers."""

import pytest
from pydantic import ValidationError

from emotag_schemas import TextMessage


@pytest.mark.parametrize("value", ['{"text": " "}', '{"text": 5}', '{"text": "a", "id": true}', "{}"])
def test_a_producer_learns_at_once_that_its_message_is_none(value: str) -> None:
    with pytest.raises(ValidationError):
        TextMessage.model_validate_json(value)


def test_half_a_surrogate_pair_is_refused_before_it_fails_to_be_written() -> None:
    with pytest.raises(ValidationError, match="surrogate"):
        TextMessage(text="a\ud800")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_metadata_that_json_cannot_say_is_refused_rather_than_changed(number: float) -> None:
    with pytest.raises(ValidationError):
        TextMessage(text="a", metadata={"a": [number]})
    assert b'{"text":"a","metadata":{"a":null}}' == TextMessage(text="a", metadata={"a": None}).to_json()


def test_a_message_without_id_and_metadata_is_its_text_alone() -> None:
    assert b'{"text":"a"}' == TextMessage(text="a").to_json()
    assert TextMessage(text="a") == TextMessage.model_validate_json(b'{"text": "a", "id": null, "new": 1}')
