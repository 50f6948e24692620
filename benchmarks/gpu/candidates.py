"""The kernels of `kernel_candidates.py` against the steps that the engine has now, each alone, on one device batch."""

import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from benchmarks.engine import roofline
from benchmarks.measurements import Measurements
from benchmarks.results import Row
from emotag_model.engines.packed_attention import (
    attend_by_group,
    attend_by_text,
    find_varlen_kernel,
    group_equal_lengths,
)
from emotag_model.engines.packing import Ints, pack

from . import goals
from .subject import REAL, Model, Subject

TABLE = "candidates"
TEXTS = 3_276
"""Texts of one device batch of 20-token texts."""

REPEATS = 50
TOLERANCE = 2e-2
"""Largest difference between a candidate and the engine at values of about 1; see `PROBE_TOLERANCE`."""

Step = Callable[[], Tensor]


class WrongResult(Exception):
    """A candidate computes something else than the engine."""


def measure(subject: Subject) -> list[Row]:
    """Return tokens per second of each step, as the engine computes it and by its candidate.

    Raises:
        ImportError: Triton is not installed.
        WrongResult: a candidate is wrong on this device.
    """
    if not subject.on_gpu:
        os.environ.setdefault("TRITON_INTERPRET", "1")
    rows = []
    for model in subject.models[-1:] if subject.quick else subject.models:  # the interpreter is slow
        for kind in (goals.SHORT, REAL):
            rows += _compare_attention(subject, model, kind)
        rows += _compare_norms(subject, model)
    return rows


def _compare_attention(subject: Subject, model: Model, kind: str) -> list[Row]:
    from .kernel_candidates import MOST_TOKENS, attend_short_texts

    config, device = model.trained.config, model.tagger.device
    tokens = model.tagger.tokenize(subject.take(kind, TEXTS))
    batch = pack(sorted((text.ids for text in tokens if len(text.ids) <= MOST_TOKENS), key=len))
    qkv_T3HD = torch.randn(len(batch.ids_T), 3, config.n_heads, config.dim // config.n_heads).to(device, model.dtype)

    def send(values: Ints) -> Tensor:
        return torch.from_numpy(values).to(device)

    kernel = find_varlen_kernel(device, model.dtype, *qkv_T3HD.shape[2:]) if subject.on_gpu else None
    now = attend_by_text(kernel, batch, send) if kernel else attend_by_group(group_equal_lengths(batch))
    bounds = send(np.append(batch.starts_B, len(batch.ids_T)).astype(np.int32))
    candidate = partial(attend_short_texts, qkv_T3HD, bounds, int(batch.lengths_B.max()))
    return _compare(subject, f"{model.name}, attention, {kind}", partial(now, qkv_T3HD), candidate, len(qkv_T3HD))


def _compare_norms(subject: Subject, model: Model) -> list[Row]:
    from .kernel_candidates import add_and_normalize

    config = model.trained.config
    tokens, width = 8 if subject.quick else goals.SHORT_TOKENS * TEXTS, config.dim
    draw = partial(torch.randn, dtype=torch.float32)
    x_TC, residual_TC, weight_C, bias_C = (
        draw(shape).to(model.tagger.device, model.dtype) for shape in ((tokens, width), (tokens, width), width, width)
    )

    def add_then_normalize() -> Tensor:
        return F.layer_norm(x_TC + residual_TC, (width,), weight_C, bias_C, config.layer_norm_eps)

    candidate = partial(add_and_normalize, x_TC, residual_TC, weight_C, bias_C, config.layer_norm_eps)
    return _compare(subject, f"{model.name}, residual and norm", add_then_normalize, candidate, tokens)


@torch.inference_mode()
def _compare(subject: Subject, name: str, now: Step, candidate: Step, tokens: int) -> list[Row]:
    """Check the candidate's result, and measure both."""
    difference = float((now().float() - candidate().float()).abs().max())
    if difference > TOLERANCE:
        raise WrongResult(f"{name}: the candidate differs by {difference:.2g}, more than {TOLERANCE:g}")
    names = {f"{name}, as now": now, f"{name}, candidate": candidate}
    rates = Measurements(TABLE, "tokens/s")
    rates.interleave(
        {each: partial(_measure_rate, subject, step, tokens) for each, step in names.items()},
        rounds=subject.rounds,
        pause_s=0.0,
    )
    as_now, by_candidate = names
    return rates.rows(against=as_now, notes={by_candidate: f"largest difference {difference:.2g}"})


@torch.inference_mode()
def _measure_rate(subject: Subject, step: Step, tokens: int) -> float:
    repeats = 1 if subject.quick else REPEATS
    roofline.synchronize(subject.device)
    began = time.perf_counter()
    for _ in range(repeats):
        step()
    roofline.synchronize(subject.device)
    return repeats * tokens / (time.perf_counter() - began)
