"""The engine alone: tokens or texts to probabilities, by each competitor that can run the same weights."""

import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import torch

from benchmarks import texts
from benchmarks.measurements import Measurements
from benchmarks.results import Budget, Report, Row
from benchmarks.texts import Texts
from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.forward import compute_probabilities
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds

from . import goals, roofline
from .competitor_process import CompetitorFailed, CompetitorProcess, Sample
from .competitors import MODULES, emotag, plain_torch
from .quality import Quality, judge_quality

TABLE = "engine"
MATMUL = goals.MATMUL

WARM_TEXTS, TIMED_TEXTS, ROUNDS = 96, 384, 5
QUICK_TEXTS, QUICK_ROUNDS = 64, 2

SCREENED = 16
"""Every 16th text is run by each competitor, to find those that round."""

SAME = 1e-4
"""Probabilities this close to the reference's cross a threshold at most once in some ten thousand decisions."""


def measure(budget: Budget) -> Report:
    """Time each competitor once per round, and compare its probabilities with the reference's."""
    trained, tagger = artifact.load(artifact.DEFAULT), EmotionTagger.load()
    everything = texts.load()
    timed = everything.take(QUICK_TEXTS if budget.quick else TIMED_TEXTS)
    warm = everything.take(QUICK_TEXTS if budget.quick else WARM_TEXTS)
    judged = timed if budget.quick else everything
    with ExitStack() as stack:
        sample = Sample(tagger.tokenize(warm.texts), warm.texts)
        competitors, missing = _start(sample, stack, quick=budget.quick)
        tokens = tagger.tokenize(timed.texts)
        rates = _time_rounds(competitors, tokens, timed.texts, tagger.precision, budget)
        qualities = _judge(competitors, trained, tagger.tokenize(judged.texts), judged, quick=budget.quick)
    work = roofline.count_flops(trained.config, [len(text.ids) for text in tokens]) / len(tokens)
    rows = _rows(competitors, rates, qualities)
    if MATMUL in rates.names():
        rows += _roofline_rows(rates, work, tagger.precision)
    else:
        missing.append(f"the matrix-multiply roofline: no library here multiplies matrices in {tagger.precision}")
    return Report(rows, goals.compute_goals(competitors, rates, qualities, work), missing)


def _start(sample: Sample, stack: ExitStack, *, quick: bool) -> tuple[list[CompetitorProcess], list[str]]:
    """Return the competitors that can run, and the cause for each of the others.

    They start one after the other, because each measures which batch size is fastest. In a quick run none of them does,
    so they start together.
    """
    modules = ["emotag", "emotag:build_from_texts", *MODULES]
    started = [CompetitorProcess(module, sample, quick=quick) for module in modules] if quick else []
    ready, missing = [], []
    for number, module in enumerate(modules):
        _log(f"  {module} …")
        competitor = started[number] if quick else CompetitorProcess(module, sample, quick=quick)
        try:
            competitor.wait()
        except CompetitorFailed as error:
            missing.append(f"{module}: {error}")
            continue
        stack.callback(competitor.close)
        ready.append(competitor)
    return ready, missing


def _time_rounds(
    competitors: Sequence[CompetitorProcess],
    tokens: Sequence[TokenIds],
    texts: Sequence[str],
    precision: str,
    budget: Budget,
) -> Measurements:
    """Measure the texts per second of each by its own clock, and the rate of matrix multiplication, round by round."""

    def rate(competitor: CompetitorProcess) -> float:
        return len(texts) / competitor.run(tokens, texts)[1]

    _log("  rounds …")
    measured: dict[str, Callable[[], float]] = {each.name: partial(rate, each) for each in competitors}
    if precision in roofline.MEASURABLE:
        measured[MATMUL] = partial(roofline.measure_fastest_matmul_rate, precision)
    rates = Measurements(TABLE, "texts/s")
    rates.interleave(measured, rounds=QUICK_ROUNDS if budget.quick else ROUNDS)
    return rates


def _judge(
    competitors: Sequence[CompetitorProcess],
    trained: Artifact,
    tokens: Sequence[TokenIds],
    judged: Texts,
    *,
    quick: bool,
) -> dict[str, Quality]:
    """Compare the probabilities of each competitor with those of the reference forward."""
    _log("  qualities …")
    reference = DistilBertCNN.of(trained.config, trained.weights)
    reference_NK = compute_probabilities(reference, tokens, device=torch.device("cpu"))
    targets_NK = None if quick else judged.targets_NK
    some = range(0, len(tokens), 1 if quick else SCREENED)
    qualities = {}
    for competitor in competitors:
        measured_NK, _ = competitor.run([tokens[row] for row in some], [judged.texts[row] for row in some])
        quality = judge_quality(measured_NK, reference_NK[list(some)], None)
        # Equal probabilities have an equal macro F1, so only the competitors that round run all texts.
        if targets_NK is not None and (quality.difference > SAME or competitor.name == emotag.NAME):
            measured_NK, _ = competitor.run(tokens, judged.texts)
            quality = judge_quality(measured_NK, reference_NK, targets_NK)
        qualities[competitor.name] = quality
    return qualities


def _rows(competitors: Sequence[CompetitorProcess], rates: Measurements, qualities: dict[str, Quality]) -> list[Row]:
    """Return a row per competitor, fastest first."""
    notes = {}
    for competitor in competitors:
        own = emotag.NAME if competitor.takes == "tokens" else emotag.FROM_TEXTS
        parts = [competitor.note, str(qualities[competitor.name])]
        if own in rates.names() and own != competitor.name:
            parts.insert(0, f"{rates.ratio(competitor.name, own):.2f} × {own}")
        notes[competitor.name] = "; ".join(parts)
    # Matrix multiplication has another unit, so it gets other rows.
    rows = [row for row in rates.rows(against=plain_torch.NAME, notes=notes) if row.name != MATMUL]
    return sorted(rows, key=lambda row: -row.value)


def _roofline_rows(rates: Measurements, work: float, precision: str) -> list[Row]:
    """Return the rate of matrix multiplication, and emotag's share of it."""
    matmul = [rate / 1e9 for rate in rates.values(MATMUL)]
    name = f"{MATMUL}, {precision}"
    by = f"{' or '.join(roofline.list_libraries(precision))}, best size"
    rows = [Row(TABLE, name, statistics.median(matmul), "GFLOP/s", min(matmul), max(matmul), note=by)]
    if emotag.NAME in rates.names():
        achieved = [rate * work / 1e9 for rate in rates.values(emotag.NAME)]
        note = f"{work / 1e6:.0f} MFLOP per text, padding not counted"
        ratio = rates.ratio(emotag.NAME, MATMUL) * work
        rows.append(
            Row(
                TABLE,
                "emotag, work done",
                statistics.median(achieved),
                "GFLOP/s",
                min(achieved),
                max(achieved),
                ratio,
                name,
                note,
            )
        )
    return rows


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
