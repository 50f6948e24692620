"""Which engine and precision run the model here: measured once for a machine and a model, because flags mislead.

bf16 is four times fp32 on a CPU with AMX and half of it on one whose only sign of bf16 is `avx512_bf16`. The measuring
is done by a process of its own, so that neither what lost nor torch stays in the worker's memory, and what came out is
kept beside the user's other caches: the next start reads it.

    python -m model.choice ARTIFACT ENGINE/PRECISION ...     prints the milliseconds of each, as JSON
"""

import contextlib
import hashlib
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import artifact
from .artifact import Artifact
from .device import DeviceUnknown, processor, usable_cores
from .engine import ENGINES, PRECISIONS, Engine, engines_here, open_engine, possible, require
from .int8 import tolerable

WORTH = {"bf16": 2.5, "int8": 1.5}
"""How many times as fast as fp32 a precision must be to be chosen. bf16 moves probabilities in the third decimal, int8
in the second, so a choice that noise could turn would give a text other scores after a restart: each figure lies where
no processor was met. bf16 is four times as fast with AMX, 0.5 to 1.9 times without it; int8 with AVX-512 VNNI, without
AMX, 1.88 to 3 times."""

WORTH_INTEGERS = 1.25
"""How much faster than bf16 int8 must be, where both are worth it: it is the coarser. A judgement: no processor with
AMX was at hand, and on none without it is bf16 worth it."""

WORTH_TORCH = 1.25
"""How much faster torch must be than OpenVINO on a CPU: importing it takes seconds and memory of every start."""

FAR_BEHIND = 3.5
"""How many times the best time a candidate's own may be before it is not measured further: beyond all that decides."""

PATIENCE_S = 20.0
"""Longest wait for the measuring, which takes seconds; then the first candidate is taken, and the next start measures
again. Below the worker's drain budget as it is unless set: a signal that comes meanwhile is heeded behind it."""

Timings = Mapping[str, float]
"""Milliseconds of the same work by candidate, `openvino/fp32`."""


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        timings_ms: what was measured for each candidate; empty where nothing was.
        how: `named` by the operator, the `only` one there is, `measured`, `remembered` from an earlier start; or
            `unmeasured`, where that failed and the first candidate was taken.
    """

    engine: str
    precision: str
    timings_ms: Timings
    how: str


def choose(trained: Artifact, *, device: str, engine: str, precision: str) -> Choice:
    """The engine and precision named; where one is `auto`, the ones to use on *device*.

    Raises:
        DeviceUnknown: there is no such engine or precision, or none is installed.
    """
    if engine != "auto" and engine not in ENGINES:
        raise DeviceUnknown(f"engine {engine!r} is unknown; it takes auto, {', '.join(ENGINES)}")
    if precision != "auto" and precision not in PRECISIONS:
        raise DeviceUnknown(f"precision {precision!r} is unknown; it takes auto, {', '.join(PRECISIONS)}")
    if engine != "auto":
        require(engine, device)
    engines = engines_here(device) if engine == "auto" else [engine]
    if not engines:
        raise DeviceUnknown("neither OpenVINO nor torch is installed: pip install openvino, or 'emotag[cuda]'")
    if device != "cpu":
        # Tensor cores run fp16 as fast as bf16, and it keeps probabilities ten times closer to fp32's.
        return Choice("torch", "fp16" if precision == "auto" else precision, {}, "only")
    if precision == "fp16" and engine == "auto" and "torch" in engines:
        return Choice("torch", precision, {}, "only")
    if (engine, precision) == ("torch", "int8"):
        raise DeviceUnknown("engine torch only imitates int8, to measure what it costs; OpenVINO does it")
    if "auto" not in (engine, precision):
        return Choice(engine, precision, {}, "named")
    precisions = ["fp32", "bf16", *(["int8"] if tolerable(trained.metrics) else [])]
    candidates = [
        (name, given)
        for name in engines
        for given in (precisions if precision == "auto" else [precision])
        if possible(name, given)
    ]
    if not candidates:
        raise DeviceUnknown(f"precision {precision!r} is not to be had on this processor with {' or '.join(engines)}")
    if len(candidates) == 1:
        return Choice(*candidates[0], {}, "only")
    memory = _memory(trained, candidates)
    timings_ms = _remembered(memory)
    if timings_ms is not None:
        return Choice(*_best(timings_ms, candidates), timings_ms, "remembered")
    timings_ms = _measured(trained.path, candidates) if trained.path else {}
    if timings_ms:
        _remember(memory, timings_ms)
    return Choice(*_best(timings_ms, candidates), timings_ms, "measured" if timings_ms else "unmeasured")


def _best(timings_ms: Timings, candidates: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The fastest of those worth what they cost beside time; the first where nothing was measured."""
    took_ms = {
        candidate: timings_ms["/".join(candidate)] * (WORTH_TORCH if candidate[0] == "torch" else 1.0)
        for candidate in candidates
        if "/".join(candidate) in timings_ms
    }
    in_fp32_ms = min((ms for (_, precision), ms in took_ms.items() if precision == "fp32"), default=math.inf)

    def cost(candidate: tuple[str, str]) -> float:
        _, precision = candidate
        ms = took_ms[candidate]
        if in_fp32_ms < ms * WORTH.get(precision, 1.0):
            return math.inf
        return ms * WORTH_INTEGERS if precision == "int8" else ms

    return min(took_ms, key=cost) if took_ms else candidates[0]


