"""Growth of time and memory: the engine with the length of texts, the stream with its backlog and its batch size."""

import contextlib
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.results import Budget, PerformanceGoal, Report, Row
from benchmarks.stream.engine_process import EngineProcess
from benchmarks.stream.lane import Lane
from benchmarks.stream.measured_process import MeasuredProcess, read_resident_mb
from benchmarks.texts import TextSupply
from emotag_worker.local import LocalWorker, run_kafka, run_valkey

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
WINDOW = 128
SPECIAL = 2
"""Special tokens of each text: one at each end."""
WORDS = ("good", "time", "house", "water", "never", "again", "happy", "world")
"""One token each."""

AUTOMATIC = {"EMOTAG_MODEL__ENGINE": "auto", "EMOTAG_MODEL__PRECISION": "auto"}
BACKLOGS = (1_000, 10_000, 100_000, 1_000_000)
BATCHES_MESSAGES = 10_000
BATCHES = (16, 64, 256, 1024, 4096)
KNOWN = 512
"""Texts that are repeated. Each is tagged once beforehand."""

STEADY_BACKLOG = 10_000
"""After this backlog and the ones before it, memory counts as steady."""

STEADY_GOAL = "resident memory in steady state, MB"
MILLION_GOAL = "resident memory after a backlog of 10⁶ messages, MB"


