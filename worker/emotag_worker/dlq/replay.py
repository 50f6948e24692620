"""Put dead letters back on the input topic, once: `emotag dlq replay`.

    abort the transaction of another replay → read the progress → look at all dead letters → put back, offsets last

A consumer group without members stores the progress (`replay_progress.py`). Its offsets are committed in the
transaction that puts the records back, so a killed replay resumes at the first dead letter that is still due, and a
second replay finds only new dead letters.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, TopicPartition

from emotag_schemas.dead_letter import add_attempts, remove_error_headers
from emotag_worker.errors import (
    BatchAborted,
    Fenced,
    MayBeRepeated,
    ReplayRefused,
    TakenOver,
    TransactionFailed,
)
from emotag_worker.kafka.broker_errors import stop_if_denied
from emotag_worker.kafka.connection import get_connection
from emotag_worker.kafka.output.rewriting import Rewriter
from emotag_worker.kafka.output.sink import MAX_ABORTS, compute_pause_s
from emotag_worker.kafka.properties import name_replay_group
from emotag_worker.kafka.topics import await_topics
from emotag_worker.protocols import Sink
from emotag_worker.settings import Settings
from emotag_worker.terminal.tables import shorten
from emotag_worker.wire.record import Outgoing, Partition, Refusal

from .letters import REASON_WIDTH, DeadLetter, read_extent, read_letters, require_reason
from .replay_progress import NotingProducer, ReplayGroup, ReplayProgress
from .states import REMEMBERED, is_own, may_be_forgotten

PROBE_S = 2.0
"""Longest single request for offsets: a refusal is noticed after this time at the latest."""

ABORTED_S = 15.0
"""Longest time in which brokers abort the transaction of a killed replay after its timeout: they check every ten
seconds. Until then they do not report the group's offsets."""

OTHERS = "of another group or input topic, which its own replay puts back"
STRANGE = "not dead letters of emotag"
STUBS = (
    "stubs, whose records the brokers refused as dead letters; list their positions in the input topic with: "
    "emotag dlq list"
)
REFUSED = (
    "which the brokers refuse for {topic} ({reason}); change the topic's settings, then put them back with: emotag dlq "
    "replay --from PARTITION:OFFSET"
)
TRIED = "tried {times} times or more (--max-attempts); later replays leave them too, unless --from names their place"
OTHER_REASONS = "of other reasons, which a later replay puts back"


@dataclass(frozen=True)
class Selection:
    """The dead letters to put back.

    Attributes:
        reason: only those with this reason.
        most_attempts: only those that were tried less often: no record circulates forever.
        first: by partition, the offset to begin at, regardless of the progress.
        all_over: begin all other partitions at their beginning.
    """

    reason: str | None = None
    most_attempts: int = 5
    first: Mapping[int, int] = field(default_factory=dict)
    all_over: bool = False


@dataclass
class Count:
    """The dead letters that a replay found.

    Attributes:
        due: number of dead letters to put back, by reason.
        left: number of dead letters to leave, by explanation.
    """

    due: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    def leave(self, refused: Mapping[tuple[str, str], int]) -> None:
        """Count dead letters as left that were due: by their reason and the explanation."""
        for (reason, why), number in refused.items():
            self.due[reason] -= number
            self.left[why] += number
        self.due = +self.due