def _measured(path: Path, candidates: Sequence[tuple[str, str]]) -> Timings:
    """By a process of its own; nothing where it fails, which is no reason not to start."""
    command = [sys.executable, "-m", __name__, str(path.resolve()), *("/".join(candidate) for candidate in candidates)]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_S,
            check=True,
        )
        return {str(name): float(ms) for name, ms in json.loads(done.stdout).items()}
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}


def measure_ms(engines: Mapping[str, Engine], *, texts: int, repeats: int = 5) -> dict[str, float]:
    """Best milliseconds of one batch by each engine, interleaved: what a neighbour slows down does not count.

    One that is far behind after two tries is tried no more: bf16 that a processor only imitates takes a second of every
    start to lose.
    """
    rows = [[1] * (4 + 7 * number % 41) for number in range(texts)]  # 4 to 44 tokens, 24 on average
    for engine in engines.values():
        engine.probabilities(rows)  # kernels are compiled for a shape at its first use
    timings: dict[str, list[float]] = {name: [] for name in engines}
    for repeat in range(repeats):
        for name, engine in engines.items():
            if repeat >= 2 and min(timings[name]) > FAR_BEHIND * min(map(min, timings.values())):
                continue
            start = time.perf_counter()
            engine.probabilities(rows)
            timings[name].append((time.perf_counter() - start) * 1000)
    return {name: round(min(values), 2) for name, values in timings.items()}


def _memory(trained: Artifact, candidates: Sequence[tuple[str, str]]) -> Path:
    """The file that keeps what was measured for this processor, model and versions."""
    known = [processor(), usable_cores(), trained.version, *map(_version, ENGINES), list(candidates)]
    digest = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
    root = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '')}/.cache"
    return Path(root) / "emotag" / f"engine-{digest}.json"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # not installed, or distributed under another name
        return ""


def _remembered(memory: Path) -> Timings | None:
    try:
        return {str(name): float(ms) for name, ms in json.loads(memory.read_text()).items()} or None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def _remember(memory: Path, timings_ms: Timings) -> None:
    with contextlib.suppress(OSError):  # a read-only home measures at every start
        memory.parent.mkdir(parents=True, exist_ok=True)
        draft = memory.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(timings_ms))
        draft.replace(memory)


def _main(path: str, *candidates: str) -> None:
    trained = artifact.load(Path(path))
    engines = {}
    for candidate in candidates:
        name, precision = candidate.split("/")
        with contextlib.suppress(DeviceUnknown):
            engines[candidate] = open_engine(trained, engine=name, device="cpu", precision=precision)
    print(json.dumps(measure_ms(engines, texts=20 * usable_cores())))  # noqa: T201


if __name__ == "__main__":
    _main(*sys.argv[1:])
