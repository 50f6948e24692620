"""What each stage of the worker costs a message: called one by one on real texts, a step's worth at a time.

And where the time of a worker goes that only repeats answers: its main thread, looked at while it works.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from model.batching import plan_batches
from model.openvino_engine import BATCH_TOKENS
from model.tagger import EmotionTagger
from worker import settings as settings_
from worker.cache import RedisCache
from worker.decode import Decoded, decode
from worker.encode import Answer, Encoder
from worker.entry import Entry, quantise
from worker.fingerprint import Fingerprint
from worker.local import kafka, valkey
from worker.record import Record
from worker.telemetry import Telemetry

from .contestant import Contestant
from .engine_process import EngineProcess
from .lane import Lane
from .messages import Supply, values
from .results import Budget, Report, Row
from .sampled_worker import SampledWorker
from .written import WrittenSteps

STEP = 256
TOLD = 12
"""How many of the functions with the most time are listed."""


class Stages:
    """Rows of µs per message, each the median of some steps."""

    def __init__(self, steps: int) -> None:
        self.rows: list[Row] = []
        self._steps = steps

    def time(self, name: str, call: Callable[[], Any], *, note: str = "") -> None:
        """Time *call*, which does a step's worth."""
        call()
        took = []
        for _ in range(self._steps):
            began = time.perf_counter()
            call()
            took.append(time.perf_counter() - began)
        self.add(name, took, note=note)

    def add(self, name: str, seconds: Sequence[float], *, note: str = "") -> None:
        """Take *seconds* of some steps as a row."""
        us = [1e6 * each / STEP for each in seconds]
        self.rows.append(Row("stages", name, statistics.median(us), "µs/message", min(us), max(us), note=note))


def measure(budget: Budget) -> Report:
    """Stages first, in this process; then a whole worker."""
    stages = Stages(steps=3 if budget.quick else 15)
    with kafka() as broker, valkey() as cache:
        with EngineProcess("fp32" if budget.quick else "auto") as engine:
            texts = Supply().take(STEP)
            engine.seconds(texts[:16])
            took = [engine.seconds(texts) for _ in range(1 if budget.quick else 3)]
        _alone(stages, cache.url, engine.precision)
        stages.add("tokenise and forward", took, note=f"{engine.precision}, all cores, beside it nothing")
        lane = Lane(broker.bootstrap_servers)
        steps = 4 if budget.quick else 16
        written = WrittenSteps(lane, size=STEP, steps=steps)
        for number in range(steps - 1):
            written.step(at_once=number % 2 == 1)
        written.close()
        for name, seconds in written.seconds.items():
            stages.add(name, seconds[1:] or seconds, note=f"real Kafka, a transaction of {STEP}")
        lane.close()
        if budget.quick:
            return Report(stages.rows, [], ["stages: where a worker's time goes is left out of a quick run"])
        return Report(stages.rows + _profile(broker.bootstrap_servers, cache.url, 30_000), [])


def _alone(stages: Stages, cache_url: str, precision: str) -> None:
    """The stages that need no Kafka."""
    chosen = settings_.load(flags={"cache": {"url": cache_url, "timeout_ms": 1000}})
    tagger = EmotionTagger.load(precision=precision)
    texts = Supply().take(STEP)
    records = [
        Record("texts", number % 4, number, None, value, (), 1_700_000_000_000)
        for number, value in enumerate(values(texts, 0))
    ]
    stages.time("decode", lambda: [decode(record, chosen.input) for record in records])
    decoded = [decode(record, chosen.input) for record in records]
    fingerprint = Fingerprint(model="benchmark", key="")
    stages.time("fingerprint", lambda: [fingerprint(text) for text in texts])
    keys = [fingerprint(text) for text in texts]
    tokens = tagger.tokenise(texts)
    rows_BK = quantise(tagger.probabilities(tokens))
    entries = {key: Entry(row_K, False) for key, row_K in zip(keys, rows_BK, strict=True)}
    cache = RedisCache(chosen.cache, labels=len(tagger.labels), telemetry=Telemetry())
    note = f"real Valkey, {STEP} keys in one round trip"
    stages.time("cache look-up, nothing found", lambda: cache.lookup([f"{key}-" for key in keys]), note=note)
    cache.remember(entries)
    stages.time("cache look-up, all found", lambda: cache.lookup(keys), note=note)
    stages.time(
        "cache write, until it is handed over", lambda: cache.remember(entries), note="goes on beside the stream"
    )
    cache.close()
    stages.time("tokenise", lambda: tagger.tokenise(texts))
    lengths = [len(text.ids) for text in tokens]
    stages.time("batch plan", lambda: plan_batches(lengths, max_tokens=BATCH_TOKENS))
    stages.time("thresholds to emotions", lambda: tagger.emotions(rows_BK))
    _encode(stages, tagger, records, decoded, tagger.emotions(rows_BK))


def _encode(
    stages: Stages,
    tagger: EmotionTagger,
    records: Sequence[Record],
    decoded: Sequence[Decoded],
    emotions: Sequence[Sequence[tuple[str, float]]],
) -> None:
    names = {"name": tagger.name, "version": tagger.version, "thresholds": tagger.thresholds_version}
    encoder = Encoder(names, "emotions", "texts.dlq", "emotag", "0")

    def encode() -> None:
        now = datetime.now(UTC)
        for record, text, pairs in zip(records, decoded, emotions, strict=True):
            encoder.result(record, text, Answer(tuple(pairs), None, truncated=False, cached=True), now)

    stages.time("encode", encode)


def _profile(bootstrap_servers: str, cache_url: str, messages: int) -> list[Row]:
    """Where the time of a worker goes whose answers are all in the cache."""
    lane = Lane(bootstrap_servers)
    worker = SampledWorker({**lane.environment(), "EMOTAG_MODEL__PRECISION": "fp32", "EMOTAG_CACHE__URL": cache_url})
    contestant = Contestant("a sampled worker", worker, lane)
    try:
        worker.launch()
        known = Supply().take(STEP)
        contestant.warm(known)
        texts = random.Random(1).choices(known, k=messages)  # noqa: S311  (the same every time)
        contestant.run(texts[: messages // 5])
        worker.begin()
        outcome, spent_s = contestant.run(texts)
        shares = worker.found()
    finally:
        contestant.close()
    whole, note = 1e6 * outcome.seconds / messages, f"{messages} messages, all repeats"
    spent = 1e6 * spent_s / messages
    rows = [
        Row("stages", "all repeats: whole worker, by the clock", whole, "µs/message", whole, whole, note=note),
        Row(
            "stages", "all repeats: whole worker, processor", spent, "µs/message", spent, spent, note="all its threads"
        ),
    ]
    for name in sorted(shares, key=lambda name: -shares[name])[:TOLD]:
        took, share = whole * shares[name], f"{shares[name]:.0%} of the main thread"
        rows.append(Row("stages", f"all repeats: {name}", took, "µs/message", took, took, note=share))
    return rows
