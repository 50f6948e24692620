"""Records with and without a text that can be tagged."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emotag_schemas.message import TextMessage
from emotag_worker import errors
from emotag_worker.settings import InputSettings
from emotag_worker.wire.decode import Decoded, decode
from emotag_worker.wire.record import Record

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def record(value: bytes | None, key: bytes | None = None) -> Record:
    return Record("texts", 3, 1234, key, value)


def test_text_id_and_metadata_are_read_and_unknown_fields_ignored() -> None:
    value = b'{"text": " a b ", "id": "m", "metadata": {"n": 1.0, "\\u00e9": [true]}, "other": {}}'
    assert Decoded(" a b ", "m", b'{"n": 1.0, "\\u00e9": [true]}') == decode(record(value), InputSettings())


@pytest.mark.parametrize(
    "metadata",
    [
        b'{"large": 9007199254740993.0, "exact": 0.1000000000000000055511151231257827, "e": 1e3, "z": -0}',
        b'{ "spaced" :\n[ 1 , {} ] , "escaped\\/": "\\u00e9" }',
        b'{"twice": 1, "twice": 2, "metadata": {"metadata": null}}',
    ],
)
def test_metadata_stays_as_it_was_written(metadata: bytes) -> None:
    """Not only equal to a parser that reads numbers as doubles: the very bytes."""
    value = (
        b'{"metadata": "not this one", "other": {"metadata": 1}, "text": "a", "metadata": ' + metadata + b' , "x": 1}'
    )
    assert metadata == decode(record(value), InputSettings()).metadata_json


def test_a_record_whose_headers_cannot_be_read_is_refused() -> None:
    """Its result could not repeat them."""
    with pytest.raises(errors.HeadersUnreadable):
        decode(Record("texts", 3, 1234, None, b'{"text": "a"}', headers=None), InputSettings())


@pytest.mark.parametrize("key", [None, b"user-7"])
def test_without_an_id_the_place_of_the_record_is_taken(key: bytes | None) -> None:
    """Not its key, which many records of a user may share."""
    assert "texts-3-1234" == decode(record(b'{"text": "a"}', key), InputSettings()).id


@pytest.mark.parametrize("number", ["7", "-0", "1.50", "1e3", "12345678901234567890123", "9" * 1024])
def test_a_number_as_id_is_written_as_it_came(number: str) -> None:
    """Also a number that no double can represent: an id is compared, never computed with."""
    assert number == decode(record(b'{"text": "a", "id": %b}' % number.encode()), InputSettings()).id


def test_id_and_metadata_may_lie_deeper_or_be_ignored() -> None:
    """A topic whose own `metadata` means something else must not become dead letters."""
    value = b'{"text": "a", "id": [], "metadata": 1e999, "order": {"number": 7, "tags": [1.0]}}'
    deeper = InputSettings(id_path="order.number", metadata_path="order.tags")
    assert Decoded("a", "7", b"[1.0]") == decode(record(value), deeper)
    assert Decoded("a", "texts-3-1234") == decode(record(value), InputSettings(id_path="", metadata_path=""))


@pytest.mark.parametrize("path", ["order.number", "text.number", "none.at.all"])
def test_a_path_that_leads_nowhere_is_an_absent_field(path: str) -> None:
    settings = InputSettings(id_path=path, metadata_path=path)
    assert Decoded("a", "texts-3-1234") == decode(record(b'{"text": "a", "order": []}'), settings)


@pytest.mark.parametrize("metadata", [b'"web"', b"5.0", b"true", b"[ 1, null ]", b'""', b"0"])
def test_metadata_may_be_any_value(metadata: bytes) -> None:
    assert metadata == decode(record(b'{"text": "a", "metadata": %b}' % metadata), InputSettings()).metadata_json


def test_headers_over_their_limit_are_refused_and_names_count() -> None:
    headers = [("a" * 30, b"b" * 60), ("c", None)]
    decode(Record("texts", 3, 1234, None, b'{"text": "a"}', headers), InputSettings(max_headers_bytes=91))
    with pytest.raises(errors.HeadersTooLarge, match="91 bytes, the limit is 90"):
        decode(Record("texts", 3, 1234, None, b'{"text": "a"}', headers), InputSettings(max_headers_bytes=90))


def test_null_id_and_metadata_count_as_absent() -> None:
    decoded = decode(record(b'{"text": "a", "id": null, "metadata": null}'), InputSettings())
    assert Decoded("a", "texts-3-1234") == decoded


def test_the_text_may_lie_deeper() -> None:
    settings = InputSettings(text_path="payload.body.text")
    assert "a" == decode(record(b'{"payload": {"body": {"text": "a"}}}'), settings).text


def test_plain_text_is_taken_as_it_is() -> None:
    settings = InputSettings(format="text")
    assert Decoded('{"text": 1}', "texts-3-1234") == decode(record(b'{"text": 1}'), settings)


def test_a_byte_order_mark_is_named() -> None:
    with pytest.raises(errors.NotJson, match="it begins with a byte order mark"):
        decode(record(b'\xef\xbb\xbf{"text": "a"}'), InputSettings())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, errors.Tombstone),
        (b"", errors.NotJson),
        (b"{", errors.NotJson),
        (b'{"text": NaN}', errors.NotJson),
        (b'{"text": "\\ud800"}', errors.NotJson),
        (b'{"text": "\xff"}', errors.NotUtf8),
        (b"\xef\xbb\xbf{}", errors.NotJson),
        (b"[]", errors.NotJson),
        (b'"a"', errors.NotJson),
        (b"null", errors.NotJson),
        (b"[" * 100_000, errors.TooDeep),
        (b"{}", errors.NoText),
        (b'{"text": null}', errors.NoText),
        (b'{"text": ""}', errors.NoText),
        (b'{"text": " \\u00a0\\n"}', errors.NoText),
        (b'{"text": ["a"]}', errors.WrongType),
        (b'{"text": true}', errors.WrongType),
        (b'{"text": "a", "id": true}', errors.WrongType),
        (b'{"text": "a", "id": [5]}', errors.WrongType),
        (b'{"text": "a", "id": ' + b"9" * 1025 + b"}", errors.IdTooLarge),
        (b'{"text": "a", "id": "' + b"b" * 1025 + b'"}', errors.IdTooLarge),
        (b'{"text": "a", "metadata": {"n": 1e999}}', errors.WrongType),
        (b'{"text": "' + b"a" * 200 + b'"}', errors.ValueTooLarge),
        (b'{"text": "a", "metadata": {"b": "' + b"c" * 60 + b'"}}', errors.MetadataTooLarge),
        (b'{"text": "a", "metadata": "' + b"c" * 60 + b'"}', errors.MetadataTooLarge),
    ],
)
def test_a_bad_value_is_refused_with_its_reason(value: bytes | None, expected: type[errors.BadRecord]) -> None:
    limit = 100 if expected is errors.ValueTooLarge else 1_000_000
    settings = InputSettings(max_value_bytes=limit, max_metadata_bytes=50)
    with pytest.raises(expected):
        decode(record(value), settings)


@pytest.mark.parametrize("value", [b"", b"  \n", b"\xff"])
def test_a_plain_text_that_is_blank_or_no_utf8_is_refused(value: bytes) -> None:
    with pytest.raises(errors.BadRecord):
        decode(record(value), InputSettings(format="text"))


@given(st.binary(max_size=200))
def test_whatever_the_bytes_they_are_decoded_or_refused(value: bytes) -> None:
    """Nothing but a BadRecord ever comes out: one record cannot stop the stream."""
    for kind in ("json", "text"):
        with contextlib.suppress(errors.BadRecord):
            decode(record(value), InputSettings.model_validate({"format": kind}))


@given(st.dictionaries(st.sampled_from(["text", "id", "metadata", "other"]), JSON_VALUES))
def test_what_is_accepted_is_what_the_published_model_accepts(message: dict[str, object]) -> None:
    """The worker decodes by hand, for speed; TextMessage is the contract, and the two agree."""
    value = json.dumps(message).encode()
    try:
        expected: TextMessage | None = TextMessage.model_validate_json(value)
    except ValidationError:
        expected = None
    try:
        found: Decoded | None = decode(record(value), InputSettings())
    except errors.NotJson:
        return  # NaN and lone surrogates, which json.dumps writes: the worker refuses them, pydantic does not
    except errors.BadRecord:
        found = None
    assert (expected is None) == (found is None)
    if expected is not None and found is not None:
        assert expected.text == found.text
        own = message.get("id")
        assert (own if isinstance(own, str) else "" if own is None else json.dumps(own)) in (found.id, "")
