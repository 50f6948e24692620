"""Who runs against whom: the engine, workers and rivals, each in its lane, and what they reach round by round."""

import contextlib
import importlib.util
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from worker.local import LocalWorker, kafka, valkey
from worker.local.server import LocalError, LocalServer

from .contestant import Contestant, PinnedWorker, Rival
from .engine_process import EngineProcess
from .lane import Lane
from .messages import Supply
from .rivals.job import Job
from .tally import Tally

BATCH = 256
WARM = 48
"""Texts that everybody answers before the clock runs."""

ENGINE = "the engine alone"
STEPS = f"the engine alone, {BATCH} texts at a time"
COLD = "emotag run, exactly once, cold cache"
LOOSE = "emotag run, at least once, cold cache"
HALF = "emotag run, exactly once, 50 % repeats"
REPEATS = "emotag run, exactly once, all repeats"
PINNED = "emotag run, exactly once, all repeats, on one core"
FASTSTREAM = "FastStream, batch subscriber, at least once"
QUIX = "Quix Streams, batches in a sink, at least once"
PLAIN = "confluent-kafka in a loop, at least once"
PLAIN_EO = "confluent-kafka in a loop, exactly once"
RIVALS = {
    PLAIN_EO: ("plain", "confluent_kafka", True),
    FASTSTREAM: ("faststream_batch", "faststream", False),
    PLAIN: ("plain", "confluent_kafka", False),
    QUIX: ("quix_sink", "quixstreams", False),
}
"""Module, the package it needs, exactly once."""

QUICK = (COLD, PINNED, FASTSTREAM)


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    run_s: float
    least: int
    repeats: int
    on_one_core: int
    rounds: int
    until_s: float

    def messages(self, rate: float) -> int:
        """Of one run: whole batches, since nobody's last one is to wait for company."""
        return max(self.least, round(rate * self.run_s / (2 * BATCH)) * 2 * BATCH)


FULL = Size(run_s=5.0, least=2 * BATCH, repeats=20_000, on_one_core=50_000, rounds=5, until_s=270.0)
SHORT = Size(run_s=1.5, least=BATCH, repeats=0, on_one_core=10_000, rounds=1, until_s=30.0)


@dataclass
class Field:
    """Everybody who runs, and what they have reached."""

    engine: EngineProcess
    contestants: dict[str, Contestant]
    size: Size
    supply: Supply = field(default_factory=Supply)
    tally: Tally = field(default_factory=lambda: Tally("stream", "messages/s"))
    spent: Tally = field(default_factory=lambda: Tally("stream", "µs/message"))
    counts: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def warm(self) -> float:
        """Wait for everybody; returns about how many texts a second the engine tags."""
        texts = self.supply.take(WARM)
        for name in list(self.contestants):
            self._try(name, lambda name=name: self.contestants[name].warm(texts))  # type: ignore[misc]
        self.engine.seconds(texts)
        return WARM / self.engine.seconds(texts)

    def round(self, number: int, messages: int) -> None:
        """Everybody once, on the same new texts; another begins than the round before."""
        texts = self.supply.take(messages)
        names = [ENGINE, STEPS, *(name for name in self.contestants if name != PINNED)]
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            if name in (ENGINE, STEPS):
                taken_s = self.engine.seconds(texts, step=BATCH if name == STEPS else None)
                self._add(name, number, messages, taken_s, self.engine.spent_s)
            else:
                self._run(name, name, number, texts)
        shuffled = random.Random(number)  # noqa: S311  (that every run is the same is the point)
        seen = shuffled.choices(texts, k=self.size.on_one_core)
        if LOOSE in self.contestants:  # a full measurement
            half = texts[: messages // 2] + self.supply.take(messages // 2)
            shuffled.shuffle(half)
            self._run(HALF, COLD, number, half)
            self._run(REPEATS, COLD, number, seen[: self.size.repeats])
        self._run(PINNED, PINNED, number, seen)

    def notes(self) -> dict[str, str]:
        """What a reader should know of each row."""
        return {
            row: f"{count:,} messages, each answered once; " * (row not in (ENGINE, STEPS))
            + f"{self.spent.median(row):,.0f} µs of processor a message"
            for row, count in self.counts.items()
        }

    def close(self) -> None:
        """End every process."""
        for contestant in self.contestants.values():
            contestant.close()

    def _run(self, row: str, name: str, number: int, texts: Sequence[str]) -> None:
        if name not in self.contestants:
            return

        def run() -> None:
            outcome, spent_s = self.contestants[name].run(texts)
            if outcome.lost or outcome.duplicated:
                raise LocalError(
                    f"of {outcome.messages} messages it lost {outcome.lost}, and {outcome.duplicated} came twice"
                )
            self._add(row, number, outcome.messages, outcome.seconds, spent_s)

        self._try(name, run, row)

    def _add(self, row: str, number: int, messages: int, taken_s: float, spent_s: float) -> None:
        self.tally.add(row, number, messages / taken_s)
        self.spent.add(row, number, 1e6 * spent_s / messages)
        self.counts[row] = messages

    def _try(self, name: str, call: Callable[[], None], *rows: str) -> None:
        try:
            call()
        except (LocalError, OSError) as error:
            self.missing.append(f"{name}: {error}")
            for row in (name, *rows):
                self.tally.drop(row)
            self.contestants.pop(name).close()


@contextlib.contextmanager
def everybody(size: Size, *, quick: bool) -> Iterator[Field]:
    """Servers, the engine and all contestants, started and not yet awaited."""
    with contextlib.ExitStack() as stack:
        broker, cache = stack.enter_context(kafka()), stack.enter_context(valkey())
        engine = stack.enter_context(EngineProcess("fp32" if quick else "auto"))
        ground = Field(engine, {}, size)
        stack.callback(ground.close)
        for name in QUICK if quick else (COLD, LOOSE, *RIVALS, PINNED):
            if name in RIVALS and importlib.util.find_spec(RIVALS[name][1]) is None:
                ground.missing.append(f"{name}: {RIVALS[name][1]} is not installed")
                continue
            lane = Lane(broker.bootstrap_servers)
            if name in RIVALS:
                server: LocalServer = _rival(name, lane, engine.precision)
            else:
                server = _worker(name, lane, engine.precision, cache.url)
            ground.contestants[name] = Contestant(name, server, lane)
            server.launch()
        yield ground


def _rival(name: str, lane: Lane, precision: str) -> Rival:
    module, _, exactly_once = RIVALS[name]
    return Rival(
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


def _worker(name: str, lane: Lane, precision: str, cache_url: str) -> LocalWorker:
    kind = PinnedWorker if name == PINNED else LocalWorker
    return kind(
        {
            **lane.environment(),
            "EMOTAG_MODEL__PRECISION": precision,
            "EMOTAG_DELIVERY": "at_least_once" if name == LOOSE else "exactly_once",
            "EMOTAG_CACHE__URL": cache_url,
            # Others' entries are not its own; but the pinned one only repeats what another was asked.
            "EMOTAG_CACHE__KEY": "loose" if name == LOOSE else "strict",
        }
    )
