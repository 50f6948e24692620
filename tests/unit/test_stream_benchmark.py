"""What the benchmarks of the stream count with: messages, ids, ratios, and what a worker's functions are called."""

import json
import re

import pytest

from benchmarks import start, stream
from benchmarks.field import COLD, ENGINE, PLAIN, QUIX, SHORT, STEPS
from benchmarks.messages import Supply, id_in, values
from benchmarks.tally import Tally
from model.tokens import normalise


def test_no_text_is_given_out_twice_even_when_the_data_set_is_used_up() -> None:
    supply = Supply()
    texts = supply.take(20_000)
    assert 20_000 == len({normalise(text) for text in texts})
    assert texts[0] not in supply.take(10)


def test_messages_have_ids_that_count_up() -> None:
    first, second = (json.loads(value) for value in values(['say "hi"', "é"], 41))
    assert {"text": 'say "hi"', "id": "41"} == first
    assert {"text": "é", "id": "42"} == second


@pytest.mark.parametrize("value", [b'{"id":"42","emotions":[]}', b'{"id": "42", "emotions": []}'])
def test_the_id_of_a_result_is_found_without_parsing_it(value: bytes) -> None:
    assert 42 == id_in(value)


def test_ratios_are_taken_within_a_round() -> None:
    """The machine was half as fast in the second round: that is nobody's merit."""
    tally = Tally("stream", "messages/s")
    for number, speed in enumerate((100.0, 50.0, 100.0)):
        tally.add("engine", number, speed)
        tally.add("worker", number, speed * 0.9)
    engine, worker = tally.rows(against="engine", notes={"worker": "as it is"})
    assert worker.ratio == pytest.approx(0.9)
    assert ("engine", "as it is", 45.0, 90.0) == (worker.against, worker.note, worker.low, worker.high)
    assert engine.ratio is None


def test_the_stream_is_held_against_the_best_rival() -> None:
    tally = Tally("stream", "messages/s")
    for name, rate in {ENGINE: 100.0, STEPS: 90.0, COLD: 88.0, PLAIN: 80.0, QUIX: 60.0}.items():
        tally.add(name, 0, rate)
    to_engine, to_best, one_core = stream.goals(tally, {})
    assert to_engine.measured == pytest.approx(0.88)
    assert to_best.measured == pytest.approx(1.1)
    assert PLAIN in to_best.why
    assert one_core.measured is None


def test_a_run_is_whole_batches() -> None:
    assert 0 == SHORT.messages(1_000.0) % 256
    assert SHORT.least == SHORT.messages(1.0)


def test_import_times_are_read_as_python_writes_them() -> None:
    line = "import time:    281659 |     503987 |         torch._decomp.decompositions"
    assert [("281659", "torch._decomp.decompositions")] == re.findall(start.IMPORTED, line)
