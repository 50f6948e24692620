"""The engine alone: tokens or texts to probabilities, by every way there is to run the same weights."""

import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import torch

from model import artifact
from model.artifact import Artifact
from model.distilbert_cnn import DistilBertCNN
from model.tagger import EmotionTagger
from model.tokens import TokenIds
from training.fit import probabilities

from . import ceiling, engine_goals, ours, ours_from_texts, rounds, texts
from .competitor import Competitor, Sample, Unable
from .quality import Quality, judge
from .results import Budget, Report, Row
from .rivals import MODULES, original
from .rounds import Rates, median_ratio
from .texts import Texts

TABLE = "engine"
MATMUL = engine_goals.MATMUL

WARM_TEXTS, TIMED_TEXTS, ROUNDS = 96, 384, 5
QUICK_TEXTS, QUICK_ROUNDS = 64, 2

FEW = 16
"""One text in so many is answered by everyone, to see who rounds."""

SAME = 1e-4
"""Probabilities so close to the reference's cross a threshold once in some ten thousand decisions, if ever."""


def measure(budget: Budget) -> Report:
    """Every competitor once a round, and its answers beside the reference's."""
    trained, tagger = artifact.load(artifact.DEFAULT), EmotionTagger.load()
    everything = texts.load()
    timed = everything.take(QUICK_TEXTS if budget.quick else TIMED_TEXTS)
    warm = everything.take(QUICK_TEXTS if budget.quick else WARM_TEXTS)
    judged = timed if budget.quick else everything
    with ExitStack() as stack:
        sample = Sample(tagger.tokenise(warm.texts), warm.texts)
        competitors, missing = _started(sample, stack, quick=budget.quick)
        tokens = tagger.tokenise(timed.texts)
        rates = _timed(competitors, tokens, timed.texts, tagger.precision, budget)
        qualities = _judged(competitors, trained, tagger.tokenise(judged.texts), judged, quick=budget.quick)
    work = ceiling.flops(trained.config, [len(text.ids) for text in tokens]) / len(tokens)
    rows = _rows(competitors, rates, qualities)
    if MATMUL in rates:
        rows += _ceiling_rows(rates, work, tagger.precision)
    else:
        missing.append(f"the matrix-multiply ceiling: nothing here multiplies matrices in {tagger.precision}")
    return Report(rows, engine_goals.goals(competitors, rates, qualities, work), missing)


def _started(sample: Sample, stack: ExitStack, *, quick: bool) -> tuple[list[Competitor], list[str]]:
    """Those that can run, and why the others cannot.

    One after the other, since each chooses its batch size by the clock; in a quick run, where none does, together.
    """
    modules = [ours.__name__, ours_from_texts.__name__, *(f"rivals.{name}" for name in MODULES)]
    modules = [name.removeprefix(f"{__package__}.") for name in modules]
    started = [Competitor(module, sample, quick=quick) for module in modules] if quick else []
    ready, missing = [], []
    for number, module in enumerate(modules):
        _say(f"  {module} …")
        competitor = started[number] if quick else Competitor(module, sample, quick=quick)
        try:
            competitor.wait()
        except Unable as error:
            missing.append(f"{module.rpartition('.')[2]}: {error}")
            continue
        stack.callback(competitor.close)
        ready.append(competitor)
    return ready, missing


def _timed(
    competitors: Sequence[Competitor], tokens: Sequence[TokenIds], texts: Sequence[str], precision: str, budget: Budget
) -> Rates:
    """Texts per second of each by its own clock, and the rate of matrix multiplication, round by round."""

    def rate(competitor: Competitor) -> float:
        return len(texts) / competitor.run(tokens, texts)[1]

    _say("  rounds …")
    contenders: dict[str, Callable[[], float]] = {each.name: partial(rate, each) for each in competitors}
    if precision in ceiling.MEASURABLE:
        contenders[MATMUL] = partial(ceiling.fastest_matmul_rate, precision)
    return rounds.interleave(contenders, rounds=QUICK_ROUNDS if budget.quick else ROUNDS)


def _judged(
    competitors: Sequence[Competitor], trained: Artifact, tokens: Sequence[TokenIds], judged: Texts, *, quick: bool
) -> dict[str, Quality]:
    """What each answers beside the reference forward."""
    _say("  qualities …")
    reference = DistilBertCNN.of(trained.config, trained.weights)
    reference_NK = probabilities(reference, tokens, device=torch.device("cpu"))
    targets_NK = None if quick else judged.targets_NK
    some = range(0, len(tokens), 1 if quick else FEW)
    found = {}
    for competitor in competitors:
        answers_NK, _ = competitor.run([tokens[row] for row in some], [judged.texts[row] for row in some])
        quality = judge(answers_NK, reference_NK[list(some)], None)
        # Whoever says the same as the reference has its macro F1 too: minutes are for those that round.
        if targets_NK is not None and (quality.difference > SAME or competitor.name == ours.NAME):
            answers_NK, _ = competitor.run(tokens, judged.texts)
            quality = judge(answers_NK, reference_NK, targets_NK)
        found[competitor.name] = quality
    return found


def _rows(competitors: Sequence[Competitor], rates: Rates, qualities: dict[str, Quality]) -> list[Row]:
    """Fastest first."""
    rows = []
    for competitor in competitors:
        mine = rates[competitor.name]
        own = ours.NAME if competitor.takes == "tokens" else ours_from_texts.NAME
        notes = [competitor.note, str(qualities[competitor.name])]
        if own in rates and own != competitor.name:
            notes.insert(0, f"{median_ratio(mine, rates[own]):.2f} × {own}")
        apart = original.NAME in rates and competitor.name != original.NAME
        to_original = median_ratio(mine, rates[original.NAME]) if apart else None
        against = original.NAME if to_original is not None else ""
        note = "; ".join(notes)
        middle = statistics.median(mine)
        rows.append(Row(TABLE, competitor.name, middle, "texts/s", min(mine), max(mine), to_original, against, note))
    return sorted(rows, key=lambda row: -row.value)


def _ceiling_rows(rates: Rates, work: float, precision: str) -> list[Row]:
    """What the machine multiplies, and what emotag does of it."""
    matmul = [rate / 1e9 for rate in rates[MATMUL]]
    name = f"{MATMUL}, {precision}"
    by = f"{' or '.join(ceiling.libraries(precision))}, best size"
    rows = [Row(TABLE, name, statistics.median(matmul), "GFLOP/s", min(matmul), max(matmul), note=by)]
    if ours.NAME in rates:
        done = [rate * work / 1e9 for rate in rates[ours.NAME]]
        note = f"{work / 1e6:.0f} MFLOP a text, padding not counted"
        ratio = median_ratio(done, matmul)
        rows.append(
            Row(TABLE, "emotag, work done", statistics.median(done), "GFLOP/s", min(done), max(done), ratio, name, note)
        )
    return rows


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
