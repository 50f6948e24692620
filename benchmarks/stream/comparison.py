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

BATCH = 256
WARM = 48
"""Texts that each process tags before the first round."""

ENGINE = "the engine alone"
BATCHES = f"the engine alone, {BATCH} texts at a time"
COLD = "emotag run, exactly once, cold cache"
LOOSE = "emotag run, at least once, cold cache"
HALF = "emotag run, exactly once, 50 % repeats"
REPEATS = "emotag run, exactly once, all repeats"
PINNED = "emotag run, exactly once, all repeats, on one core"
FASTSTREAM = "FastStream, batch subscriber, at least once"
QUIX = "Quix Streams, batches in a sink, at least once"
PLAIN = "confluent-kafka in a loop, at least once"
PLAIN_EO = "confluent-kafka in a loop, exactly once"
COMPETITORS = {
    PLAIN_EO: ("plain", "confluent_kafka", True),
    FASTSTREAM: ("faststream_batch", "faststream", False),
    PLAIN: ("plain", "confluent_kafka", False),
    QUIX: ("quix_sink", "quixstreams", False),
}
"""Module, required package, exactly once."""

QUICK = (COLD, PINNED, FASTSTREAM)


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
        return max(self.least, round(rate * self.run_s / (2 * BATCH)) * 2 * BATCH)


FULL = RunSize(run_s=5.0, least=2 * BATCH, repeats=20_000, on_one_core=50_000, rounds=5, until_s=270.0)
SHORT = RunSize(run_s=1.5, least=BATCH, repeats=0, on_one_core=10_000, rounds=1, until_s=30.0)


@dataclass
class Comparison:
    """The running processes and their measurements."""

    engine: EngineProcess
    competitors: dict[str, MeasuredProcess]
    size: RunSize
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
                taken_s = self.engine.measure_seconds(texts, batch=BATCH if name == BATCHES else None)
                self._add(name, number, messages, taken_s, self.engine.spent_s)
            else:
                self._run(name, name, number, texts)
        shuffled = random.Random(number)  # noqa: S311  (each run must be the same)
        seen = shuffled.choices(texts, k=self.size.on_one_core)
        if LOOSE in self.competitors:  # a full measurement
            half = texts[: messages // 2] + self.supply.take(messages // 2)
            shuffled.shuffle(half)
            self._run(HALF, COLD, number, half)
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
    with contextlib.ExitStack() as stack:
        broker, cache = stack.enter_context(run_kafka()), stack.enter_context(run_valkey())
        engine = stack.enter_context(EngineProcess("fp32" if quick else "auto"))
        comparison = Comparison(engine, {}, size)
        stack.callback(comparison.close)
        for name in QUICK if quick else (COLD, LOOSE, *COMPETITORS, PINNED):
            if name in COMPETITORS and importlib.util.find_spec(COMPETITORS[name][1]) is None:
                comparison.missing.append(f"{name}: {COMPETITORS[name][1]} is not installed")
                continue
            lane = Lane(broker.bootstrap_servers)
            if name in COMPETITORS:
                server: LocalServer = _create_competitor(name, lane, engine.precision)
            else:
                server = _create_worker(name, lane, engine.precision, cache.url)
            comparison.competitors[name] = MeasuredProcess(name, server, lane)
            server.launch()
        yield comparison


def _create_competitor(name: str, lane: Lane, precision: str) -> StreamCompetitor:
    module, _, exactly_once = COMPETITORS[name]
    return StreamCompetitor(
        module,
        Job(
            bootstrap_servers=lane.bootstrap_servers,
            group=lane.group,
            input=lane.input,
            output=lane.output,
            precision=precision,
            batch=BATCH,
            exactly_once=exactly_once,
        ),
    )


def _create_worker(name: str, lane: Lane, precision: str, cache_url: str) -> LocalWorker:
    kind = PinnedWorker if name == PINNED else LocalWorker
    return kind(
        {
            **lane.environment(),
            "EMOTAG_MODEL__PRECISION": precision,
            "EMOTAG_DELIVERY": "at_least_once" if name == LOOSE else "exactly_once",
            "EMOTAG_CACHE__URL": cache_url,
            # The at-least-once worker must not find the entries of the others; the pinned one must, to measure repeats.
            "EMOTAG_CACHE__HASH_SECRET": "loose" if name == LOOSE else "strict",
        }
    )