class Replay:
    """One replay, from the end of the last one to the end of the topic as it is now.

    Args:
        consumer: of the group that stores the progress.

    Raises:
        TopicMissing: the dead-letter topic or the input topic does not exist.
        ReplayRefused: the selection names a partition that does not exist, or an offset after its end.
    """

    def __init__(self, consumer: Consumer, settings: Settings, selection: Selection) -> None:
        self._consumer = consumer
        self._settings = settings
        self._selection = selection
        self._topic = settings.dlq.topic
        self._extent = read_extent(consumer, self._topic)
        self._forgotten: set[int] = set()
        await_topics(consumer, [settings.input.topic])  # a producer would notice a missing topic only much later
        for partition, offset in sorted(selection.first.items()):
            if partition not in self._extent:
                raise ReplayRefused(
                    f"--from {partition}:{offset}: {self._topic} has no partition {partition}, only 0 to "
                    f"{max(self._extent)}"
                )
            _, end = self._extent[partition]
            if offset > end:  # stored as progress, it would skip the dead letters that are yet to come
                raise ReplayRefused(
                    f"--from {partition}:{offset}: partition {partition} of {self._topic} ends at {end}; list the "
                    "positions with: emotag dlq list"
                )

    def survey(self) -> Count:
        """Count what `put_back` would do, without writing.

        Raises:
            MayBeRepeated: the progress is lost, so the records may have been put back before.
            StopWorker: the brokers are gone or refuse.
        """
        return self._examine(self._read_progress(), lambda letter: None)

    def put_back(self, sink: Sink, producer: NotingProducer) -> Count:
        """Put back what is due, and store the progress, in batches of the worker's size.

        Raises:
            MayBeRepeated: as for `survey`; nothing is put back.
            StopWorker: the replay ends early; the batches committed before it count.
        """
        # 1. Abort the open transaction of another replay: only then the brokers report the progress.
        try:
            sink.open()
        except Fenced as error:
            raise TakenOver(0) from error
        # 2. Read all dead letters once without writing, so that an error ends the replay before it begins.
        progress = self._read_progress()
        self._examine(progress, lambda letter: None)
        # 3. Put back, one batch with its progress in each transaction.
        group = ReplayGroup(self._consumer, producer.notes)
        batch, rewriter = _Batch(), Rewriter(sink)
        refused: Counter[tuple[str, str]] = Counter()
        written = 0

        def write(ends: Mapping[int, int]) -> None:
            nonlocal written
            reason = self._selection.reason
            after = {partition: progress[partition].advance(end, reason) for partition, end in ends.items()}
            producer.notes.clear()
            producer.notes.update({(self._topic, partition): at.note for partition, at in after.items()})
            offsets = {(self._topic, partition): at.offset for partition, at in after.items()}
            try:
                found = _write_batch(rewriter, batch.records, offsets, group)
            except Fenced as error:
                raise TakenOver(written) from error
            refused.update(
                (batch.reasons[index], REFUSED.format(topic=each.topic, reason=each.reason))
                for index, each in found.items()
            )
            written += len(batch.records) - len(found)
            batch.clear()

        def take(letter: DeadLetter) -> None:
            batch.add(letter, self._restore(letter))
            if len(batch.records) >= self._settings.batch.max_records or batch.bytes >= self._settings.batch.max_bytes:
                write(batch.ends)

        count = self._examine(progress, take)
        # 4. Commit every partition, also those without dead letters: brokers delete offsets that are not renewed.
        write({partition: end for partition, (_, end) in self._extent.items()})
        count.leave(refused)
        return count

    def _read_progress(self) -> dict[int, ReplayProgress]:
        """Return the stored progress of each partition, unless the selection contains an offset to begin at."""
        asked = [TopicPartition(self._topic, partition) for partition in self._extent]
        found = {}
        self._forgotten = set()
        for at in self._fetch_committed(asked):
            low, _ = self._extent[at.partition]
            begin = self._selection.first.get(at.partition, low if self._selection.all_over else None)
            is_stored = at.offset >= 0
            if begin is None and not is_stored:
                self._forgotten.add(at.partition)
            if begin is not None and (self._selection.reason is None or not is_stored):
                found[at.partition] = ReplayProgress(max(begin, low))
                continue
            stored = ReplayProgress.parse(at.offset, at.metadata, at.partition) if is_stored else ReplayProgress(low)
            if begin is not None and self._selection.reason is not None:
                stored = ReplayProgress(stored.offset, {**stored.reasons, self._selection.reason: begin})
            found[at.partition] = stored
        return found

    def _fetch_committed(self, asked: list[TopicPartition]) -> list[TopicPartition]:
        within_s = self._settings.kafka.transaction_timeout_s + ABORTED_S
        give_up_at = time.monotonic() + within_s
        self._consumer.unassign()  # so that the poll below returns no dead letter
        while True:
            try:
                committed = self._consumer.committed(asked, timeout=PROBE_S)
                error = next((at.error for at in committed if at.error is not None), None)
            except KafkaException as raised:
                committed, error = [], raised.args[0]
            if error is None:
                return committed
            message = self._consumer.poll(0)  # only a poll reports why the client finds no coordinator
            for each in (error, message and message.error()):
                if each:
                    stop_if_denied(each, topic=f"the group {name_replay_group(self._settings)}")
            if time.monotonic() > give_up_at:
                doing = "reading the progress of earlier replays"
                raise get_connection(self._consumer).explain_outage(doing, within_s, error)

    def _examine(self, progress: Mapping[int, ReplayProgress], take: Callable[[DeadLetter], None]) -> Count:
        """Count all dead letters that are not settled, and call *take* with each that is due."""
        count = Count()
        for letter in self._read_letters(progress):
            obstacle = self._find_obstacle(letter, progress[letter.record.partition])
            if obstacle is None:
                count.due[letter.reason] += 1
                take(letter)
            elif obstacle:
                count.left[obstacle] += 1
        return count

    def _read_letters(self, progress: Mapping[int, ReplayProgress]) -> Iterator[DeadLetter]:
        ranges = {
            partition: (max(low, progress[partition].find_start(self._selection.reason)), end)
            for partition, (low, end) in self._extent.items()
        }
        return read_letters(self._consumer, self._topic, ranges, within_s=self._settings.kafka.broker_timeout_s)

    def _find_obstacle(self, letter: DeadLetter, progress: ReplayProgress) -> str | None:
        """Return why to leave a dead letter, an empty string if it is settled, or None if it is due."""
        if letter.why is None:
            return STRANGE
        if not is_own(letter.why, self._settings):
            return OTHERS
        if progress.is_settled(letter.reason, letter.record.offset):
            return ""
        # Check every reason: the new progress will claim that the dead letters it leaves were never put back.
        self._stop_if_forgotten(letter)
        if self._selection.reason not in (None, letter.reason):
            return OTHER_REASONS
        if letter.stub is not None:
            return STUBS
        if letter.why.attempts >= self._selection.most_attempts:
            return TRIED.format(times=self._selection.most_attempts)
        return None

    def _stop_if_forgotten(self, letter: DeadLetter) -> None:
        assert letter.why is not None
        if letter.record.partition in self._forgotten and may_be_forgotten(letter.why):
            raise MayBeRepeated(letter.record.partition, REMEMBERED.days)

    def _restore(self, letter: DeadLetter) -> Outgoing:
        """Return the record as it was, with the number of attempts so far."""
        assert letter.why is not None
        record = letter.record
        headers = add_attempts(remove_error_headers(record.headers or ()), letter.why.attempts)
        return Outgoing(self._settings.input.topic, record.key, record.value, headers, record.timestamp_ms)


