"""One step on its way: what was read, what became of it, what is written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from .decode import Decoded
from .entry import Entry
from .errors import BadRecord
from .metrics import Tagged
from .record import Outgoing, Record
from .traces import StepTrace

Computed = dict[str, Entry | BadRecord]
"""What the device found, by cache key."""


@dataclass
class Written:
    """What one step writes, counted.

    Attributes:
        origins, dead_letters, tagged: as in `StepCounts`.
    """

    records: list[Outgoing] = field(default_factory=list)
    origins: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    tagged: Tagged | None = None


@dataclass
class Step:
    """Records on their way through.

    Attributes:
        texts: per record the text in it, or why there is none.
        keys: per record its cache key; empty where there is no text.
        known: entries that the cache had, by key.
        new, tokens: texts that the device was given, and their tokens.
        computing: what the device finds, and from when until when it was at it.
        began, submitted: when the records were there, and when the device had been given what is new of them.
        polled_at: when the records were there, in seconds since 1970.
        stages: seconds that the stages before the device took.
        trace: its spans, where there are any.
    """

    records: Sequence[Record]
    texts: Sequence[Decoded | BadRecord]
    keys: Sequence[str]
    known: Mapping[str, Entry]
    new: int
    tokens: int
    computing: Future[tuple[Computed, float, float]]
    began: float
    submitted: float
    polled_at: float
    stages: dict[str, float]
    trace: StepTrace
