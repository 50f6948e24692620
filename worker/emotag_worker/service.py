"""One worker: its parts are built, run, and closed in the order that loses nothing."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial

from emotag_model import artifact
from emotag_model.engines.choice import find_candidates
from emotag_model.engines.device import choose_device, count_gpus, is_installed
from emotag_model.errors import ArtifactError, DeviceUnknown
from emotag_model.tagger import EmotionTagger

from . import malloc
from .batch_budget import BATCHES_IN_FLIGHT, BatchBudget
from .cache.memory import MemoryCache
from .cache.redis_cache import NoCache, RedisCache
from .commit_queue import CommitQueue
from .errors import SettingsError
from .kafka import clients
from .kafka.compaction import CompactedTopics, choose_tombstone_action
from .kafka.input.backfill import Backfill
from .kafka.input.positions import Positions
from .kafka.input.sample import can_read_newest
from .kafka.input.source import KafkaSource
from .kafka.input.unreadable import Unreadable
from .kafka.lag_watch import LagWatch
from .kafka.offsets import OffsetReader
from .kafka.output.sink import DeliveryFailures, create_sink
from .kafka.properties import is_eager
from .kafka.retention import find_short_retentions
from .kafka.topics import count_partitions
from .lifecycle import Lifecycle
from .liveness import compute_stuck_s
from .observability.telemetry import Telemetry
from .observability.traces import open_traces
from .pipeline import Pipeline
from .protocols import Cache, Sink, Traces
from .settings import ModelSettings, Settings
from .wire.encode import RecordEncoder, TombstoneAction
from .wire.placement import Placement, place_dead_letters, place_results

Recount = Callable[[str, int], int]
"""Counts the partitions of a topic, which are expected to be more than the number given."""


def serve(
    settings: Settings, telemetry: Telemetry, lifecycle: Lifecycle, *, version: str, until: datetime | None = None
) -> None:
    """Run a worker until a signal stops *lifecycle*, or until it has read all records before *until*.

    Raises:
        StopWorker: the worker cannot continue; nothing uncommitted was lost.
        SettingsError: the settings contradict one another, or do not fit this machine.
        ArtifactError: the model must not be served.
    """
    malloc.share_arenas()
    # The stack closes in the reverse order: first the lag watch, the pipeline and the cache, then the source, which
    # leaves the group when everything is committed, and last the traces.
    with contextlib.ExitStack() as stack:
        # 1. Mistakes in settings, and topics that do not exist, are reported before the model is loaded.
        traces = open_traces(settings, version=version)
        stack.callback(traces.close)
        reader = clients.create_offset_reader(settings)
        backfill = None if until is None else Backfill(reader, settings.input.topic, until)
        source = open_source(settings, reader, telemetry, backfill=backfill)
        stack.callback(source.close)
        topics = [settings.input.topic, settings.output.topic, settings.dlq.topic]
        partitions = source.require_topics(topics, stop=lifecycle.stop)
        if lifecycle.stop.is_set():
            return
        if backfill is not None:
            reader.repeat("finding the end of the range", backfill.find_ends)
        sink, recount = _build_sink(settings, source)
        placements = _choose_placements(settings, partitions, recount, telemetry)
        _warn_of_short_retentions(settings, reader, partitions[settings.input.topic], telemetry)
        tombstones = _choose_tombstones(settings, telemetry)
        # 2. Load the model, which takes seconds.
        tagger = _load_tagger(settings, telemetry)
        if lifecycle.stop.is_set():
            return
        # 3. Build the pipeline.
        sink.open()
        cache = _open_cache(settings, len(tagger.labels), telemetry)
        stack.callback(cache.close)
        encoder = _build_encoder(settings, tagger, placements, tombstones, version=version)
        pipeline = _build_pipeline(settings, source, cache, tagger, sink, encoder, telemetry, traces, lifecycle)
        stack.callback(pipeline.close)
        # 4. Watch the lag, and process batches until the worker must stop.
        lag = LagWatch(reader, settings.input.topic, source.positions, telemetry.report_lag)
        stack.callback(lag.close)
        _report_start(settings, tagger, telemetry, version=version)
        lifecycle.mark_started(
            is_ready=lambda: source.joined and source.reachable and source.proven, stuck_s=compute_stuck_s(settings)
        )
        malloc.collect_rarely()
        trimmer = malloc.Trimmer()

        def after_each_round() -> None:
            lifecycle.mark_alive()
            if backfill is not None and source.joined and backfill.is_done(source.positions()):
                lifecycle.mark_done()
            trimmer.trim_if_due()
            telemetry.report_progress()

        pipeline.run(lifecycle.stop, after_each_round=after_each_round)


def check(settings: Settings) -> None:
    """Build everything that needs no server, and close it. After this, a worker can fail only on something outside.

    Raises:
        SettingsError, ArtifactError: as for `serve`.
    """
    clients.create_consumer(settings, lambda error: None).close()
    clients.create_producer(settings, lambda error: None, DeliveryFailures())
    chosen = settings.model
    with _name_settings(chosen):
        trained = artifact.load(chosen.path or artifact.DEFAULT)
        find_candidates(trained, device=choose_device(chosen.device), engine=chosen.engine, precision=chosen.precision)
    _open_cache(settings, len(trained.config.labels), Telemetry()).close()
    open_traces(settings, version="").close()


def open_source(
    settings: Settings, reader: OffsetReader, telemetry: Telemetry, *, backfill: Backfill | None = None
) -> KafkaSource:
    """Return the source of the input topic, which has not joined its group yet.

    Raises:
        SettingsError: a property of the client is wrong.
    """
    stop_at_gap = settings.input.on_data_loss == "stop"
    source = KafkaSource(
        settings.input.topic,
        deadline_s=settings.kafka.broker_timeout_s,
        telemetry=telemetry,
        positions=Positions(
            reader,
            start=settings.input.start,
            deadline_s=settings.kafka.broker_timeout_s,
            telemetry=telemetry,
            stop_at_gap=stop_at_gap,
            eager=is_eager(settings),
            bounded=backfill is not None,
        ),
        backfill=backfill,
        unreadable=Unreadable(lambda: clients.create_batch_finder(settings), telemetry, stop_at_gap=stop_at_gap),
        broker_assigns=settings.kafka.properties.get("group.protocol") == "consumer",
    )
    source.attach(
        lambda: clients.create_consumer(settings, source.note_error),
        lambda: clients.create_outsider(settings, "read_committed"),
    )
    return source


def _choose_placements(
    settings: Settings, partitions: Mapping[str, int], recount: Recount, telemetry: Telemetry
) -> tuple[Placement, Placement]:
    """Return the placements of results and of dead letters, given the number of partitions of each topic."""
    choice, inputs = settings.output.partition, partitions[settings.input.topic]
    output, dlq = settings.output.topic, settings.dlq.topic
    results = place_results(choice, inputs, partitions[output], topic=output, recount=partial(recount, output))
    dead_letters = place_dead_letters(choice, inputs, partitions[dlq], recount=partial(recount, dlq))
    telemetry.report_placements(results.by, dead_letters.by, partitions)
    return results, dead_letters


def _choose_tombstones(settings: Settings, telemetry: Telemetry) -> TombstoneAction:
    chosen, reason = choose_tombstone_action(settings)
    telemetry.report_tombstone_handling(chosen, reason)
    return chosen


def _warn_of_short_retentions(settings: Settings, reader: OffsetReader, inputs: int, telemetry: Telemetry) -> None:
    topics = [settings.dlq.topic] + ([settings.output.topic] if settings.output.timestamp == "input" else [])
    waiting = [(settings.input.topic, partition) for partition in range(inputs)]
    with clients.create_admin(settings, polled=True) as admin:
        found = find_short_retentions(admin, reader, waiting, topics)
    for each in found:
        telemetry.report_short_retention(each.topic, each.records, each.retention_s)


def _load_tagger(settings: Settings, telemetry: Telemetry) -> EmotionTagger:
    chosen = settings.model
    with _name_settings(chosen):
        tagger = EmotionTagger.load(
            chosen.path,
            on=chosen.device,
            engine=chosen.engine,
            precision=chosen.precision,
            long_texts=settings.input.long_texts,
            reasons=settings.output.reasons,
            before_measuring=telemetry.report_engine_measurement,
        )
    _report_engine(settings, tagger, telemetry)
    return tagger


@contextlib.contextmanager
def _name_settings(chosen: ModelSettings) -> Iterator[None]:
    """Add the names of the settings to the error of a model, or of an unknown device, engine or precision."""
    try:
        yield
    except ArtifactError as error:
        if chosen.path is None or not error.path.is_relative_to(chosen.path):
            raise
        raise SettingsError(f"model.path: {error} (EMOTAG_MODEL__PATH)") from error
    except DeviceUnknown as error:
        raise SettingsError(
            f"model: {error} (EMOTAG_MODEL__DEVICE, EMOTAG_MODEL__ENGINE, EMOTAG_MODEL__PRECISION)"
        ) from error


def _report_engine(settings: Settings, tagger: EmotionTagger, telemetry: Telemetry) -> None:
    choice = tagger.choice
    telemetry.report_engine_choice(tagger.engine, tagger.precision, choice.how, dict(choice.timings_ms), choice.reason)
    if settings.model.device == "auto" and not is_installed("torch") and (unused := count_gpus()):
        telemetry.report_unused_gpus(unused)


def _build_sink(settings: Settings, source: KafkaSource) -> tuple[Sink, Recount]:
    """Return the sink, and a function that counts the partitions to which its client can write."""
    failures = DeliveryFailures()
    producer = clients.create_producer(settings, source.note_error, failures)
    recount = partial(count_partitions, producer, within_s=settings.kafka.broker_timeout_s)
    return create_sink(settings, producer, failures), recount


def _open_cache(settings: Settings, labels: int, telemetry: Telemetry) -> Cache:
    reasons = settings.output.reasons
    shared: Cache | None = None
    if settings.cache.url is not None:
        shared = RedisCache(settings.cache, labels=labels, telemetry=telemetry, reasons=reasons)
    if settings.cache.memory_entries == 0:
        return shared or NoCache()
    most = settings.cache.memory_entries
    return MemoryCache(shared, most=most, labels=labels, telemetry=telemetry, reasons=reasons)


def _build_encoder(
    settings: Settings,
    tagger: EmotionTagger,
    placements: tuple[Placement, Placement],
    tombstones: TombstoneAction,
    *,
    version: str,
) -> RecordEncoder:
    return RecordEncoder(
        {
            "name": tagger.name,
            "version": tagger.version,
            "thresholds": tagger.thresholds_version,
            "precision": tagger.precision,
        },
        settings.output.topic,
        settings.dlq.topic,
        settings.kafka.group_id,
        version,
        *placements,
        input_timestamps=settings.output.timestamp == "input",
        tombstones=tombstones,
    )


def _build_pipeline(
    settings: Settings,
    source: KafkaSource,
    cache: Cache,
    tagger: EmotionTagger,
    sink: Sink,
    encoder: RecordEncoder,
    telemetry: Telemetry,
    traces: Traces,
    lifecycle: Lifecycle,
) -> Pipeline:
    # The batches in flight when the signal arrives must be committed within the shutdown timeout.
    objective_s = min(settings.latency_slo_ms / 1000, settings.shutdown_timeout_s / 2)
    budget = BatchBudget(objective_s=objective_s, most=settings.batch.max_records, record_s=tagger.seconds_per_text())
    commits = CommitQueue(
        # A batch waits at most for one other batch and for one interval: together no longer than the objective.
        interval_s=min(settings.commit_interval_ms / 1000, objective_s / BATCHES_IN_FLIGHT),
        max_bytes=settings.batch.max_bytes,
    )
    telemetry.report_batch_calibration(budget.max_records)
    telemetry.report_model(tagger)
    return Pipeline(
        source=source,
        cache=cache,
        tagger=tagger,
        sink=sink,
        encoder=encoder,
        budget=budget,
        commits=commits,
        settings=settings,
        telemetry=telemetry,
        traces=traces,
        mark_alive=lifecycle.mark_alive,
        can_read=lambda: can_read_newest(settings, telemetry),
        requires_key=CompactedTopics(settings).__contains__,
    )


def _report_start(settings: Settings, tagger: EmotionTagger, telemetry: Telemetry, *, version: str) -> None:
    telemetry.report_start(
        version=version,
        group=settings.kafka.group_id,
        model=tagger.name,
        model_version=tagger.version,
        thresholds=tagger.thresholds_version,
        engine=tagger.engine,
        device=tagger.device,
        precision=tagger.precision,
    )
