"""The time per message of each stage of the worker, called one by one on batches of real texts.

Then the processor time of a whole worker without its engine, and a sampling profile of a worker's main thread while all
its results come from the cache.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.results import Budget, PerformanceGoal, Report, Row
from benchmarks.stream.engine_process import EngineProcess
from benchmarks.stream.lane import Lane, encode_values
from benchmarks.stream.measured_process import MeasuredProcess
from benchmarks.texts import TextSupply
from emotag_model.engines.openvino_engine import BATCH_TOKENS
from emotag_model.engines.packing import plan_batches
from emotag_model.tagger import EmotionTagger
from emotag_worker.cache.entry import Entry, quantize
from emotag_worker.cache.fingerprint import Fingerprint
from emotag_worker.cache.memory import MemoryCache
from emotag_worker.cache.redis_cache import RedisCache
from emotag_worker.errors import LocalError
from emotag_worker.local import run_kafka, run_valkey
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import loader
from emotag_worker.wire.decode import Decoded, decode
from emotag_worker.wire.encode import RecordEncoder, TextResult
from emotag_worker.wire.record import Record

from .engineless_worker import EnginelessWorker
from .sampled_worker import SampledWorker
from .timed_batches import TimedBatches

BATCH = 256
STEP = 512
"""Records of a batch without the engine: about as many as with it. A faster worker would otherwise take more."""

WITHOUT_ENGINE = "everything but the engine, processor"
WITHOUT_ENGINE_GOAL = "everything but the engine, µs of processor time per message"

SCOPE = "scope and language"

LISTED = 12
"""The number of functions to list, longest first."""


class Stages:
    """Rows of µs per message, each the median of several batches."""

    def __init__(self, batches: int) -> None:
        self.rows: list[Row] = []
        self._batches = batches

    def time(self, name: str, call: Callable[[], Any], *, note: str = "") -> None:
        """Time *call*, which processes one batch."""
        call()
        taken_s = []
        for _ in range(self._batches):
            began = time.perf_counter()
            call()
            taken_s.append(time.perf_counter() - began)
        self.add(name, taken_s, note=note)

    def add(self, name: str, seconds: Sequence[float], *, note: str = "") -> None:
        """Add a row from the *seconds* of several batches."""
        us = [1e6 * each / BATCH for each in seconds]
        self.rows.append(Row("stages", name, statistics.median(us), "µs/message", min(us), max(us), note=note))


def measure(budget: Budget) -> Report:
    """Measure the stages in this process, then a whole worker."""
    stages = Stages(batches=3 if budget.quick else 15)
    with run_kafka() as broker, run_valkey() as cache:
        with EngineProcess("fp32" if budget.quick else "auto") as engine:
            texts = TextSupply().take(BATCH)
            engine.measure_seconds(texts[:16])
            taken_s = [engine.measure_seconds(texts) for _ in range(1 if budget.quick else 3)]
        _time_pure_stages(stages, cache.url, engine.precision)
        stages.add("tokenize and forward", taken_s, note=f"{engine.precision}, all cores, nothing else running")
        lane = Lane(broker.bootstrap_servers)
        batches = 4 if budget.quick else 16
        timed = TimedBatches(lane, size=BATCH, batches=batches)
        for number in range(batches - 1):
            timed.process_batch(at_once=number % 2 == 1)
        timed.close()
        for name, seconds in timed.seconds.items():
            stages.add(name, seconds[1:] or seconds, note=f"real Kafka, a transaction of {BATCH}")
        lane.close()
        without = _measure_without_engine(broker.bootstrap_servers, cache.url, quick=budget.quick)
        scope = next(row.value for row in stages.rows if row.name == SCOPE)
        why = f"{scope:.0f} µs of it find scope and language; {without.note}"
        goals = [PerformanceGoal(WITHOUT_ENGINE_GOAL, without.value, 40, 25, higher_is_better=False, why=why)]
        stages.rows.append(without)
        if budget.quick:
            return Report(stages.rows, goals, ["stages: a quick run has no profile of the worker"])
        return Report(stages.rows + _profile(broker.bootstrap_servers, cache.url, 30_000), goals)


def _time_pure_stages(stages: Stages, cache_url: str, precision: str) -> None:
    """Time the stages that need no Kafka."""
    chosen = loader.load(flags={"cache": {"url": cache_url, "timeout_ms": 1000}})
    tagger = EmotionTagger.load(precision=precision)
    texts = TextSupply().take(BATCH)
    records = [
        Record("texts", number % 4, number, None, value, (), 1_700_000_000_000)
        for number, value in enumerate(encode_values(texts, 0))
    ]
    stages.time("decode", lambda: [decode(record, chosen.input) for record in records])
    decoded = [decode(record, chosen.input) for record in records]
    fingerprint = Fingerprint(model="benchmark", secret="")
    stages.time("fingerprint", lambda: [fingerprint(text) for text in texts])
    keys = [fingerprint(text) for text in texts]
    tokens = tagger.tokenize(texts)
    rows_BK = quantize(tagger.probabilities(tokens))
    entries = {key: Entry(row_K, False) for key, row_K in zip(keys, rows_BK, strict=True)}
    cache = RedisCache(chosen.cache, labels=len(tagger.labels), telemetry=Telemetry())
    note = f"real Valkey, {BATCH} keys in one round trip"
    stages.time("cache lookup, all misses", lambda: cache.lookup([f"{key}-" for key in keys]), note=note)
    cache.remember(entries)
    stages.time("cache lookup, all hits", lambda: cache.lookup(keys), note=note)
    stages.time("cache write, until queued", lambda: cache.remember(entries), note="written in the background")
    cache.close()
    memory = MemoryCache(None, most=4 * BATCH, labels=len(tagger.labels), telemetry=Telemetry())
    stages.time("memory lookup, all misses", lambda: memory.lookup(keys))
    stages.time("memory write", lambda: memory.remember(entries))
    stages.time("memory lookup, all hits", lambda: memory.lookup(keys))
    stages.time("tokenize", lambda: tagger.tokenize(texts))
    stages.time(SCOPE, lambda: tagger.find_scopes(texts, tokens))
    lengths = [len(text.ids) for text in tokens]
    stages.time("batch plan", lambda: plan_batches(lengths, max_tokens=BATCH_TOKENS))
    stages.time("thresholds to emotions", lambda: tagger.emotions(rows_BK))
    _time_encode(stages, tagger, records, decoded, tagger.emotions(rows_BK))


def _time_encode(
    stages: Stages,
    tagger: EmotionTagger,
    records: Sequence[Record],
    decoded: Sequence[Decoded],
    emotions: Sequence[Sequence[tuple[str, float]]],
) -> None:
    names = {
        "name": tagger.name,
        "version": tagger.version,
        "thresholds": tagger.thresholds_version,
        "precision": tagger.precision,
    }
    encoder = RecordEncoder(names, "emotions", "texts.dlq", "emotag", "0")

    def encode() -> None:
        now = datetime.now(UTC)
        for record, text, pairs in zip(records, decoded, emotions, strict=True):
            encoder.encode_result(record, text, TextResult(tuple(pairs), None, truncated=False, cached=True), now)

    stages.time("encode", encode)


def _measure_without_engine(bootstrap_servers: str, cache_url: str, *, quick: bool) -> Row:
    """Measure the processor time per message of a worker whose forward pass costs nothing; no text repeats."""
    messages, rounds = (2_000, 1) if quick else (40_000, 5)
    lane, supply = Lane(bootstrap_servers), TextSupply()
    environment = {
        **lane.environment(),
        "EMOTAG_MODEL__PRECISION": "fp32",
        "EMOTAG_CACHE__URL": cache_url,
        "EMOTAG_CACHE__HASH_SECRET": "without engine",
        "EMOTAG_BATCH__MAX_RECORDS": str(STEP),
    }
    worker = MeasuredProcess("a worker without its engine", EnginelessWorker(environment), lane)
    spent_us = []
    try:
        worker.server.launch()
        worker.warm(supply.take(BATCH))
        for _ in range(rounds):
            outcome, spent_s = worker.run(supply.take(messages))
            if outcome.lost or outcome.duplicated:
                raise LocalError(f"{outcome.lost} messages were lost and {outcome.duplicated} duplicated")
            spent_us.append(1e6 * spent_s / messages)
    finally:
        worker.close()
    note = f"{messages:,} new texts, exactly once, batches of up to {STEP}, {outcome.rate:,.0f} messages/s"
    return Row(
        "stages", WITHOUT_ENGINE, statistics.median(spent_us), "µs/message", min(spent_us), max(spent_us), note=note
    )


def _profile(bootstrap_servers: str, cache_url: str, messages: int) -> list[Row]:
    """Profile a worker whose results are all in the cache."""
    lane = Lane(bootstrap_servers)
    worker = SampledWorker({**lane.environment(), "EMOTAG_MODEL__PRECISION": "fp32", "EMOTAG_CACHE__URL": cache_url})
    measured = MeasuredProcess("a sampled worker", worker, lane)
    try:
        worker.launch()
        known = TextSupply().take(BATCH)
        measured.warm(known)
        texts = random.Random(1).choices(known, k=messages)  # noqa: S311  (the same texts in each run)
        measured.run(texts[: messages // 5])
        worker.begin()
        outcome, spent_s = measured.run(texts)
        shares = worker.end()
    finally:
        measured.close()
    whole, note = 1e6 * outcome.seconds / messages, f"{messages} messages, all repeats"
    spent = 1e6 * spent_s / messages
    rows = [
        Row("stages", "all repeats: whole worker, wall clock", whole, "µs/message", whole, whole, note=note),
        Row(
            "stages", "all repeats: whole worker, processor", spent, "µs/message", spent, spent, note="all its threads"
        ),
    ]
    for name in sorted(shares, key=lambda name: -shares[name])[:LISTED]:
        taken_s, share = whole * shares[name], f"{shares[name]:.0%} of the main thread"
        rows.append(Row("stages", f"all repeats: {name}", taken_s, "µs/message", taken_s, taken_s, note=share))
    return rows