class _Batch:
    """The records that one transaction puts back."""

    def __init__(self) -> None:
        self.clear()

    def add(self, letter: DeadLetter, restored: Outgoing) -> None:
        self.records.append(restored)
        self.reasons.append(letter.reason)
        self.bytes += len(restored.value or b"")
        self.ends[letter.record.partition] = letter.record.offset + 1

    def clear(self) -> None:
        self.records: list[Outgoing] = []
        self.reasons: list[str] = []
        self.ends: dict[int, int] = {}
        self.bytes = 0


def parse_selection(reason: str | None, most_attempts: int, begin: Sequence[str]) -> Selection:
    """Parse the options of `emotag dlq replay`.

    Args:
        begin: `beginning`, or `PARTITION:OFFSET` for some partitions.

    Raises:
        NoSuchReason: no dead letter can have this reason.
        ReplayRefused: *begin* has another form.
    """
    first = {}
    for given in begin:
        found = re.fullmatch(r"(\d{1,9}):(\d{1,18})", given, flags=re.ASCII)
        if found:
            first[int(found[1])] = int(found[2])
        elif given != "beginning":
            raise ReplayRefused(f"--from takes PARTITION:OFFSET in the dead-letter topic, or beginning; not {given}")
    return Selection(require_reason(reason), most_attempts, first, all_over="beginning" in begin)


def render_count(count: Count, *, done: bool, topic: str) -> str:
    """Return lines with the result of a replay, or of a survey if it is not *done*."""
    lines = [f"{count.due.total()} {'put back on' if done else 'to put back on'} {topic}"]
    lines += [f"  {shorten(reason, REASON_WIDTH):<18}{number:>8}" for reason, number in count.due.most_common()]
    lines += [f"{number} left: {why}" for why, number in count.left.most_common()]
    return "\n".join(lines)


def _write_batch(
    rewriter: Rewriter, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: ReplayGroup
) -> Mapping[int, Refusal]:
    """Write one batch; repeat it if its transaction was aborted. Return the records that the brokers refuse."""
    refused: dict[int, Refusal] = {}

    def leave_out(guilty: Mapping[int, Refusal]) -> dict[int, None]:
        refused.update(guilty)
        return dict.fromkeys(guilty)

    aborts = 0
    while True:
        try:
            rewriter.write(records, offsets, group, replace=leave_out)
        except BatchAborted as error:
            aborts += 1
            if aborts > MAX_ABORTS:
                raise TransactionFailed(aborts, str(error)) from error
            time.sleep(compute_pause_s(aborts))
        else:
            return refused
