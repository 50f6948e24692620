"""The records of the demo and their counts."""

import json

import pytest

from emotag_worker.errors import BadRecord
from emotag_worker.local.demo_records import BROKEN, REPEAT_DISTANCE, Tally, plan_records, read_sample_texts
from emotag_worker.settings import InputSettings
from emotag_worker.wire.decode import decode
from emotag_worker.wire.record import Record


def test_by_default_the_watched_demo_has_repeats_and_broken_records() -> None:
    records = plan_records(200, with_exceptions=True)
    texts = [each.text for each in records if each.broken is None]
    repeats = [number for number, each in enumerate(each for each in records if each.broken is None) if each.repeated]
    assert (200, 8, list(BROKEN)) == (len(texts), len(repeats), [each.broken for each in records if each.broken])
    assert all(texts[number] == texts[number - REPEAT_DISTANCE] for number in repeats)
    assert len(set(texts)) == 200 - len(repeats)


def test_the_demo_for_scripts_sends_the_samples_in_order_and_nothing_else() -> None:
    samples = read_sample_texts()
    records = plan_records(len(samples) + 2, with_exceptions=False)
    assert [*samples, *samples[:2]] == [each.text for each in records]
    assert [False] * len(samples) + [True, True] == [each.repeated for each in records]
    assert {None} == {each.broken for each in records}


@pytest.mark.parametrize(("texts", "broken"), [(1, 0), (20, 1), (10_000, len(BROKEN))])
def test_a_short_demo_has_fewer_broken_records_and_a_long_one_no_more(texts: int, broken: int) -> None:
    records = plan_records(texts, with_exceptions=True)
    assert (texts, broken) == (
        sum(each.broken is None for each in records),
        sum(each.broken is not None for each in records),
    )


def test_a_text_is_encoded_with_its_id() -> None:
    (first,) = plan_records(1, with_exceptions=True)
    assert {"text": first.text, "id": "demo-0"} == json.loads(first.encode("demo-0"))


@pytest.mark.parametrize("value", BROKEN)
def test_every_broken_record_is_refused(value: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(Record("texts", 0, 0, None, value), InputSettings())


def test_the_summary_counts_what_is_lost_and_duplicated() -> None:
    tally = Tally(sent={"a": 1.0, "b": 2.0, "c": 3.0})
    for name, cached in (("a", False), ("a", True), ("b", True)):
        tally.count_arrival(name, dead=False, cached=cached)
    summary = tally.summarize()
    assert (3, 3, 0, 1, 1, 2) == tuple(
        summary[name] for name in ("in", "out", "dead_lettered", "lost", "duplicated", "cached")
    )
    assert not tally.exactly_once
