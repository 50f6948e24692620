"""The mutants: each breaks one promise of the code, and names the test that must fail."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Function = Callable[..., Any]


@dataclass(frozen=True)
class Mutant:
    """One broken promise.

    Attributes:
        name: of the mutant.
        module, function: the function to replace; `Class.method` for a method.
        break_: returns the broken function for the original one.
        test: the test that must fail.
    """

    name: str
    module: str
    function: str
    break_: Callable[[Function], Function]
    test: str

    def install(self) -> None:
        """Replace the function.

        Raises:
            AttributeError: there is no such function.
        """
        owner: Any = importlib.import_module(self.module)
        *classes, name = self.function.split(".")
        for each in classes:
            owner = getattr(owner, each)
        setattr(owner, name, self.break_(getattr(owner, name)))


def _commit_first(write: Function) -> Function:
    def broken(self: Any, records: Any, offsets: Any, group: Any, **keywords: Any) -> None:
        group.commit(offsets)
        write(self, records, offsets, group, **keywords)

    return broken


def _skip_offsets(retry: Function) -> Function:
    from emotag_worker.kafka.output.sink import Step

    def broken(self: Any, doing: str, *args: Any, **keywords: Any) -> None:
        if doing is not Step.SEND_OFFSETS:
            retry(self, doing, *args, **keywords)

    return broken


def _do_nothing(_: Function) -> Function:
    return lambda *args, **keywords: None


def _refuse_topic(_: Function) -> Function:
    from emotag_worker.errors import DeliveryRefused

    def broken(self: Any, written: Any, answers: Any, guilty: Any) -> Any:
        for refusal in guilty.values():
            raise DeliveryRefused(refusal.topic, refusal.reason)
        return {}

    return broken


def _forget_points(refine: Function) -> Function:
    return lambda self, *args: (self.__init__(), refine(self, *args))[1]


def _accuse_all(_: Function) -> Function:
    return lambda refused, *args, **keywords: dict(refused)


def _trust_lengths(open_: Function) -> Function:
    """Accept entries of another length that are authenticated: cut or fill them up."""

    def broken(self: Any, key: str, raw: bytes, *, size: int) -> Any:
        body = raw[:-8]
        if self.seal([key], [body]) == [raw]:
            (raw,) = self.seal([key], [body.ljust(size, b"\0")[:size]])
        return open_(self, key, raw, size=size)

    return broken


def _trust_bits(open_: Function) -> Function:
    """Accept entries of the correct length that are not authenticated."""

    def broken(self: Any, key: str, raw: bytes, *, size: int) -> Any:
        if len(raw) == size + 8:
            (raw,) = self.seal([key], [raw[:size]])
        return open_(self, key, raw, size=size)

    return broken


def _name_no_takeover(_: Function) -> Function:
    from emotag_worker.errors import StopWorker

    return lambda doing, error: StopWorker(error.str())


def _finish(_: Function) -> Function:
    def broken(self: Any) -> dict[Any, int]:
        self.finish()
        return {}

    return broken


def _skip_to_the_end(find_gap: Function) -> Function:
    from emotag_worker.kafka.input.gap import Gap

    def broken(position: int, *, end: int, **keywords: Any) -> Any:
        found = find_gap(position, end=end, **keywords)
        return None if found is None else Gap(found.kind, position, end, found.offsets)

    return broken


def _delay(_: Function) -> Function:
    """Let every batch wait for the interval."""
    return lambda self, now, **_: self._interval_s if self.completed else float("inf")


def _forget(_: Function) -> Function:
    def broken(self: Any) -> None:
        self.forget()

    return broken


def _reject_all(_: Function) -> Function:
    def broken(self: Any, texts: Any) -> Any:
        import numpy as np

        failure: Exception = ArithmeticError("not a finite number")
        try:
            probabilities_BK = self.probabilities(texts)
            if np.isfinite(probabilities_BK).all():
                return probabilities_BK, {}
        except Exception as error:  # noqa: BLE001
            failure = error
        return np.zeros((len(texts), len(self.labels)), np.float32), dict.fromkeys(range(len(texts)), failure)

    return broken


def _ignore_headers(_: Function) -> Function:
    return lambda record: len(record.value or b"")


def _tokenize_at_once(_: Function) -> Function:
    def broken(tagger: Any, texts: Any) -> Any:
        return dict(zip(texts, tagger.tokenize(list(texts.values())), strict=True)), {}

    return broken


def _never_sample(make: Function) -> Function:
    def broken(self: Any, *, most: int, **_: Any) -> None:
        make(self, most=most, can_read=lambda: False)

    return broken


def _ignore_records(_: Function) -> Function:
    def broken(self: Any, partition: Any, end: int) -> bool:
        return bool(self._committed.get(partition, -1) < end)

    return broken


def _take_all(take_turn: Function) -> Function:
    """Take all records of a partition in one turn."""
    return lambda self, queue, taken, count, max_bytes: take_turn(self, queue, taken, len(queue.records), max_bytes)


def _skip_all(_: Function) -> Function:
    return lambda first, end, attempt: end


def _count_once(_: Function) -> Function:
    """Share the partitions that the topic had at the start."""
    return lambda self, partition: None if self.partitions is None else partition % self.partitions


def _always(_: Function) -> Function:
    return lambda *args, **keywords: True


def _never(_: Function) -> Function:
    return lambda *args, **keywords: False


KILLS = "tests/chaos/test_kills.py"
PLACEMENT = "tests/chaos/test_placement.py"
SINK = "emotag_worker.kafka.output.sink"
SOURCE = "emotag_worker.kafka.input.source"
READ_AHEAD = "emotag_worker.kafka.input.readahead"
READ_AHEAD_TEST = "tests/unit/worker/kafka/input/test_readahead.py"
ENTRY = "emotag_worker.cache.entry"
PIPELINE_TEST = "tests/unit/worker/test_pipeline.py"
COMMITS_TEST = "tests/unit/worker/test_commit_queue.py"
ENTRY_TEST = "tests/unit/worker/cache/test_entry.py"

MUTANTS = (
    Mutant(
        "offsets are committed before the results are written",
        SINK,
        "AtLeastOnceSink.write",
        _commit_first,
        f"{KILLS}::test_at_least_once_a_worker_killed_between_writing_and_committing_has_lost_nothing",
    ),
    Mutant(
        "offsets are not added to the transaction",
        "emotag_worker.kafka.output.deadline",
        "Deadline.retry",
        _skip_offsets,
        f"{KILLS}::test_a_worker_killed_at_any_stage_has_neither_lost_nor_repeated_anything",
    ),
    Mutant(
        "a failed delivery is ignored",
        "emotag_worker.kafka.output.failures",
        "DeliveryFailures.stop_if_any",
        _do_nothing,
        "tests/unit/worker/kafka/output/test_sink.py",
    ),
    Mutant(
        "a refused record stops the worker",
        "emotag_worker.delivery",
        "Delivery._replace",
        _refuse_topic,
        "tests/integration/test_delivery.py",
    ),
    Mutant(
        "all records that are refused together become dead letters",
        "emotag_worker.kafka.output.suspects",
        "find_guilty",
        _accuse_all,
        "tests/unit/worker/test_delivery.py",
    ),
    Mutant(
        "records that fit only apart are joined again in the next attempt",
        "emotag_worker.kafka.output.suspects",
        "FlushPlan.refine",
        _forget_points,
        "tests/unit/worker/kafka/output/test_rewriting.py",
    ),
    Mutant(
        "the reports of an aborted transaction count for the next one",
        SINK,
        "drain_reports",
        _do_nothing,
        "tests/unit/worker/kafka/output/test_sink.py",
    ),
    Mutant(
        "the end of a partition is committed before its records",
        "emotag_worker.kafka.input.progress",
        "ReadProgress._is_drained",
        _ignore_records,
        "tests/unit/worker/kafka/input/test_progress.py",
    ),
    Mutant("the length of a cache entry is not checked", ENTRY, "Seal.open", _trust_lengths, ENTRY_TEST),
    Mutant("the MAC of a cache entry is not checked", ENTRY, "Seal.open", _trust_bits, ENTRY_TEST),
    Mutant(
        "a worker does not notice that another one took over its identity",
        "emotag_worker.kafka.broker_errors",
        "explain_fatal",
        _name_no_takeover,
        "tests/unit/worker/kafka/input/test_broker_watch.py",
    ),
    Mutant(
        "results are placed by key although input is chosen",
        "emotag_worker.wire.placement",
        "Placement.choose",
        _do_nothing,
        f"{PLACEMENT}::test_a_worker_killed_in_a_transaction_does_not_hold_up_the_results_of_others",
    ),
    Mutant(
        "results of an added partition are placed by remainder until the restart",
        "emotag_worker.wire.placement",
        "Placement.choose",
        _count_once,
        f"{PLACEMENT}::test_partitions_that_are_added_to_all_topics_get_their_own_results_without_a_restart",
    ),
    Mutant(
        "a worker is ready before its first commit",
        "emotag_worker.kafka.input.progress",
        "ReadProgress.is_proven",
        _always,
        "tests/unit/worker/kafka/input/test_progress.py",
    ),
    Mutant(
        "records behind an unreadable batch are skipped with it",
        "emotag_worker.kafka.input.unreadable",
        "find_readable",
        _skip_all,
        "tests/unit/worker/kafka/input/test_unreadable.py",
    ),
    Mutant(
        "a worker gives up while the group waits for its last run",
        "emotag_worker.kafka.input.returning",
        "Return.await_next_try",
        _do_nothing,
        "tests/unit/worker/kafka/input/test_returning.py",
    ),
    Mutant("an aborted batch is not read again", SOURCE, "KafkaSource.rewind", _do_nothing, PIPELINE_TEST),
    Mutant(
        "a batch is written although its partitions were lost",
        "emotag_worker.pipeline",
        "Pipeline.forget",
        _finish,
        PIPELINE_TEST,
    ),
    Mutant(
        "a batch takes the backlog of one partition before the records of others",
        READ_AHEAD,
        "ReadAhead._take_turn",
        _take_all,
        READ_AHEAD_TEST,
    ),
    Mutant(
        "a partition is read ahead without a limit", READ_AHEAD, "ReadAhead._fills_memory", _do_nothing, READ_AHEAD_TEST
    ),
    Mutant(
        "the interval between commits delays the first record after a pause",
        "emotag_worker.commit_queue",
        "CommitQueue.due_in_s",
        _delay,
        COMMITS_TEST,
    ),
    Mutant(
        "completed batches are forgotten when partitions are revoked",
        "emotag_worker.pipeline",
        "Pipeline.finish",
        _forget,
        COMMITS_TEST,
    ),
    Mutant(
        "a failing device batch is dead-lettered as a whole",
        "emotag_model.tagger",
        "EmotionTagger.probabilities_or_errors",
        _reject_all,
        "tests/unit/model/test_tagger.py",
    ),
    Mutant(
        "after a gap, the worker continues at the end",
        "emotag_worker.kafka.input.gap",
        "find_gap",
        _skip_to_the_end,
        "tests/unit/worker/kafka/input/test_positions.py",
    ),
    Mutant(
        "headers do not count toward the size of a batch",
        "emotag_worker.wire.record",
        "size_of",
        _ignore_headers,
        "tests/unit/worker/wire/test_record.py",
    ),
    Mutant(
        "a text on which the tokenizer fails ends the worker",
        "emotag_worker.tokenizing",
        "tokenize_texts",
        _tokenize_at_once,
        PIPELINE_TEST,
    ),
    Mutant(
        "a burst of bad records at the start ends the worker",
        "emotag_worker.dlq.refusal_limit",
        "RefusalLimit.__init__",
        _never_sample,
        "tests/unit/worker/dlq/test_refusal_limit.py",
    ),
    Mutant("the group is not polled while the device is slow", SOURCE, "KafkaSource.stay", _do_nothing, PIPELINE_TEST),
)
