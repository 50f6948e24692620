"""The parts of a run, in their order."""

import importlib
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import Row

if TYPE_CHECKING:
    from .subject import Subject

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = tuple(ROOT / folder for folder in ("model", "schemas", "training", "worker", "benchmarks/gpu/stand_ins"))
"""The packages of this checkout, which need not be installed, and modules in place of missing libraries."""

PARTS = ("kernels", "plans", "host", "processes", "bits", "candidates", "engine")
"""The module of each part. Each has `measure(subject) -> rows`. The longest part, which compiles, is the last one."""

LIMIT_S = 360.0
"""After this time, no part begins. This leaves the last part four of the ten minutes that a run may take."""


def run_parts(subject: "Subject", names: Sequence[str]) -> Iterator[list[Row]]:
    """Yield the rows of each part. A part that fails is reported, and the others go on."""
    started = time.monotonic()
    for name in names:
        began = time.monotonic()
        if began - started > LIMIT_S:
            subject.missing.append(f"{name}: no time is left; run it alone with --only {name}")
            continue
        log(f"{name} …")
        try:
            yield importlib.import_module(f"{__package__}.{name}").measure(subject)
        except Exception as error:  # the minutes spent on the other parts still count  # noqa: BLE001
            traceback.print_exc()
            subject.missing.append(f"{name}: {type(error).__name__}: {error}".splitlines()[0])
        log(f"{name}: {time.monotonic() - began:.0f} s")


def log(line: str) -> None:
    """Report progress on stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
