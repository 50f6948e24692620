"""The mutants: each breaks one promise of the code, and names the test that must fail."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import broken
from .broken import Function


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
        broken.commit_first,
        f"{KILLS}::test_at_least_once_a_worker_killed_between_writing_and_committing_has_lost_nothing",
    ),
    Mutant(
        "offsets are not added to the transaction",
        "emotag_worker.kafka.output.deadline",
        "Deadline.retry",
        broken.skip_offsets,
        f"{KILLS}::test_a_worker_killed_at_any_stage_has_neither_lost_nor_repeated_anything",
    ),
    Mutant(
        "a failed delivery is ignored",
        "emotag_worker.kafka.output.failures",
        "DeliveryFailures.stop_if_any",
        broken.do_nothing,
        "tests/unit/worker/kafka/output/test_sink.py",
    ),
    Mutant(
        "a refused record stops the worker",
        "emotag_worker.delivery",
        "Delivery._replace",
        broken.refuse_topic,
        "tests/integration/test_delivery.py",
    ),
    Mutant(
        "all records that are refused together become dead letters",
        "emotag_worker.kafka.output.suspects",
        "find_guilty",
        broken.accuse_all,
        "tests/unit/worker/test_delivery.py",
    ),
    Mutant(
        "records that fit only apart are joined again in the next attempt",
        "emotag_worker.kafka.output.suspects",
        "FlushPlan.refine",
        broken.forget_points,
        "tests/unit/worker/kafka/output/test_rewriting.py",
    ),
    Mutant(
        "the reports of an aborted transaction count for the next one",
        SINK,
        "drain_reports",
        broken.do_nothing,
        "tests/unit/worker/kafka/output/test_sink.py",
    ),
    Mutant(
        "the end of a partition is committed before its records",
        "emotag_worker.kafka.input.progress",
        "ReadProgress._is_drained",
        broken.ignore_records,
        "tests/unit/worker/kafka/input/test_progress.py",
    ),
    Mutant("the length of a cache entry is not checked", ENTRY, "Seal.open", broken.trust_lengths, ENTRY_TEST),
    Mutant("the MAC of a cache entry is not checked", ENTRY, "Seal.open", broken.trust_bits, ENTRY_TEST),
    Mutant(
        "a worker does not notice that another one took over its identity",
        "emotag_worker.kafka.broker_errors",
        "explain_fatal",
        broken.name_no_takeover,
        "tests/unit/worker/kafka/input/test_broker_watch.py",
    ),
    Mutant(
        "results are placed by key although input is chosen",
        "emotag_worker.wire.placement",
        "Placement.choose",
        broken.do_nothing,
        f"{PLACEMENT}::test_a_worker_killed_in_a_transaction_does_not_hold_up_the_results_of_others",
    ),
    Mutant(
        "results of an added partition are placed by remainder until the restart",
        "emotag_worker.wire.placement",
        "Placement.choose",
        broken.count_once,
        f"{PLACEMENT}::test_partitions_that_are_added_to_all_topics_get_their_own_results_without_a_restart",
    ),
    Mutant(
        "a worker is ready before its first commit",
        "emotag_worker.kafka.input.progress",
        "ReadProgress.is_proven",
        broken.always,
        "tests/unit/worker/kafka/input/test_progress.py",
    ),
    Mutant(
        "records behind an unreadable batch are skipped with it",
        "emotag_worker.kafka.input.unreadable",
        "find_readable",
        broken.skip_all,
        "tests/unit/worker/kafka/input/test_unreadable.py",
    ),
    Mutant(
        "a worker gives up while the group waits for its last run",
        "emotag_worker.kafka.input.returning",
        "Return.await_next_try",
        broken.do_nothing,
        "tests/unit/worker/kafka/input/test_returning.py",
    ),
    Mutant("an aborted batch is not read again", SOURCE, "KafkaSource.rewind", broken.do_nothing, PIPELINE_TEST),
    Mutant(
        "a batch is written although its partitions were lost",
        "emotag_worker.pipeline",
        "Pipeline.forget",
        broken.finish,
        PIPELINE_TEST,
    ),
    Mutant(
        "a batch takes the backlog of one partition before the records of others",
        READ_AHEAD,
        "ReadAhead._take_turn",
        broken.take_all,
        READ_AHEAD_TEST,
    ),
    Mutant(
        "a partition is read ahead without a limit",
        READ_AHEAD,
        "ReadAhead._fills_memory",
        broken.do_nothing,
        READ_AHEAD_TEST,
    ),
    Mutant(
        "the interval between commits delays the first record after a pause",
        "emotag_worker.commit_queue",
        "CommitQueue.due_in_s",
        broken.delay,
        COMMITS_TEST,
    ),
    Mutant(
        "completed batches are forgotten when partitions are revoked",
        "emotag_worker.pipeline",
        "Pipeline.finish",
        broken.forget,
        COMMITS_TEST,
    ),
    Mutant(
        "a failing device batch is dead-lettered as a whole",
        "emotag_model.tagger",
        "EmotionTagger.probabilities_or_errors",
        broken.reject_all,
        "tests/unit/model/test_tagger.py",
    ),
    Mutant(
        "attention is as wide as the longest text of the batch",
        "emotag_model.engines.packing",
        "Packed.width",
        broken.fit_the_longest,
        "tests/numerics/test_bits.py::test_a_text_has_the_same_bits_in_any_batch_and_order",
    ),
    Mutant(
        "after a gap, the worker continues at the end",
        "emotag_worker.kafka.input.gap",
        "find_gap",
        broken.skip_to_the_end,
        "tests/unit/worker/kafka/input/test_positions.py",
    ),
    Mutant(
        "headers do not count toward the size of a batch",
        "emotag_worker.wire.record",
        "size_of",
        broken.ignore_headers,
        "tests/unit/worker/wire/test_record.py",
    ),
    Mutant(
        "a text on which the tokenizer fails ends the worker",
        "emotag_worker.tokenizing",
        "tokenize_texts",
        broken.tokenize_at_once,
        PIPELINE_TEST,
    ),
    Mutant(
        "a burst of bad records at the start ends the worker",
        "emotag_worker.dlq.refusal_limit",
        "RefusalLimit.__init__",
        broken.never_sample,
        "tests/unit/worker/dlq/test_refusal_limit.py",
    ),
    Mutant(
        "the group is not polled while the device is slow", SOURCE, "KafkaSource.stay", broken.do_nothing, PIPELINE_TEST
    ),
)
