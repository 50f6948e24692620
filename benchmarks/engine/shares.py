"""The engine's time, compared with the time that its operations need at the machine's own rates."""

import statistics
from collections.abc import Callable

from benchmarks.measurements import Measurements
from benchmarks.results import Row

from . import roofline
from .competitors import emotag
from .roofline import Rate
from .work import Work

TABLE = "engine"
PRODUCTS = "matrix multiplication alone"
ATTENTION = "matrix multiplication alone, fp32"
COPIES = "a copy alone"
OWN = "emotag, processor time"
ROOFLINE = "roofline in its precision, processor time"
BY_KIND = "roofline by kind of operation, processor time"


class Shares:
    """The measured rates, by the clock and by processor time, round by round."""

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self.clock = Measurements(TABLE, "GFLOP/s")
        self.processor = Measurements(TABLE, "GFLOP/s")
        self._kinds: dict[str, Callable[[], Rate]] = {}
        if precision in roofline.MEASURABLE:
            self._kinds[PRODUCTS] = lambda: roofline.measure_fastest_matmul_rate(precision)
            self._kinds[ATTENTION] = lambda: roofline.measure_fastest_matmul_rate("fp32")
            self._kinds[COPIES] = roofline.measure_copy_rate

    def measure(self, number: int) -> None:
        """Measure every rate, as round *number*."""
        for name, measure in self._kinds.items():
            rate = measure()
            self.clock.add(name, number, rate.clock)
            self.processor.add(name, number, rate.processor)

    @property
    def measured(self) -> bool:
        """True if at least one round was measured."""
        return PRODUCTS in self.processor.names()

    def compute(self, spent: Measurements, work: Work) -> Measurements:
        """Return emotag's processor time and the roofline's, in µs per text, round by round.

        Args:
            spent: µs of processor time per text, by competitor.
            work: of one text on average.
        """
        times = Measurements(TABLE, "µs/text")
        rates = [self.processor.values(kind) for kind in (PRODUCTS, ATTENTION, COPIES)]
        for number, (own, products, attention, copies) in enumerate(
            zip(spent.values(emotag.NAME), *rates, strict=True)
        ):
            products_us = 1e6 * work.products / products
            attention_us = 1e6 * work.attention / attention
            moved_us = 1e6 * work.moved_bytes / copies
            times.add(OWN, number, own)
            times.add(ROOFLINE, number, 1e6 * work.flops / products)
            times.add(BY_KIND, number, products_us + attention_us + moved_us)
            times.add("of that: products", number, products_us)
            times.add("of that: attention", number, attention_us)
            times.add("of that: norms, activations, softmax", number, moved_us)
        return times

    def make_rows(self, rates: Measurements, spent: Measurements, work: Work) -> list[Row]:
        """Return the rates, emotag's share of them by the clock, and the roofline by kind in processor time."""
        exact = roofline.list_exact(self.precision)
        name = f"{PRODUCTS}, {' or '.join(exact)}"
        by = " or ".join(dict.fromkeys(library for each in exact for library in roofline.list_libraries(each)))
        gflops = [rate / 1e9 for rate in self.clock.values(PRODUCTS)]
        done = [rate * work.flops / 1e9 for rate in rates.values(emotag.NAME)]
        note = f"{work.flops / 1e6:.0f} MFLOP per text, padding not counted"
        shares = [mine / most for mine, most in zip(done, gflops, strict=True)]
        copied = [rate / 1e9 for rate in self.clock.values(COPIES)]
        times = self.compute(spent, work)
        notes = {OWN: f"{work.products / 1e6:.0f} MFLOP of products, {work.attention / 1e6:.1f} of attention"}
        return [
            _make_row(name, gflops, "GFLOP/s", note=f"{by}, best size"),
            _make_row("emotag, work done", done, "GFLOP/s", statistics.median(shares), name, note),
            _make_row(COPIES, copied, "GB/s", note="read and written, best size"),
            *times.rows(against=OWN, notes=notes),
        ]


def _make_row(
    name: str, values: list[float], unit: str, ratio: float | None = None, against: str = "", note: str = ""
) -> Row:
    return Row(TABLE, name, statistics.median(values), unit, min(values), max(values), ratio, against, note)
