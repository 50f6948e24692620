"""The engine against transformers' DistilBERT, as it is and compiled by `torch.compile`, at their best batch sizes.

All have the same precision and token ids, and run in interleaved rounds. The competitors get texts sorted by length,
each batch padded to its longest text. Their batches are padded before the clock starts; emotag's clock includes
planning and packing.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from benchmarks.engine import roofline
from benchmarks.engine.work import count_work
from benchmarks.measurements import Measurements
from benchmarks.results import Row
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.tokens import TokenIds, pad

from . import goals
from .subject import MOST_TEXTS, REAL, Model, Subject

TABLE = "gpu"
BATCHES = (256, 1_024, 4_096, 16_384)
"""Texts of a competitor's batch. The best of them is measured."""

Forward = Callable[[Tensor, Tensor], Tensor]
"""Ids and mask [B, L] to probabilities [B, K]."""


def measure(subject: Subject) -> list[Row]:
    """Return texts, tokens and operations per second for each model, with short texts and with real ones."""
    rows = [*subject.rooflines.values()]
    for model in subject.models:
        for kind in (goals.SHORT, REAL):
            rows += _compare(subject, model, kind)
    return rows


def _compare(subject: Subject, model: Model, kind: str) -> list[Row]:
    tokens = model.tagger.tokenize(subject.take(kind, MOST_TEXTS))
    name = f"{model.name}, {kind}"
    rates = Measurements(TABLE, "texts/s")
    competitors: dict[str, Callable[[], float]] = {name: partial(_measure_emotag, model, tokens)}
    notes = {name: model.tagger.precision}
    plain = build_transformers(model)
    # One dynamic shape, because each compilation takes longer than the measurement. The models share the code of their
    # forward function, and torch limits the compilations of one function.
    torch.compiler.reset()
    compiled = torch.compile(plain, dynamic=True, backend="eager" if subject.quick else "inductor")
    for label, forward in ((f"{name}, transformers", plain), (f"{name}, transformers compiled", compiled)):
        try:
            batch, run = _choose_batch(subject, model, tokens, forward)
        except Exception as error:  # whatever a compiler raises; the others are still compared  # noqa: BLE001
            subject.missing.append(f"{label}: {type(error).__name__}: {error}".splitlines()[0])
            continue
        competitors[label] = run
        notes[label] = f"{model.tagger.precision}, batches of {batch:,}"
    competitors[name]()
    rates.interleave(competitors, rounds=subject.rounds, pause_s=0.0)
    others = [label for label in rates.names() if label != name]
    against = {name: max(others, key=rates.median, default=""), **dict.fromkeys(others, name)}
    return [*rates.rows(against=against, notes=notes), *_convert(subject, model, name, rates, tokens)]


def _convert(subject: Subject, model: Model, name: str, rates: Measurements, tokens: Sequence[TokenIds]) -> list[Row]:
    """Return emotag's rates in tokens and in operations of real tokens."""
    lengths = [len(text.ids) for text in tokens]
    per_text = sum(lengths) / len(lengths)
    tera = count_work(model.trained.config, lengths).flops / len(lengths) / 1e12
    values, roof = rates.values(name), subject.roofline
    low, median, high = min(values), rates.median(name), max(values)
    note = f"{per_text:.1f} tokens per text"
    ratio = median * tera / roof.value
    return [
        Row(TABLE, name, median * per_text, "tokens/s", low * per_text, high * per_text, note=note),
        Row(TABLE, name, median * tera, "TFLOP/s", low * tera, high * tera, ratio, roof.name),
    ]


def _measure_emotag(model: Model, tokens: Sequence[TokenIds]) -> float:
    """Return texts per second of one call."""
    began = time.perf_counter()
    model.tagger.probabilities(tokens)
    return len(tokens) / (time.perf_counter() - began)


def build_transformers(model: Model) -> Forward:
    """Return transformers' encoder with random weights, and the model's head."""
    from transformers import DistilBertConfig, DistilBertModel

    config, device = model.trained.config, model.tagger.device
    names = ("vocab_size", "max_position_embeddings", "dim", "n_layers", "n_heads", "hidden_dim")
    encoder: torch.nn.Module = DistilBertModel(DistilBertConfig(**{name: getattr(config, name) for name in names}))
    encoder.to(device, model.dtype).eval()
    head = DistilBertCNN.of(config, model.trained.weights).to(device, model.dtype).head

    def forward(ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        return torch.sigmoid(head(encoder(ids_BL, attention_mask=mask_BL).last_hidden_state, mask_BL))

    return forward


def _choose_batch(
    subject: Subject, model: Model, tokens: Sequence[TokenIds], forward: Forward
) -> tuple[int, Callable[[], float]]:
    """Return the competitor's fastest batch size, and a function that measures it with this size."""
    rows = sorted((text.ids for text in tokens), key=len)
    candidates = {}
    for batch in BATCHES[:1] if subject.quick else BATCHES:
        padded = [
            tuple(map(torch.from_numpy, pad(rows[start : start + batch], pad_id=model.trained.config.pad_token_id)))
            for start in range(0, len(rows), batch)
        ]
        if subject.on_gpu:
            padded = [(ids_BL.pin_memory(), mask_BL.pin_memory()) for ids_BL, mask_BL in padded]
        run = partial(_measure_competitor, forward, padded, subject.device)
        run()  # compiles
        candidates[batch] = run(), run
    best = max(candidates, key=lambda batch: candidates[batch][0])
    return best, candidates[best][1]


@torch.inference_mode()
def _measure_competitor(forward: Forward, padded: Sequence[tuple[Tensor, ...]], device: str) -> float:
    """Return texts per second over all batches, copies to and from the device included."""
    began = time.perf_counter()
    launched = [
        forward(ids_BL.to(device, non_blocking=True), mask_BL.to(device, non_blocking=True)).to(
            "cpu", non_blocking=True
        )
        for ids_BL, mask_BL in padded
    ]
    roofline.synchronize(device)
    return sum(map(len, launched)) / (time.perf_counter() - began)
