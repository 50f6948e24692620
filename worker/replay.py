"""Dead letters back to the input topic, once: `emotag dlq replay`.

    end what another replay has under way → read how far it came → look through all → put back, offsets last

A consumer group that nobody joins remembers how far it came (`progress.py`), and its offsets are committed with the
records they stand for. So a replay that is killed goes on where it was, and a second one finds only what is new.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.dead_letter import put_back_headers, without_error_headers

from .broker_errors import stop_if_denied
from .deadletters import DeadLetter, between, extent, known
from .errors import BrokerUnavailable, EmotagError, Fenced, StepAborted, StopWorker, TransactionFailed
from .offsets import Partition
from .progress import NotingProducer, Progress, ReplayGroup
from .properties import replay_group
from .record import Outgoing
from .settings import Settings
from .sink import MAX_ABORTS, Sink, pause_s
from .topics import partitions

REMEMBERED = timedelta(days=7)
"""How long brokers keep the offsets of a group that nobody is in, from its last commit (offsets.retention.minutes).
Where they have forgotten it, whatever was put back before is older than this."""

PROBE_S = 2.0
"""How long brokers are asked at a time, and so how late a refusal shows."""

UNDONE_S = 15.0
"""How long brokers may take to undo the transaction of a replay that was killed, once it has timed out: they look every
ten seconds. Until then they do not say how far it came to whoever only looks."""

OTHERS = "of another group or input topic, and theirs to replay"
STRANGE = "no dead letters of emotag's"
OTHER_REASONS = "of other reasons, and still to be put back"


class ReplayRefused(EmotagError):
    """What was asked for cannot be done as it was said, and what to say instead."""


class MayBeRepeated(ReplayRefused):
    def __init__(self, partition: int) -> None:
        super().__init__(
            f"no replay of partition {partition} is remembered, and it has dead letters older than Kafka remembers one "
            f"({REMEMBERED.days} days): they may have been put back already; say where to begin, as in --from "
            f"beginning or --from {partition}:0"
        )


class TakenOver(StopWorker):
    def __init__(self, put_back: int) -> None:
        super().__init__(
            f"another replay of this group took over, or a transaction outlived EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S; "
            f"{put_back} were put back before, none of them twice; what is left is put back by: emotag dlq replay"
        )


@dataclass(frozen=True)
class Choice:
    """Which dead letters are to be put back.

    Attributes:
        reason: only those that were refused for this one.
        most_attempts: not those that were tried so often already: nothing goes round for ever.
        first: where to begin, by partition, whatever is remembered.
        all_over: the same for all the others: at their beginning.
    """

    reason: str | None = None
    most_attempts: int = 5
    first: Mapping[int, int] = field(default_factory=dict)
    all_over: bool = False


@dataclass
class Count:
    """What a replay found.

    Attributes:
        due: what is put back, by reason.
        left: what is not, by why.
    """

    due: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)


class Replay:
    """One replay, from the end of an earlier one to the end of the topic as of now: what is refused again comes later.

    Args:
        consumer: of the group that remembers.
    """

    def __init__(self, consumer: Consumer, settings: Settings, choice: Choice) -> None:
        self._consumer = consumer
        self._settings = settings
        self._choice = choice
        self._topic = settings.dlq.topic
        self._extent = extent(consumer, self._topic)
        self._forgotten: set[int] = set()
        partitions(consumer, settings.input.topic)  # a producer would find out late that there is no such topic
        absent = sorted(set(choice.first) - set(self._extent))
        if absent:
            raise ReplayRefused(f"--from {absent[0]}:…: {self._topic} has no partition {absent[0]}")

    def survey(self) -> Count:
        """What `put_back` would do; nothing is written.

        Raises:
            MayBeRepeated: nobody knows whether it was done before.
            StopWorker: the brokers are gone or refuse.
        """
        return self._found(self._read_progress(), lambda letter: None)

    def put_back(self, sink: Sink, producer: NotingProducer) -> Count:
        """Put back what is due, and remember it. Steps are as large as the worker's.

        Raises:
            MayBeRepeated: as for `survey`; nothing is put back.
            StopWorker: it ends early; what was committed stays, and counts.
        """
        try:
            sink.open()  # only now is known how far another replay came
        except Fenced as error:
            raise TakenOver(0) from error
        progress = self._read_progress()
        self._found(progress, lambda letter: None)  # what stops it is to stop it before it has begun
        group = ReplayGroup(self._consumer, producer.notes)
        step = _Step()
        written = 0

        def write(ends: Mapping[int, int]) -> None:
            nonlocal written
            after = {partition: progress[partition].after(end, self._choice.reason) for partition, end in ends.items()}
            producer.notes.clear()
            producer.notes.update({(self._topic, partition): at.note for partition, at in after.items()})
            offsets = {(self._topic, partition): at.offset for partition, at in after.items()}
            try:
                _persist(sink, step.records, offsets, group)
            except Fenced as error:
                raise TakenOver(written) from error
            written += len(step.records)
            step.clear()

        def take(letter: DeadLetter) -> None:
            step.add(letter, self._back(letter))
            if len(step.records) >= self._settings.batch.max_records or step.bytes >= self._settings.batch.max_bytes:
                write(step.ends)

        found = self._found(progress, take)
        # Of every partition, also where nothing was: brokers forget what is not committed anew.
        write({partition: end for partition, (_, end) in self._extent.items()})
        return found

    def _read_progress(self) -> dict[int, Progress]:
        """How far earlier replays came, unless it was said where to begin."""
        asked = [TopicPartition(self._topic, partition) for partition in self._extent]
        found = {}
        self._forgotten = set()
        for at in self._committed(asked):
            low, _ = self._extent[at.partition]
            begin = self._choice.first.get(at.partition, low if self._choice.all_over else None)
            known_before = at.offset >= 0
            if begin is None and not known_before:
                self._forgotten.add(at.partition)
            if begin is not None and (self._choice.reason is None or not known_before):
                found[at.partition] = Progress(max(begin, low))
                continue
            progress = Progress.of(at.offset, at.metadata, at.partition) if known_before else Progress(low)
            if begin is not None and self._choice.reason is not None:
                progress = Progress(progress.offset, {**progress.reasons, self._choice.reason: begin})
            found[at.partition] = progress
        return found

    def _committed(self, asked: list[TopicPartition]) -> list[TopicPartition]:
        patience_s = self._settings.kafka.transaction_timeout_s + UNDONE_S
        give_up_at = time.monotonic() + patience_s
        self._consumer.unassign()  # what is polled below is no dead letter
        while True:
            try:
                committed = self._consumer.committed(asked, timeout=PROBE_S)
                error = next((at.error for at in committed if at.error is not None), None)
            except KafkaException as raised:
                committed, error = [], raised.args[0]
            if error is None:
                return committed
            message = self._consumer.poll(0)  # why a coordinator is not found is heard here and nowhere else
            for each in (error, message and message.error()):
                if each:
                    stop_if_denied(each, of=f"the group {replay_group(self._settings)}")
            if time.monotonic() > give_up_at:
                raise BrokerUnavailable("reading how far earlier replays came", patience_s, error.str())

    def _found(self, progress: Mapping[int, Progress], take: Callable[[DeadLetter], None]) -> Count:
        count = Count()
        for letter in self._letters(progress):
            stays = self._stays(letter, progress[letter.partition])
            if stays is None:
                count.due[letter.reason] += 1
                take(letter)
            elif stays:
                count.left[stays] += 1
        return count

    def _letters(self, progress: Mapping[int, Progress]) -> Iterator[DeadLetter]:
        ranges = {
            partition: (max(low, progress[partition].first(self._choice.reason)), end)
            for partition, (low, end) in self._extent.items()
        }
        return between(self._consumer, self._topic, ranges, patience_s=self._settings.kafka.unavailable_s)

    def _stays(self, letter: DeadLetter, progress: Progress) -> str | None:
        """Why a dead letter is not put back; None where it is, and nothing where it was."""
        if letter.why is None:
            return STRANGE
        # Two deployments may share a topic of dead letters: each puts back its own, or both would put back all.
        ours = (self._settings.input.topic, self._settings.kafka.group_id)
        if (letter.why.topic, letter.why.consumer_group) != ours:
            return OTHERS
        if progress.settled(letter.reason, letter.offset):
            return ""
        # Of any reason: what is left now would count as never put back from now on.
        self._stop_if_forgotten(letter)
        if self._choice.reason not in (None, letter.reason):
            return OTHER_REASONS
        if letter.why.attempts >= self._choice.most_attempts:
            return f"tried {self._choice.most_attempts} times or more (--max-attempts)"
        return None

    def _stop_if_forgotten(self, letter: DeadLetter) -> None:
        assert letter.why is not None
        if letter.partition in self._forgotten and letter.why.failed_at < datetime.now(UTC) - REMEMBERED:
            raise MayBeRepeated(letter.partition)

    def _back(self, letter: DeadLetter) -> Outgoing:
        """The record as it was, and how often it was tried."""
        assert letter.why is not None
        headers = put_back_headers(without_error_headers(letter.headers), letter.why.attempts)
        return Outgoing(self._settings.input.topic, letter.key, letter.value, headers, letter.timestamp_ms)


class _Step:
    """What one transaction puts back."""

    def __init__(self) -> None:
        self.clear()

    def add(self, letter: DeadLetter, back: Outgoing) -> None:
        self.records.append(back)
        self.bytes += len(back.value or b"")
        self.ends[letter.partition] = letter.offset + 1

    def clear(self) -> None:
        self.records: list[Outgoing] = []
        self.ends: dict[int, int] = {}
        self.bytes = 0


def choice(reason: str | None, most_attempts: int, begin: Sequence[str]) -> Choice:
    """What was typed.

    Args:
        begin: `beginning`, or `PARTITION:OFFSET` for some.

    Raises:
        EmotagError: it makes no sense.
    """
    first = {}
    for given in begin:
        found = re.fullmatch(r"(\d{1,9}):(\d{1,18})", given, flags=re.ASCII)
        if found:
            first[int(found[1])] = int(found[2])
        elif given != "beginning":
            raise ReplayRefused(f"--from takes PARTITION:OFFSET in the dead-letter topic, or beginning; not {given}")
    return Choice(known(reason), most_attempts, first, all_over="beginning" in begin)


def said(count: Count, *, done: bool, topic: str) -> str:
    """What a replay found, or did, in lines."""
    lines = [f"{count.due.total()} {'put back on' if done else 'to put back on'} {topic}"]
    lines += [f"  {reason:<18}{number:>8}" for reason, number in count.due.most_common()]
    lines += [f"{number} left: {why}" for why, number in count.left.most_common()]
    return "\n".join(lines)


def _persist(sink: Sink, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: ReplayGroup) -> None:
    """Write one step, again where its transaction was undone."""
    aborts = 0
    while True:
        try:
            sink.write(records, offsets, group)
        except StepAborted as error:
            aborts += 1
            if aborts > MAX_ABORTS:
                raise TransactionFailed(aborts, str(error)) from error
            time.sleep(pause_s(aborts))
        else:
            return
