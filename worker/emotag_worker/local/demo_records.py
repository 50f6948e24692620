"""The records that `emotag demo` sends, and the count of what became of them."""

import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from emotag_schemas.message import TextMessage

BROKEN = (
    b'{"text": "The closing brace is missing."',
    b'{"text": "   "}',
    b'{"comment": "The field is called text."}',
    '{"text": "This is Latin-1, d\xe9j\xe0 vu."}'.encode("latin-1"),
    b'{"text": 42}',
)
"""Values that no text can be read from, each for another reason."""

BROKEN_EVERY, BROKEN_FIRST = 40, 15
REPEAT_EVERY, REPEAT_FIRST, REPEAT_DISTANCE = 20, 50, 37
"""A repeat comes two seconds after its original on a terminal, so that the result is in the cache."""


@dataclass(frozen=True)
class DemoRecord:
    """A record that the demo sends.

    Attributes:
        text: the text; for a broken record its value, for display.
        broken: the value of a record that becomes a dead letter; None if the record carries *text*.
        repeated: an earlier record has the same text.
    """

    text: str
    broken: bytes | None = None
    repeated: bool = False

    def encode(self, name: str) -> bytes:
        """Return the value of the record, with *name* as its id."""
        return TextMessage(text=self.text, id=name).to_json() if self.broken is None else self.broken


def plan_records(texts: int, *, with_exceptions: bool) -> list[DemoRecord]:
    """Return the records to send, in order.

    Args:
        texts: number of records with a text. If it exceeds the samples, they begin again.
        with_exceptions: let some texts repeat earlier ones, and add broken records.
    """
    samples = read_sample_texts()
    sent: list[str] = []
    records: list[DemoRecord] = []
    broken = iter(BROKEN)
    for number in range(texts):
        repeats = with_exceptions and number >= REPEAT_FIRST and (number - REPEAT_FIRST) % REPEAT_EVERY == 0
        text = sent[number - REPEAT_DISTANCE] if repeats else samples[number % len(samples)]
        records.append(DemoRecord(text, repeated=repeats or number >= len(samples)))
        sent.append(text)
        if with_exceptions and number % BROKEN_EVERY == BROKEN_FIRST and (value := next(broken, None)):
            records.append(DemoRecord(value.decode(errors="replace"), broken=value))
    return records


def read_sample_texts() -> list[str]:
    """Return the sample texts that are part of the package, in order."""
    lines = resources.files("emotag_worker").joinpath("samples.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@dataclass
class Tally:
    """Counts of sent records, results and dead letters.

    Attributes:
        sent: when each record was sent, by id, in seconds of the monotonic clock.
        broken: ids of the records that must become dead letters.
        repeated: number of texts that were sent before.
        results, dead: number of results and of dead letters, by id.
        cached: number of results from the cache.
        latencies_s: time from sending a record to reading its first result or dead letter.
        last: when the last of them was read.
    """

    sent: dict[str, float] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    repeated: int = 0
    results: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    cached: int = 0
    latencies_s: list[float] = field(default_factory=list)
    last: float = 0.0

    @property
    def outstanding(self) -> int:
        """Number of records without a result or dead letter."""
        return sum(1 for name in self.sent if not self.results[name] and not self.dead[name])

    @property
    def exactly_once(self) -> bool:
        """True if every text has one result and no dead letter, and every broken record the opposite."""
        return all(
            (self.results[name], self.dead[name]) == ((0, 1) if name in self.broken else (1, 0)) for name in self.sent
        )

    def count_sent(self, name: str, record: DemoRecord) -> None:
        """Count a record that is about to be sent."""
        self.sent[name] = time.monotonic()
        self.repeated += record.repeated
        if record.broken is not None:
            self.broken.add(name)

    def count_arrival(self, name: str, *, dead: bool, cached: bool) -> None:
        """Count a record of the output topic or of the dead-letter topic."""
        self.last = time.monotonic()
        if not self.results[name] and not self.dead[name]:
            self.latencies_s.append(self.last - self.sent[name])
        (self.dead if dead else self.results)[name] += 1
        self.cached += cached

    def summarize(self) -> dict[str, Any]:
        """Return the figures of the summary."""
        seconds = max(self.last - min(self.sent.values(), default=self.last), 1e-9)
        arrived = sum((self.results + self.dead).values())
        return {
            "in": len(self.sent),
            "out": sum(self.results.values()),
            "dead_lettered": sum(self.dead.values()),
            "lost": self.outstanding,
            "duplicated": arrived - (len(self.sent) - self.outstanding),
            "cached": self.cached,
            "seconds": round(seconds, 3),
            "messages_per_s": round(arrived / seconds, 1),
            "p50_ms": self._percentile_ms(50),
            "p99_ms": self._percentile_ms(99),
        }

    def _percentile_ms(self, percent: int) -> float | None:
        if len(self.latencies_s) < 2:
            return None
        cuts = statistics.quantiles(self.latencies_s, n=100, method="inclusive")
        return round(1000 * cuts[percent - 1], 1)
