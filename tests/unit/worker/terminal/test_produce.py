"""Lines to records of the input topic."""

import io
from typing import cast

import pytest
from confluent_kafka import KafkaError, Producer

from emotag_worker.errors import BrokerUnavailable, ProduceIncomplete
from emotag_worker.kafka.output.sink import DeliveryFailures
from emotag_worker.settings import Settings, loader
from emotag_worker.terminal.produce import ProduceInterrupted, encode_line, produce_lines
from tests.unit.worker.kafka.scripted import Connected

from .test_stdin import Broken

DEFAULTS = loader.load()
TEXT = loader.load(flags={"input": {"format": "text"}})


class Taken(Connected):
    """A producer whose broker takes everything."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.flushed = 0

    def produce(self, _: str, value: bytes) -> None:
        self.values.append(value)

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        self.flushed = len(self.values)
        return 0


class Interrupted(io.BytesIO):
    """Stdin of a user who types lines, and then Ctrl-C."""

    def read1(self, size: int | None = -1) -> bytes:
        if found := super().read1(size):
            return found
        raise KeyboardInterrupt


def fed(raw: bytes | io.BytesIO, given: Settings, taken: Taken) -> int:
    file = io.BytesIO(raw) if isinstance(raw, bytes) else raw
    stream = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape")
    return produce_lines(cast("Producer", taken), DeliveryFailures(), stream, given)


def test_objects_stand_as_they_are_and_other_lines_are_texts() -> None:
    taken = Taken()
    assert 3 == fed('\ufeffa "b"\r\n\n{"text": "é"}\r\n[no object]\n'.encode(), DEFAULTS, taken)
    assert [b'{"text": "a \\"b\\""}', '{"text": "é"}'.encode(), b'{"text": "[no object]"}'] == taken.values


def test_an_object_that_is_none_is_named_and_not_sent_as_a_text() -> None:
    """The line is a broken message; the lines before it are sent."""
    taken = Taken()
    with pytest.raises(ProduceIncomplete, match=r"line 2 begins like a JSON object.*sent 1 record before it"):
        fed(b'a\n{"text": "b\nc\n', DEFAULTS, taken)
    assert [b'{"text": "a"}'] == taken.values


def test_after_ctrl_c_the_lines_before_it_are_sent() -> None:
    taken = Taken()
    with pytest.raises(ProduceInterrupted) as interrupted:
        fed(Interrupted(b"a\nb\n"), DEFAULTS, taken)
    assert 2 == interrupted.value.sent == len(taken.values) == taken.flushed


def test_with_format_text_every_line_stands_as_it_is() -> None:
    taken = Taken()
    assert 2 == fed(b'a\n{"text": "b"}\n', TEXT, taken)
    assert [b"a", b'{"text": "b"}'] == taken.values


@pytest.mark.parametrize("given", [DEFAULTS, TEXT], ids=["json", "text"])
@pytest.mark.parametrize("bad", [b"\xff", b'{"text": "\xe9"}', b"\xed\xa0\x80", b"caf\xc3"])
def test_a_line_that_is_no_utf_8_is_named_and_what_was_before_it_is_flushed(bad: bytes, given: Settings) -> None:
    taken = Taken()
    with pytest.raises(ProduceIncomplete, match="line 1003 is not UTF-8; sent 1001 records before it"):
        fed(b"a\n" * 1001 + b"\n" + bad + b"\nafter\n", given, taken)
    assert 1001 == taken.flushed


def test_a_stream_that_breaks_off_says_where_and_what_was_before_is_flushed() -> None:
    taken = Taken()
    with pytest.raises(ProduceIncomplete, match="cannot read after line 2"):
        fed(Broken(b"a\nb\n"), DEFAULTS, taken)
    assert 2 == taken.flushed


def test_a_text_is_put_where_the_worker_looks_for_it() -> None:
    nested = loader.load(flags={"input": {"text_path": "data.body"}})
    assert b'{"data": {"body": "a"}}' == encode_line("a", nested.input)


def test_a_queue_that_is_full_is_waited_for() -> None:
    class Full(Taken):
        full = 2

        def produce(self, topic: str, value: bytes) -> None:
            self.full -= 1
            if self.full >= 0:
                raise BufferError
            super().produce(topic, value)

    taken = Full()
    assert 1 == fed(b"a\n", DEFAULTS, taken)
    assert [b'{"text": "a"}'] == taken.values


@pytest.mark.parametrize("refused", [True, False])
def test_records_that_the_brokers_do_not_accept_are_an_error(refused: bool) -> None:
    class Lost(Taken):
        def flush(self, _: float) -> int:
            return 0 if refused else 1

    failures = DeliveryFailures()
    if refused:
        failures.first = ("texts", KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    impatient = loader.load(flags={"kafka": {"broker_timeout_s": 1}})
    kind, part = (ProduceIncomplete, "all of 1 record: .*large") if refused else (BrokerUnavailable, "sending 1 record")
    with pytest.raises(kind, match=part):
        produce_lines(cast("Producer", Lost()), failures, io.StringIO("a\n"), impatient)
