"""Growth of time and memory: the engine with the length of texts, the stream with its backlog and its batch size."""

import contextlib
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from safetensors import safe_open

from benchmarks.results import Budget, PerformanceGoal, Report, Row
from benchmarks.stream.engine_process import EngineProcess
from benchmarks.stream.lane import Lane
from benchmarks.stream.measured_process import MeasuredProcess, read_resident_mb
from benchmarks.texts import TextSupply
from emotag_model import artifact
from emotag_worker.local import LocalWorker, run_kafka, run_valkey

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
WINDOW = 128
SPECIAL = 2
"""Special tokens of each text: one at each end."""
WORDS = ("good", "time", "house", "water", "never", "again", "happy", "world")
"""One token each."""

BACKLOGS = (1_000, 10_000, 100_000, 1_000_000)
BATCHES_MESSAGES = 10_000
BATCHES = (16, 64, 256, 1024, 4096)
KNOWN = 512
"""Texts that are repeated. Each is tagged once beforehand."""

MEMORY_GOAL = "resident memory in steady state over model size"


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
            "EMOTAG_MODEL__PRECISION": engine.precision,
        }
        # The worker whose memory is measured starts as an operator starts it: it chooses the precision itself.
        default = {**common, "EMOTAG_MODEL__PRECISION": "fp32" if budget.quick else "auto"}
        with _start_worker(broker.bootstrap_servers, default) as worker:
            worker.warm(known)
            pid = worker.server.pid
            warm = read_resident_mb(pid)
            backlog_rows, missing = _measure_backlogs(worker, known, BACKLOGS[:1] if budget.quick else BACKLOGS, until)
            goal = _memory_goal(alone, warm, read_resident_mb(pid), files=read_resident_mb(pid, "RssFile"))
        rows += backlog_rows
        if not budget.quick:
            rows += _measure_batches(broker.bootstrap_servers, common, known)
    return Report(rows, [goal], missing)


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
) -> tuple[list[Row], list[str]]:
    """Return messages per second and memory by the number of messages in the topic when the worker starts to read."""
    rows: list[Row] = []
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
        note = f"all repeats, from the cache; resident memory afterwards {read_resident_mb(worker.server.pid):,.0f} MB"
        rows.append(Row("growth", name, rate, "messages/s", rate, rate, note=note))
    return rows, missing


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


def _memory_goal(alone: float, warm: float, resident: float, *, files: float) -> PerformanceGoal:
    weights = artifact.DEFAULT / "model.safetensors"
    parameters_mb, artifact_mb = 4 * _count_parameters(weights) / 1e6, weights.stat().st_size / 1e6
    why = (
        f"{resident:,.0f} MB after the backlogs, of which {files:,.0f} MB are mapped files; "
        f"{warm:,.0f} MB before them; "
        f"the engine alone in a process has {alone:,.0f} MB. Model size is its parameters in fp32, {parameters_mb:.0f} "
        f"MB; the file has {artifact_mb:.0f} MB"
    )
    return PerformanceGoal(MEMORY_GOAL, resident / parameters_mb, 3.0, 2.0, higher_is_better=False, why=why)


def _count_parameters(weights: Path) -> int:
    with safe_open(weights, framework="numpy") as tensors:
        return sum(tensors.get_tensor(name).size for name in tensors.keys())  # noqa: SIM118  (not a mapping)