def measure(budget: Budget) -> Report:
    """Measure lengths, then backlogs, then batches."""
    until = time.monotonic() + (12.0 if budget.quick else 110.0)
    with EngineProcess("fp32" if budget.quick else "auto") as engine:
        engine.measure_seconds(["a word or two"])
        alone = engine.read_resident_mb()
        rows = _measure_lengths(
            engine, LENGTHS[::3] if budget.quick else LENGTHS, tokens=512 if budget.quick else 3_072
        )
    known = TextSupply().take(KNOWN // 4 if budget.quick else KNOWN)
    with run_kafka() as broker, run_valkey() as cache:
        common = {
            "EMOTAG_CACHE__URL": cache.url,
            "EMOTAG_CACHE__MEMORY_ENTRIES": "1000",
            **engine.environment(),
        }
        # The worker whose memory is measured starts as an operator starts it: it chooses engine and precision itself.
        default = {**common, **({} if budget.quick else AUTOMATIC)}
        with _start_worker(broker.bootstrap_servers, default) as worker:
            worker.warm(known)
            pid = worker.server.pid
            warm = read_resident_mb(pid)
            backlogs = BACKLOGS[:2] if budget.quick else BACKLOGS
            backlog_rows, resident, missing = _measure_backlogs(worker, known, backlogs, until)
            goals = _memory_goals(resident, alone=alone, warm=warm, files=read_resident_mb(pid, "RssFile"))
        rows += backlog_rows
        if not budget.quick:
            rows += _measure_batches(broker.bootstrap_servers, common, known)
    return Report(rows, goals, missing)


@contextlib.contextmanager
def _start_worker(bootstrap_servers: str, environment: Mapping[str, str]) -> Iterator[MeasuredProcess]:
    """Start a worker, without waiting until it is ready."""
    lane = Lane(bootstrap_servers)
    worker = MeasuredProcess("emotag run", LocalWorker({**lane.environment(), **environment}), lane)
    worker.server.launch()
    try:
        yield worker
    finally:
        worker.close()


def _measure_lengths(engine: EngineProcess, lengths: Sequence[int], tokens: int) -> list[Row]:
    """Return texts per second by tokens per text, with about the same number of tokens at each length."""
    rows = []
    for length in lengths:
        count = max(8, tokens // min(length, WINDOW))
        words = random.Random(length)  # noqa: S311  (the same texts in each run)
        texts = [" ".join(words.choices(WORDS, k=length - SPECIAL)) for _ in range(count)]
        engine.measure_seconds(texts[:8])
        rates = [count / engine.measure_seconds(texts) for _ in range(2)]
        rate = statistics.median(rates)
        note = f"{rate * min(length, WINDOW):,.0f} tokens/s"
        if length > WINDOW:
            note += f"; texts are cut to the model's window of {WINDOW} tokens, so the rest only costs tokenization"
        name = f"engine, {length} tokens per text"
        rows.append(Row("growth", name, rate, "texts/s", min(rates), max(rates), note=note))
    return rows


def _measure_backlogs(
    worker: MeasuredProcess, known: list[str], backlogs: Sequence[int], until: float
) -> tuple[list[Row], dict[int, float], list[str]]:
    """Measure by the number of messages in the topic when the worker starts to read.

    Returns:
        Rows of messages per second, the resident MB after each backlog, and the backlogs that were not measured.
    """
    rows: list[Row] = []
    resident: dict[int, float] = {}
    missing: list[str] = []
    rate = 2_000.0
    for backlog in backlogs:
        name = f"stream, a backlog of {backlog:,}"
        needed_s = backlog / rate * 1.2
        if rows and time.monotonic() + needed_s > until:
            missing.append(f"{name}: skipped, because at {rate:,.0f} messages/s it needs {needed_s:,.0f} s")
            continue
        texts = random.Random(backlog).choices(known, k=backlog)  # noqa: S311  (the same texts in each run)
        outcome, _ = worker.run(texts)
        rate = outcome.rate
        if outcome.lost or outcome.duplicated:
            missing.append(f"{name}: {outcome.lost} messages were lost and {outcome.duplicated} duplicated")
            continue
        resident[backlog] = read_resident_mb(worker.server.pid)
        note = f"all repeats, from the cache; resident memory afterwards {resident[backlog]:,.0f} MB"
        rows.append(Row("growth", name, rate, "messages/s", rate, rate, note=note))
    return rows, resident, missing


def _batches_of(records: int) -> dict[str, str]:
    """Return settings with which only this number limits a batch."""
    return {
        "EMOTAG_BATCH__MAX_RECORDS": str(records),
        "EMOTAG_LATENCY_SLO_MS": "60000",
        "EMOTAG_SHUTDOWN_TIMEOUT_S": "120",
    }


def _measure_batches(bootstrap_servers: str, common: Mapping[str, str], known: list[str]) -> list[Row]:
    """Return messages per second and memory by the maximum records of a batch, with a separate worker for each."""
    rows = []
    texts = random.Random(1).choices(known, k=BATCHES_MESSAGES)  # noqa: S311  (the same texts in each run)
    with contextlib.ExitStack() as stack:
        workers = {
            batch: stack.enter_context(_start_worker(bootstrap_servers, {**common, **_batches_of(batch)}))
            for batch in BATCHES
        }
        for worker in workers.values():
            worker.warm(known)
        rates: dict[int, list[float]] = {batch: [] for batch in BATCHES}
        for _ in range(2):
            for batch, worker in workers.items():
                rates[batch].append(worker.run(texts)[0].rate)
        for batch, worker in workers.items():
            measured = rates[batch]
            memory_mb = read_resident_mb(worker.server.pid)
            note = f"{len(texts):,} messages, all repeats; resident memory afterwards {memory_mb:,.0f} MB"
            name = f"stream, batches of up to {batch:,} records"
            rows.append(
                Row("growth", name, statistics.median(measured), "messages/s", min(measured), max(measured), note=note)
            )
    return rows


def _memory_goals(resident: Mapping[int, float], *, alone: float, warm: float, files: float) -> list[PerformanceGoal]:
    """Return the goals of the worker whose resident MB were measured after each backlog."""
    why = (
        f"after a backlog of {STEADY_BACKLOG:,}; {warm:,.0f} MB before the backlogs; the engine alone in a process has "
        f"{alone:,.0f} MB"
    )
    million = max(BACKLOGS)
    then = f"of which {files:,.0f} MB are mapped files" if million in resident else "this backlog was not measured"
    return [
        PerformanceGoal(STEADY_GOAL, resident.get(STEADY_BACKLOG), 200, 180, higher_is_better=False, why=why),
        PerformanceGoal(MILLION_GOAL, resident.get(million), 220, 220, higher_is_better=False, why=then),
    ]
