"""The tokens of a device batch, and the number of calls in flight: `torch_engine.py` contains both choices."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch

from benchmarks.measurements import Measurements
from benchmarks.results import Row
from emotag_model.engines.torch_engine import CUDA_BATCH_TOKENS, TorchEngine
from emotag_model.tokens import TokenIds

from . import goals
from .subject import REAL, Model, Subject

TABLE = "plans"
TEXTS = 32_768
BUDGETS = (8_192, 20_480, 32_768, CUDA_BATCH_TOKENS, 131_072, 262_144)
"""Tokens of a device batch."""

CALLS = (256, 2_048, 8_192)
"""Texts of a call."""


def measure(subject: Subject) -> list[Row]:
    """Return texts per second by budget, and by calls in flight."""
    rows = []
    for model in subject.models:
        for kind in (goals.SHORT, REAL):
            rows += _compare_budgets(subject, model, kind)
        for size in CALLS[:1] if subject.quick else CALLS:
            rows += _compare_calls(subject, model, size)
    return rows


def _compare_budgets(subject: Subject, model: Model, kind: str) -> list[Row]:
    engine = model.engine
    tokens = model.tagger.tokenize(subject.take(kind, TEXTS))
    planned, fitting = engine.batch_tokens, {}
    for budget in BUDGETS[-2:] if subject.quick else BUDGETS:
        name = f"{model.name}, {kind}, batches of {budget:,} tokens"
        try:
            _measure_budget(engine, tokens, budget)  # reserves memory
        except torch.OutOfMemoryError as error:
            subject.missing.append(f"{name}: {error}".splitlines()[0])
            engine.recover()
        else:
            fitting[name] = partial(_measure_budget, engine, tokens, budget)
    rates = Measurements(TABLE, "texts/s")
    rates.interleave(fitting, rounds=subject.rounds, pause_s=0.0)
    engine.batch_tokens = planned
    now = f"{model.name}, {kind}, batches of {CUDA_BATCH_TOKENS:,} tokens"
    return rates.rows(against=now, notes={now: "as the engine plans on a GPU"})


def _measure_budget(engine: TorchEngine, tokens: Sequence[TokenIds], budget: int) -> float:
    engine.batch_tokens = budget
    return _measure_calls(engine, tokens, size=len(tokens), threads=1)


def _compare_calls(subject: Subject, model: Model, size: int) -> list[Row]:
    """Compare one call at a time with two, as a worker's pipeline makes them."""
    tokens = model.tagger.tokenize(subject.take(REAL, TEXTS))
    names = {threads: f"{model.name}, {REAL}, calls of {size:,} texts, {threads} in flight" for threads in (1, 2)}
    runs = {
        name: partial(_measure_calls, model.engine, tokens, size=2 if subject.quick else size, threads=threads)
        for threads, name in names.items()
    }
    for run in runs.values():
        run()
    rates = Measurements(TABLE, "texts/s")
    rates.interleave(runs, rounds=subject.rounds, pause_s=0.0)
    return rates.rows(against=names[1], notes={})


def _measure_calls(engine: TorchEngine, tokens: Sequence[TokenIds], *, size: int, threads: int) -> float:
    """Return texts per second if *threads* threads share calls of *size* texts."""
    rows = [text.ids for text in tokens]
    calls = [rows[start : start + size] for start in range(0, len(rows), size)]
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        for _ in pool.map(engine.probabilities, calls):
            pass
        return len(rows) / (time.perf_counter() - began)
