"""Records that the brokers refuse together or alone, again and again."""

import random
from collections.abc import Mapping

import pytest

from emotag_worker.errors import BatchAborted, RecordsRefused
from emotag_worker.kafka.output import rewriting
from emotag_worker.kafka.output.rewriting import MAX_FUTILE, Rewriter
from emotag_worker.wire.record import Outgoing, Refusal
from tests.unit.worker.kafka.scripted import NoGroup
from tests.unit.worker.test_delivery import OFFSETS, StrictBrokers

TOGETHER = Refusal("emotions", 0, "size", "too large")


def outgoing(size: int, number: int) -> Outgoing:
    return Outgoing("emotions", b"k", b"v" * size, (), number)


def keep(guilty: Mapping[int, Refusal]) -> dict[int, Outgoing | None]:
    raise AssertionError(f"{len(guilty)} good records count as bad")


def leave_out(guilty: Mapping[int, Refusal]) -> dict[int, Outgoing | None]:
    return dict.fromkeys(guilty)


@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize("limit", [150_000, 100_000, 40_000, 20_000, 6_000])
def test_records_that_fit_only_apart_are_written_apart(limit: int, *, transactional: bool) -> None:
    """No record is bad, but a produce batch of the client is larger than the topic allows."""
    chosen = random.Random(limit)
    records = [outgoing(chosen.randint(3_000, 6_000), chosen.randrange(99)) for _ in range(1_000)]
    brokers = StrictBrokers(
        lambda record: None,
        transactional=transactional,
        fits=lambda batch: sum(len(record.value or b"") for record in batch) <= max(limit, 6_000),
    )
    Rewriter(brokers).write(records, OFFSETS, NoGroup(), replace=keep)
    assert sorted(map(str, records)) == sorted(map(str, brokers.written))
    assert brokers.attempts <= 60


@pytest.mark.parametrize("transactional", [True, False])
def test_bad_records_among_records_that_fit_only_apart_are_found(*, transactional: bool) -> None:
    records = [outgoing(50_000 if number % 97 == 5 else 5_000, number) for number in range(1_000)]
    bad = {number for number in range(1_000) if number % 97 == 5}
    found: set[int] = set()

    def replace(guilty: Mapping[int, Refusal]) -> dict[int, Outgoing | None]:
        found.update(guilty)
        return dict.fromkeys(guilty)

    brokers = StrictBrokers(
        lambda record: None,
        transactional=transactional,
        fits=lambda batch: sum(len(record.value or b"") for record in batch) <= 40_000,
    )
    Rewriter(brokers).write(records, OFFSETS, NoGroup(), replace=replace)
    assert bad == found
    assert 1_000 - len(bad) == len(brokers.written)
    assert brokers.attempts <= 200


def test_what_nobody_replaces_is_left_out_and_the_offsets_are_committed() -> None:
    brokers = StrictBrokers(lambda record: "size")
    Rewriter(brokers).write([outgoing(1, 1)], OFFSETS, NoGroup(), replace=leave_out)
    assert ([], 2) == (brokers.written, brokers.attempts)


class FailingSink(StrictBrokers):
    """A sink that raises these errors, one at each attempt, then writes."""

    def __init__(self, *failures: Exception, transactional: bool = True) -> None:
        super().__init__(lambda record: None, transactional=transactional)
        self._failures = list(failures)

    def write(self, *args: object, **keywords: object) -> None:
        self.attempts += 1
        if self._failures:
            raise self._failures.pop(0)


def test_refusals_that_show_nothing_new_have_an_end() -> None:
    sink = FailingSink(*[RecordsRefused({0: TOGETHER, 1: TOGETHER}, [0, 1])] * 99)
    with pytest.raises(BatchAborted, match="too long"):
        Rewriter(sink).write([outgoing(1, 1)] * 2, OFFSETS, NoGroup(), replace=keep)
    assert MAX_FUTILE + 1 == sink.attempts


def test_refusals_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "PATIENCE_S", 0.0)
    sink = FailingSink(RecordsRefused({0: TOGETHER}, [0, 1]))
    with pytest.raises(BatchAborted, match="too long"):
        Rewriter(sink).write([outgoing(1, 1)] * 2, OFFSETS, NoGroup(), replace=leave_out)


def test_only_a_transaction_is_repeated_after_an_abort_and_each_attempt_is_a_sign_of_life() -> None:
    """Without transactions, the aborted batch is written, and only its offsets are not."""
    failures = RecordsRefused({0: TOGETHER}, [0]), BatchAborted("sequence numbers"), BatchAborted("sequence numbers")
    signs: list[None] = []
    sink = FailingSink(*failures)
    Rewriter(sink, mark_alive=lambda: signs.append(None)).write(
        [outgoing(1, 1)] * 2, OFFSETS, NoGroup(), replace=leave_out
    )
    assert (4, 4) == (sink.attempts, len(signs))
    sink = FailingSink(*failures, transactional=False)
    with pytest.raises(BatchAborted, match="sequence"):
        Rewriter(sink).write([outgoing(1, 1)] * 2, OFFSETS, NoGroup(), replace=leave_out)
    assert 2 == sink.attempts
