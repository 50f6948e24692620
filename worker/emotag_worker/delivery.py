"""Write answers, and replace answers that the brokers refuse, so that they do not stop the records after them.

    result → dead letter with the reason OutputRefused → stub: the dead letter without its record

A record whose timestamp is refused is first written with the brokers' time. If even a stub is refused, the dead-letter
topic refuses every record, and the worker stops.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import msgspec

from emotag_schemas.dead_letter import StubHeaders

from .dlq.refusal_limit import RefusalLimit
from .errors import DeliveryRefused, OutputRefused
from .kafka.output.rewriting import Rewriter
from .observability.telemetry import Telemetry
from .protocols import Group, Sink
from .wire.encode import RecordEncoder
from .wire.record import Answer, Outgoing, Partition, Record, Refusal

Replacement = Literal["timestamp", "dead_letter", "stub"]
"""The next form of a refused record: with the brokers' timestamp, a dead letter, or a stub."""


class Delivery:
    """Writes answers through a sink.

    Args:
        limit: of dead letters; refused results count, too.
        mark_alive: called before each attempt to write.
        requires_key: returns True if a topic certainly refuses every record without a key.
    """

    def __init__(
        self,
        sink: Sink,
        encoder: RecordEncoder,
        limit: RefusalLimit,
        telemetry: Telemetry,
        *,
        mark_alive: Callable[[], None] = lambda: None,
        requires_key: Callable[[str], bool] = lambda topic: False,
    ) -> None:
        self._rewriter = Rewriter(sink, mark_alive=mark_alive, requires_key=requires_key)
        self._encoder = encoder
        self._limit = limit
        self._telemetry = telemetry
        self._known: dict[tuple[str, int, int], list[Refusal]] = {}

    def write(self, answers: Sequence[Answer], offsets: Mapping[Partition, int], group: Group) -> None:
        """Write and commit the answers of one batch or of several, and replace those that the brokers refuse.

        If the batch is aborted and comes again, the answers that are known as bad are replaced at once.

        Args:
            answers: a replaced answer changes in place, so that you can count answers afterwards.

        Raises:
            BatchAborted, StopWorker: as for `Rewriter.write`; `DeliveryRefused` also for a stub that is refused.
            TooManyDeadLetters: too many results are refused.
        """
        written = [answer for answer in answers if answer.outgoing is not None]
        self._replace_known(written)
        self._limit.admit(answers)
        records = [answer.outgoing for answer in written if answer.outgoing is not None]
        self._rewriter.write(records, offsets, group, replace=partial(self._replace, written, answers))
        self._known.clear()

    def _replace_known(self, answers: Sequence[Answer]) -> None:
        for answer in answers if self._known else ():
            for refusal in self._known.get(_locate(answer.record), ()):
                self._replace_one(answer, refusal)

    def _replace(
        self, written: Sequence[Answer], answers: Sequence[Answer], guilty: Mapping[int, Refusal]
    ) -> dict[int, Outgoing]:
        """Replace bad answers; return their new records, by index."""
        counts: Counter[tuple[str, Replacement, str]] = Counter()
        replaced = {}
        for index, refusal in guilty.items():
            how, replaced[index] = self._replace_one(written[index], refusal)
            self._known.setdefault(_locate(written[index].record), []).append(refusal)
            counts[refusal.topic, how, refusal.reason] += 1
        for (topic, how, reason), records in counts.items():
            self._telemetry.report_refusals(topic, how, reason, records)
        self._limit.admit(answers)
        return replaced

    def _replace_one(self, answer: Answer, refusal: Refusal) -> tuple[Replacement, Outgoing]:
        outgoing = answer.outgoing
        assert outgoing is not None
        how = _choose_replacement(answer, outgoing, refusal)
        match how:
            case "timestamp":
                outgoing = msgspec.structs.replace(outgoing, timestamp_ms=None)
            case "dead_letter":
                error = OutputRefused(refusal.topic, refusal.reason)
                outgoing = self._encoder.encode_dead_letter(answer.record, error, datetime.now(UTC))
                answer.source, answer.reason, answer.truncated = "", type(error).__name__, False
            case "stub":
                outgoing = self._encoder.encode_stub(outgoing, answer.record, refusal.reason)
        answer.outgoing = outgoing
        return how, outgoing


def _locate(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def _choose_replacement(answer: Answer, outgoing: Outgoing, refusal: Refusal) -> Replacement:
    """Return the next form in which to write a refused answer.

    Raises:
        DeliveryRefused: a stub is refused.
    """
    if refusal.cause == "timestamp" and outgoing.timestamp_ms is not None:
        return "timestamp"
    if not answer.reason:
        return "dead_letter"
    if StubHeaders.from_headers(outgoing.headers) is None:
        return "stub"
    raise DeliveryRefused(refusal.topic, refusal.reason)
