"""The comparison of the engine, workers and competitors, each in its own lane, round by round."""

import contextlib
import importlib.util
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.measurements import Measurements, rotate
from benchmarks.texts import TextSupply
from emotag_worker.errors import LocalError
from emotag_worker.local import LocalWorker, run_kafka, run_valkey
from emotag_worker.local.server import LocalServer

from .competitors.job import Job
from .engine_process import EngineProcess
from .lane import Lane
from .measured_process import MeasuredProcess, PinnedWorker, StreamCompetitor
from .own_engine import OwnEngine, choose_own_engine

BATCH = 256
"""Records that the competitors with emotag's engine process together."""

STEP = 512
"""Records that the do-it-yourself stack processes together: about as many as emotag's batches have here. A multiple of
`BATCH`."""

WARM = 48
"""Texts that each process tags before the first round."""

ENGINE = "the engine alone"
BATCHES = f"the engine alone, {STEP} texts at a time"
COLD = "emotag run, exactly once, cold cache"
LOOSE = "emotag run, at least once, cold cache"
HALF = "emotag run, exactly once, 50 % repeats"
REPEATS = "emotag run, exactly once, all repeats"
PINNED = "emotag run, exactly once, all repeats, on one core"
FASTSTREAM = "FastStream, batch subscriber, at least once"
QUIX = "Quix Streams, batches in a sink, at least once"
PLAIN = "confluent-kafka in a loop, at least once"
PLAIN_EO = "confluent-kafka in a loop, exactly once"
OWN = "do it yourself, exactly once, no repeats"
OWN_HALF = "do it yourself, exactly once, 50 % repeats"
COMPETITORS = {
    PLAIN_EO: ("plain", "confluent_kafka", True),
    FASTSTREAM: ("faststream_batch", "faststream", False),
    PLAIN: ("plain", "confluent_kafka", False),
    QUIX: ("quix_sink", "quixstreams", False),
}
"""Module, required package, exactly once."""

COST_ROWS = (ENGINE, BATCHES, COLD, LOOSE, *COMPETITORS)
"""The rows with emotag's engine and without repeats."""

QUICK = (COLD, OWN, PINNED, FASTSTREAM)


@dataclass(frozen=True)
class RunSize:
    """The amount of work to measure."""

    run_s: float
    least: int
    repeats: int
    on_one_core: int
    rounds: int
    until_s: float

    def messages(self, rate: float) -> int:
        """Return the messages of one run: whole batches, so that no last batch waits to be filled."""
        return max(self.least, round(rate * self.run_s / STEP) * STEP)


FULL = RunSize(run_s=2.5, least=STEP, repeats=80_000, on_one_core=100_000, rounds=5, until_s=240.0)
SHORT = RunSize(run_s=1.5, least=STEP, repeats=0, on_one_core=10_000, rounds=1, until_s=30.0)


