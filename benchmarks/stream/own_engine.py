"""The engine of the do-it-yourself stack: the faster one of two libraries, each at its best batch size."""

from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks import texts
from benchmarks.engine.competitor_process import CompetitorFailed, CompetitorProcess, Sample
from benchmarks.engine.contest import tokenize
from benchmarks.measurements import rotate

LIBRARIES = ("ctranslate_int8", "onnx_int8")
"""Modules of `benchmarks.engine.competitors`: the int8 engines that win most often."""

WARM_TEXTS, TIMED_TEXTS, QUICK_TEXTS = 96, 384, 32
ROUNDS, LEAST_S = 3, 1.0


@dataclass(frozen=True)
class OwnEngine:
    """The chosen library.

    Attributes:
        module: of `benchmarks.engine.competitors`.
        configuration: as in `Competitor.configuration`.
        name: for a reader.
    """

    module: str
    configuration: str
    name: str


def choose_own_engine(*, quick: bool) -> tuple[OwnEngine | None, list[str]]:
    """Return the fastest library here, and the cause for each that cannot run. Nothing else may run meanwhile.

    A quick run takes the first one that runs.
    """
    everything = texts.load()
    missing: list[str] = []
    warm = everything.take(QUICK_TEXTS if quick else WARM_TEXTS).texts
    timed = everything.take(TIMED_TEXTS).texts
    tokens = tokenize(timed)
    with ExitStack() as stack:
        ready: dict[str, CompetitorProcess] = {}
        for module in LIBRARIES:
            process = CompetitorProcess(module, Sample(tokenize(warm), warm), quick=quick)
            try:
                process.wait()
            except CompetitorFailed as error:
                missing.append(f"do it yourself, {module}: {error}")
                continue
            stack.callback(process.close)
            ready[module] = process
            if quick:
                break
        seconds: dict[str, list[float]] = {module: [] for module in ready}
        for number in range(0 if quick else ROUNDS):
            for module in rotate(list(ready), number):
                seconds[module].append(ready[module].run(tokens, timed, least_s=LEAST_S).seconds)
        if not ready:
            return None, missing
        best = min(ready, key=lambda module: median(seconds[module] or [0.0]))
        return OwnEngine(best, ready[best].configuration, ready[best].name), missing
