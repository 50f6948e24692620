"""Where the device's time goes: the kernels that `torch.profiler` counts in one call of the engine."""

import re
import time
from collections.abc import Sequence
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.engine import roofline
from benchmarks.results import Row
from emotag_model.tokens import TokenIds

from . import goals
from .subject import REAL, Model, Subject

TABLE = "kernels"
LISTED = 14
"""The kernels that are shown; the others are one row."""

TEXTS, FEW = 32_768, 256
"""Texts of one call: many, and as few as a worker with a short latency objective has."""

SHOWN = 80
"""Characters of a kernel's name; C++ templates have names of hundreds."""


def measure(subject: Subject) -> list[Row]:
    """Return the busy share and the most expensive kernels, for each model and kind of texts, and for a small call."""
    rows = []
    for model in subject.models:
        for kind, count in ((goals.SHORT, TEXTS), (REAL, TEXTS), (REAL, FEW))[: 1 if subject.quick else None]:
            tokens = model.tagger.tokenize(subject.take(kind, count))
            rows += _profile(subject, model, f"{model.name}, {kind}, {count:,} texts", tokens)
    return rows


def _profile(subject: Subject, model: Model, name: str, tokens: Sequence[TokenIds]) -> list[Row]:
    """Return µs per 1,000 tokens of each kernel, and the part of the clock in which the device computes.

    The clock runs without the profiler, which slows the host.
    """
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        model.tagger.probabilities(tokens)
        seconds.append(time.perf_counter() - began)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if subject.on_gpu else [])]
    with profile(activities=activities) as profiler:
        model.tagger.probabilities(tokens)
        roofline.synchronize(subject.device)
    kernels = list_kernels(profiler.key_averages(), on_gpu=subject.on_gpu)
    busy_us = sum(us for _, us, _ in kernels)
    shares = sorted(100 * busy_us / (1e6 * taken_s) for taken_s in seconds[1:])
    rows = [Row(TABLE, f"{name}: the device is busy", shares[1], "%", shares[0], shares[-1])]
    thousands = sum(len(text.ids) for text in tokens) / 1e3
    rest = kernels[LISTED:]
    if rest:
        others = (f"{len(rest)} others", sum(us for _, us, _ in rest), sum(count for *_, count in rest))
        kernels = [*kernels[:LISTED], others]
    for kernel, us, count in kernels:
        each = us / thousands
        note = f"{100 * us / max(busy_us, 1e-9):.1f} % of the device's time, launched {count:,} times"
        rows.append(Row(TABLE, f"{name}: `{kernel}`", each, "µs/1,000 tokens", each, each, note=note))
    return rows


def list_kernels(events: Any, *, on_gpu: bool) -> list[tuple[str, float, int]]:
    """Return name, µs and number of launches of each kernel, the most expensive first; on a CPU, of each operator."""
    kernels = [
        (shorten(event.key), float(event.self_device_time_total if on_gpu else event.self_cpu_time_total), event.count)
        for event in events
        if (event.device_type.name == "CUDA") is on_gpu
    ]
    return sorted((kernel for kernel in kernels if kernel[1] > 0), key=lambda kernel: -kernel[1])


def shorten(name: str) -> str:
    """Return a kernel's name for a cell of a table: without return type, and without characters that end the cell."""
    name = re.sub(r"[`|\s]+", " ", name.removeprefix("void ")).strip()
    return name if len(name) <= SHOWN else f"{name[: SHOWN - 1]}…"