@dataclass
class Comparison:
    """The running processes and their measurements.

    Attributes:
        own: the engine of the do-it-yourself stack; None if no library runs here.
    """

    engine: EngineProcess
    competitors: dict[str, MeasuredProcess]
    size: RunSize
    own: OwnEngine | None = None
    supply: TextSupply = field(default_factory=TextSupply)
    rates: Measurements = field(default_factory=lambda: Measurements("stream", "messages/s"))
    spent: Measurements = field(default_factory=lambda: Measurements("stream", "µs/message"))
    counts: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def warm(self) -> float:
        """Wait until all processes are ready. Return about how many texts per second the engine tags."""
        texts = self.supply.take(WARM)
        for name in list(self.competitors):
            self._try(name, lambda name=name: self.competitors[name].warm(texts))  # type: ignore[misc]
        self.engine.measure_seconds(texts)
        return WARM / self.engine.measure_seconds(texts)

    def run_round(self, number: int, messages: int) -> None:
        """Run each process once, on the same new texts. Each round begins with another process."""
        texts = self.supply.take(messages)
        names = [ENGINE, BATCHES, *(name for name in self.competitors if name != PINNED)]
        for name in rotate(names, number):
            if name in (ENGINE, BATCHES):
                taken_s = self.engine.measure_seconds(texts, batch=STEP if name == BATCHES else None)
                self._add(name, number, messages, taken_s, self.engine.spent_s)
            else:
                self._run(name, name, number, texts)
        shuffled = random.Random(number)  # noqa: S311  (each run must be the same)
        seen = shuffled.choices(texts, k=self.size.on_one_core)
        half = texts[: messages // 2] + self.supply.take(messages // 2)
        shuffled.shuffle(half)
        for row, name in ((HALF, COLD), (OWN_HALF, OWN))[:: -1 if number % 2 else 1]:
            self._run(row, name, number, half)
        if self.size.repeats:
            self._run(REPEATS, COLD, number, seen[: self.size.repeats])
        self._run(PINNED, PINNED, number, seen)

    def describe_rows(self) -> dict[str, str]:
        """Return a note for each row."""
        return {
            row: f"{count:,} messages, one result each; " * (row not in (ENGINE, BATCHES))
            + f"{self.spent.median(row):,.0f} µs of processor per message"
            for row, count in self.counts.items()
        }

    def close(self) -> None:
        """End every process."""
        for competitor in self.competitors.values():
            competitor.close()

    def _run(self, row: str, name: str, number: int, texts: Sequence[str]) -> None:
        if name not in self.competitors:
            return

        def run() -> None:
            outcome, spent_s = self.competitors[name].run(texts)
            if outcome.lost or outcome.duplicated:
                raise LocalError(
                    f"of {outcome.messages} messages, {outcome.lost} were lost and {outcome.duplicated} duplicated"
                )
            self._add(row, number, outcome.messages, outcome.seconds, spent_s)

        self._try(name, run, row)

    def _add(self, row: str, number: int, messages: int, taken_s: float, spent_s: float) -> None:
        self.rates.add(row, number, messages / taken_s)
        self.spent.add(row, number, 1e6 * spent_s / messages)
        self.counts[row] = messages

    def _try(self, name: str, call: Callable[[], None], *rows: str) -> None:
        try:
            call()
        except (LocalError, OSError) as error:
            self.missing.append(f"{name}: {error}")
            for row in (name, *rows):
                self.rates.drop(row)
            self.competitors.pop(name).close()


@contextlib.contextmanager
def start_comparison(size: RunSize, *, quick: bool) -> Iterator[Comparison]:
    """Start the servers, the engine and all competitors, without waiting until they are ready."""
    own, missing = choose_own_engine(quick=quick)  # it measures, so nothing else runs yet
    with contextlib.ExitStack() as stack:
        broker, cache = stack.enter_context(run_kafka()), stack.enter_context(run_valkey())
        engine = stack.enter_context(EngineProcess("fp32" if quick else "auto"))
        comparison = Comparison(engine, {}, size, own, missing=missing)
        stack.callback(comparison.close)
        for name in QUICK if quick else (COLD, OWN, LOOSE, *COMPETITORS, PINNED):
            if name == OWN and own is None:
                continue
            if name in COMPETITORS and importlib.util.find_spec(COMPETITORS[name][1]) is None:
                comparison.missing.append(f"{name}: {COMPETITORS[name][1]} is not installed")
                continue
            lane = Lane(broker.bootstrap_servers)
            server: LocalServer
            if name == OWN and own is not None:
                server = StreamCompetitor("own_stack", _create_job(lane, engine, own=own))
            elif name in COMPETITORS:
                module, _, exactly_once = COMPETITORS[name]
                server = StreamCompetitor(module, _create_job(lane, engine, exactly_once=exactly_once))
            else:
                server = _create_worker(name, lane, engine, cache.url)
            comparison.competitors[name] = MeasuredProcess(name, server, lane)
            server.launch()
        yield comparison


def _create_job(lane: Lane, engine: EngineProcess, *, exactly_once: bool = True, own: OwnEngine | None = None) -> Job:
    return Job(
        bootstrap_servers=lane.bootstrap_servers,
        group=lane.group,
        input=lane.input,
        output=lane.output,
        engine=engine.engine,
        precision=engine.precision,
        batch=STEP if own else BATCH,
        exactly_once=exactly_once,
        library=own.module if own else "",
        configuration=own.configuration if own else "",
    )


def _create_worker(name: str, lane: Lane, engine: EngineProcess, cache_url: str) -> LocalWorker:
    kind = PinnedWorker if name == PINNED else LocalWorker
    return kind(
        {
            **lane.environment(),
            **engine.environment(),
            "EMOTAG_DELIVERY": "at_least_once" if name == LOOSE else "exactly_once",
            "EMOTAG_CACHE__URL": cache_url,
            # The at-least-once worker must not find the entries of the others; the pinned one must, to measure repeats.
            "EMOTAG_CACHE__HASH_SECRET": "loose" if name == LOOSE else "strict",
        }
    )
