"""The measurement of engines and precisions in a separate process, and the rule that picks the best of them.

    python -m emotag_model.engines.measurement ARTIFACT ENGINE/PRECISION ...

prints the milliseconds of each candidate as JSON, one line per round.
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from emotag_model import artifact

from .device import count_usable_cores
from .precision import ENGINES, PRECISIONS, EngineName, PrecisionName
from .protocol import Engine, open_engine

WORTH_TORCH = 1.25
"""On a CPU, torch must be this many times as fast as OpenVINO: importing it costs every start seconds and memory."""

FAR_BEHIND = 3.5
"""A candidate this many times slower than the best is not measured further. Above every factor that decides."""

PATIENCE_S = 8.0
"""Longest wait for the measurement: the first `emotag tag` on a busy machine prints its result within 15 s. Below the
default of EMOTAG_SHUTDOWN_TIMEOUT_S: a signal is handled only after the measurement."""

LEAST_ROUNDS, MOST_ROUNDS = 3, 5
"""A choice needs timings of at least so many rounds; in each round, every candidate computes the same batch once."""

Timings = Mapping[str, float]
"""Milliseconds of the same work by candidate, for example `{"openvino/fp32": 138.8}`."""

Candidate = tuple[EngineName, PrecisionName]


def measure_in_process(path: Path, candidates: Sequence[tuple[str, str]]) -> Timings:
    """Return the timings from a separate process; empty if it fails, or completes too few rounds in `PATIENCE_S`."""
    # -P keeps the current folder out of the module search path: a user's own files there are never imported.
    command = [sys.executable, "-P", "-m", __name__, str(path.resolve()), *map("/".join, candidates)]
    try:
        lines: bytes = subprocess.run(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, check=True
        ).stdout
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        lines = error.stdout or b""  # the rounds that are complete count
    except OSError:
        return {}
    complete = lines[: lines.rfind(b"\n") + 1].splitlines()
    return {str(name): float(ms) for name, ms in json.loads(complete[-1]).items()} if complete else {}


def measure_rounds(engines: Mapping[str, Engine], *, texts: int) -> Iterator[dict[str, float]]:
    """Yield the best milliseconds of one batch by each engine, after each round from the third to the fifth.

    The engines are interleaved, so that a busy neighbour slows all alike. An engine that is far behind after two rounds
    is not measured further: if a processor only imitates bf16, this saves a second of the start.
    """
    rows = [[1] * (4 + 7 * number % 41) for number in range(texts)]  # 4 to 44 tokens, 24 on average
    for engine in engines.values():
        engine.probabilities(rows)  # kernels are compiled for a shape at its first use
    timings: dict[str, list[float]] = {name: [] for name in engines}
    for finished in range(MOST_ROUNDS):
        for name, engine in engines.items():
            if finished >= 2 and min(timings[name]) > FAR_BEHIND * min(map(min, timings.values())):
                continue
            start = time.perf_counter()
            engine.probabilities(rows)
            timings[name].append((time.perf_counter() - start) * 1000)
        if finished + 1 >= LEAST_ROUNDS:
            yield {name: round(min(values), 2) for name, values in timings.items()}


def pick_best(timings_ms: Timings, candidates: Sequence[Candidate]) -> Candidate:
    """Return the fastest candidate that is worth its rounding and its start.

    Raises:
        KeyError: a candidate's precision is not in the table.
    """
    took_ms = {
        candidate: timings_ms["/".join(candidate)] * (WORTH_TORCH if candidate[0] == "torch" else 1.0)
        for candidate in candidates
        if "/".join(candidate) in timings_ms
    }
    in_fp32_ms = min((ms for (_, precision), ms in took_ms.items() if precision == "fp32"), default=math.inf)

    def cost(candidate: Candidate) -> float:
        row, ms = PRECISIONS[candidate[1]], took_ms[candidate]
        if row.worth is None or in_fp32_ms < ms * row.worth:
            return math.inf
        return ms * row.handicap

    return min(took_ms, key=cost)


def _main(path: str, *candidates: str) -> None:
    """Measure one engine after the other, and print the timings so far after each round.

    A second engine is measured only if fp32 is the best precision of the first: torch, which takes seconds to import,
    uses the same kernels as OpenVINO and has no int8. To win against int8 or bf16 by OpenVINO, its fp32 would have to
    be twice as fast.
    """
    trained = artifact.load(Path(path))
    parsed = [_parse_candidate(each) for each in candidates]
    engines: dict[str, Engine] = {}
    timings_ms: Timings = {}
    for name in ENGINES:
        if timings_ms and pick_best(timings_ms, parsed)[1] != "fp32":
            break
        for candidate in parsed:
            if candidate[0] == name:
                engines["/".join(candidate)] = open_engine(trained, engine=name, device="cpu", precision=candidate[1])
        if any(candidate[0] == name for candidate in parsed):
            for timings_ms in measure_rounds(engines, texts=20 * count_usable_cores()):
                print(json.dumps(timings_ms), flush=True)  # noqa: T201


def _parse_candidate(text: str) -> Candidate:
    """Return the engine and the precision in `ENGINE/PRECISION`."""
    for engine in ENGINES:
        for precision in PRECISIONS:
            if f"{engine}/{precision}" == text:
                return engine, precision
    raise AssertionError(text)


if __name__ == "__main__":
    _main(*sys.argv[1:])
