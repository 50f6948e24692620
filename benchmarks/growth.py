"""How speed and memory grow: the engine with the length of texts, the stream with its backlog and with its batch."""

import contextlib
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from safetensors import safe_open

from model import artifact
from worker.local import LocalWorker, kafka, valkey

from .contestant import Contestant, resident_mb
from .engine_process import EngineProcess
from .lane import Lane
from .messages import Supply
from .results import Budget, Goal, Report, Row

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
WINDOW = 128
SPECIAL = 2
"""Tokens of every text that are no words: one at each end."""
WORDS = ("good", "time", "house", "water", "never", "again", "happy", "world")
"""One token each."""

BACKLOGS = (1_000, 10_000, 100_000, 1_000_000)
BATCHES_MESSAGES = 10_000
BATCHES = (16, 64, 256, 1024, 4096)
KNOWN = 512
"""Texts that are repeated, each tagged once before."""

MEMORY_GOAL = "resident memory in steady state over model size"


def measure(budget: Budget) -> Report:
    """Lengths, then backlogs, then batches."""
    until = time.monotonic() + (12.0 if budget.quick else 110.0)
    with EngineProcess("fp32" if budget.quick else "auto") as engine:
        engine.seconds(["a word or two"])
        alone = engine.resident_mb()
        rows = _lengths(engine, LENGTHS[::3] if budget.quick else LENGTHS, tokens=512 if budget.quick else 3_072)
    known = Supply().take(KNOWN // 4 if budget.quick else KNOWN)
    with kafka() as broker, valkey() as cache:
        common = {"EMOTAG_CACHE__URL": cache.url, "EMOTAG_MODEL__PRECISION": engine.precision}
        # The worker whose memory is looked at is started as an operator starts it, with the precision left to itself.
        usual = {**common, "EMOTAG_MODEL__PRECISION": "fp32" if budget.quick else "auto"}
        with _worker(broker.bootstrap_servers, usual) as contestant:
            contestant.warm(known)
            pid = contestant.server.pid
            warm = resident_mb(pid)
            backlog_rows, missing = _backlogs(contestant, known, BACKLOGS[:1] if budget.quick else BACKLOGS, until)
            goal = _memory_goal(alone, warm, resident_mb(pid), files=resident_mb(pid, "RssFile"))
        rows += backlog_rows
        if not budget.quick:
            rows += _batches(broker.bootstrap_servers, common, known)
    return Report(rows, [goal], missing)


@contextlib.contextmanager
def _worker(bootstrap_servers: str, environment: Mapping[str, str]) -> Iterator[Contestant]:
    """Started, not awaited."""
    lane = Lane(bootstrap_servers)
    contestant = Contestant("emotag run", LocalWorker({**lane.environment(), **environment}), lane)
    contestant.server.launch()
    try:
        yield contestant
    finally:
        contestant.close()


def _lengths(engine: EngineProcess, lengths: Sequence[int], tokens: int) -> list[Row]:
    """Texts a second against tokens a text, about as many tokens at each length."""
    rows = []
    for length in lengths:
        count = max(8, tokens // min(length, WINDOW))
        words = random.Random(length)  # noqa: S311  (the same every time)
        texts = [" ".join(words.choices(WORDS, k=length - SPECIAL)) for _ in range(count)]
        engine.seconds(texts[:8])
        rates = [count / engine.seconds(texts) for _ in range(2)]
        rate = statistics.median(rates)
        note = f"{rate * min(length, WINDOW):,.0f} tokens/s"
        if length > WINDOW:
            note += f"; a text is cut to the model's window of {WINDOW} tokens, the rest costs its tokenising"
        name = f"engine, {length} tokens a text"
        rows.append(Row("growth", name, rate, "texts/s", min(rates), max(rates), note=note))
    return rows


def _backlogs(
    contestant: Contestant, known: list[str], backlogs: Sequence[int], until: float
) -> tuple[list[Row], list[str]]:
    """Messages a second and memory against what lies there when the worker begins to read."""
    rows: list[Row] = []
    missing: list[str] = []
    rate = 2_000.0
    for backlog in backlogs:
        name = f"stream, a backlog of {backlog:,}"
        needed_s = backlog / rate * 1.2
        if rows and time.monotonic() + needed_s > until:
            missing.append(f"{name}: at {rate:,.0f} messages/s it takes {needed_s:,.0f} s, more than there is")
            continue
        texts = random.Random(backlog).choices(known, k=backlog)  # noqa: S311  (the same every time)
        outcome, _ = contestant.run(texts)
        rate = outcome.rate
        if outcome.lost or outcome.duplicated:
            missing.append(f"{name}: it lost {outcome.lost}, and {outcome.duplicated} came twice")
            continue
        note = f"all repeats, from the cache; resident memory then {resident_mb(contestant.server.pid):,.0f} MB"
        rows.append(Row("growth", name, rate, "messages/s", rate, rate, note=note))
    return rows, missing


def _steps_of(records: int) -> dict[str, str]:
    """Settings by which nothing but this number bounds a step."""
    return {"EMOTAG_BATCH__MAX_RECORDS": str(records), "EMOTAG_LATENCY_SLO_MS": "60000", "EMOTAG_DRAIN_S": "120"}


def _batches(bootstrap_servers: str, common: Mapping[str, str], known: list[str]) -> list[Row]:
    """Messages a second and memory against the most records of one step, each in a worker of its own."""
    rows = []
    texts = random.Random(1).choices(known, k=BATCHES_MESSAGES)  # noqa: S311  (the same every time)
    with contextlib.ExitStack() as stack:
        workers = {
            batch: stack.enter_context(_worker(bootstrap_servers, {**common, **_steps_of(batch)})) for batch in BATCHES
        }
        for worker in workers.values():
            worker.warm(known)
        rates: dict[int, list[float]] = {batch: [] for batch in BATCHES}
        for _ in range(2):
            for batch, worker in workers.items():
                rates[batch].append(worker.run(texts)[0].rate)
        for batch, worker in workers.items():
            found = rates[batch]
            note = (
                f"{len(texts):,} messages, all repeats; resident memory then {resident_mb(worker.server.pid):,.0f} MB"
            )
            name = f"stream, batches of up to {batch:,} records"
            rows.append(Row("growth", name, statistics.median(found), "messages/s", min(found), max(found), note=note))
    return rows


def _memory_goal(alone: float, warm: float, resident: float, *, files: float) -> Goal:
    weights = artifact.DEFAULT / "model.safetensors"
    parameters_mb, artifact_mb = 4 * _parameters(weights) / 1e6, weights.stat().st_size / 1e6
    why = (
        f"{resident:,.0f} MB after the backlogs, {files:,.0f} MB of them mapped files; {warm:,.0f} MB before them; the "
        f"engine in a process by itself has {alone:,.0f} MB. Model size is its parameters in fp32, {parameters_mb:.0f} "
        f"MB; the file has {artifact_mb:.0f} MB"
    )
    return Goal(MEMORY_GOAL, resident / parameters_mb, 3.0, 2.0, higher_is_better=False, why=why)


def _parameters(weights: Path) -> int:
    with safe_open(weights, framework="numpy") as tensors:
        return sum(tensors.get_tensor(name).size for name in tensors.keys())  # noqa: SIM118  (it is no mapping)
