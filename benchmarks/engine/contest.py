"""The contest of the engines: the same weights and texts in each, round by round, and the quality of each."""

import functools
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch

from benchmarks import texts
from benchmarks.measurements import PAUSE_S, Measurements, rotate
from benchmarks.results import Budget, Row
from benchmarks.texts import Texts
from emotag_model import artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.forward import compute_probabilities
from emotag_model.tokens import TokenIds, Tokens

from .competitor_process import CompetitorFailed, CompetitorProcess, Sample
from .competitors import Probabilities, emotag
from .limits import NONE, Limit
from .quality import Quality, judge_quality
from .shares import Shares

LEAST_S = 2.0
"""The shortest round of a competitor. A fast one runs all texts several times in it."""

LONGEST_S = 4.0
"""A competitor that needs more time for all texts gets fewer of them, evenly spaced."""

ROUNDS, LEAST_ROUNDS = 7, 5
WARM_TEXTS, TIMED_TEXTS = 96, 384
QUICK_TEXTS, QUICK_ROUNDS, QUICK_S = 64, 3, 0.2

SCREENED = 16
"""Every 16th text is run by each competitor, to find those that round."""

SHARES = "the rates of the roofline"

SAME = 1e-4
"""Probabilities this close to the reference's cross a threshold at most once in some ten thousand decisions."""


@dataclass
class Contest:
    """Competitors, and what was measured of them.

    Attributes:
        table: the section of the rows.
        rates: texts per second by each competitor's own clock.
        spent: µs of its processor time per text.
        qualities: by competitor.
        missing: each competitor that could not run, with the cause.
        lengths: tokens of each timed text.
    """

    table: str
    rates: Measurements = field(init=False)
    spent: Measurements = field(init=False)
    competitors: list[CompetitorProcess] = field(default_factory=list)
    qualities: dict[str, Quality] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rates = Measurements(self.table, "texts/s")
        self.spent = Measurements(self.table, "µs/text")

    def start(self, modules: Sequence[str], sample: Sample, stack: ExitStack, *, limit: Limit, quick: bool) -> None:
        """Start the competitors that can run.

        They start one after the other, because each measures which batch size is fastest. In a quick run none of them
        does, so they start together.
        """
        started = [CompetitorProcess(each, sample, quick=quick, limit=limit) for each in modules] if quick else []
        for number, module in enumerate(modules):
            log(f"  {module} …")
            competitor = started[number] if quick else CompetitorProcess(module, sample, quick=quick, limit=limit)
            try:
                competitor.wait()
            except CompetitorFailed as error:
                self.missing.append(f"{module}: {error}")
                continue
            stack.callback(competitor.close)
            self.competitors.append(competitor)

    def run_rounds(self, sample: Sample, timed: Texts, shares: Shares | None, budget: Budget, until_s: float) -> None:
        """Measure each competitor once per round, and the rates of *shares*, for as long as *until_s* lasts."""
        log("  rounds …")
        tokens = tokenize(timed.texts)
        self.lengths = [len(text.ids) for text in tokens]
        inputs = {each.name: self._choose_texts(each, sample, timed) for each in self.competitors}
        began, longest_s = time.monotonic(), 0.0
        names = [*(each.name for each in self.competitors), *([SHARES] if shares else [])]
        by_name = {each.name: each for each in self.competitors}
        for number in range(QUICK_ROUNDS if budget.quick else ROUNDS):
            round_began = time.monotonic()
            if number >= LEAST_ROUNDS and round_began - began + longest_s > until_s:
                break
            for name in rotate(names, number):
                time.sleep(PAUSE_S)
                if name == SHARES:
                    assert shares is not None
                    shares.measure(number)
                    continue
                run = by_name[name].run(*inputs[name], least_s=QUICK_S if budget.quick else LEAST_S)
                count = len(inputs[name][1])
                self.rates.add(name, number, count / run.seconds)
                self.spent.add(name, number, 1e6 * run.spent_s / count)
            longest_s = max(longest_s, time.monotonic() - round_began)

    def judge(self, judged: Texts, *, quick: bool) -> None:
        """Compare the probabilities of each competitor with those of the reference forward."""
        log("  qualities …")
        tokens = tokenize(judged.texts)
        reference_NK = compute_reference(tuple(judged.texts))
        targets_NK = None if quick else judged.targets_NK
        some = range(0, len(tokens), 1 if quick else SCREENED)
        for competitor in self.competitors:
            measured_NK = competitor.run(
                [tokens[row] for row in some], [judged.texts[row] for row in some]
            ).probabilities_BK
            quality = judge_quality(measured_NK, reference_NK[list(some)], None)
            # Equal probabilities have an equal macro F1, so only the competitors that round run all texts.
            if targets_NK is not None and (quality.difference > SAME or competitor.name == emotag.NAME):
                measured_NK = competitor.run(tokens, judged.texts).probabilities_BK
                quality = judge_quality(measured_NK, reference_NK, targets_NK)
            self.qualities[competitor.name] = quality

    def find_best(self) -> str:
        """Return the fastest other library of comparable quality; empty if there is none.

        A library that takes texts is compared with emotag including tokenization.
        """
        ratios = {
            each.name: self.rates.ratio(own, each.name)
            for each in self.competitors
            if (own := self.find_own(each)) and not emotag.is_own(each.name) and self.qualities[each.name].comparable
        }
        return min(ratios, key=ratios.__getitem__, default="")

    def find_own(self, competitor: CompetitorProcess) -> str:
        """Return the row of emotag that gets the same input as *competitor*; empty if it did not run."""
        own = emotag.NAME if competitor.takes == "tokens" else emotag.FROM_TEXTS
        return own if own in self.rates.names() else ""

    def make_rows(self) -> list[Row]:
        """Return a row per competitor, fastest first: emotag against the best library, the others against emotag."""
        best = self.find_best()
        takes = next((each.takes for each in self.competitors if each.name == best), "")
        against, notes = {}, {}
        for each in self.competitors:
            notes[each.name] = f"{each.note}; {self.qualities[each.name]}"
            if not emotag.is_own(each.name):
                against[each.name] = self.find_own(each)
            elif each.takes == takes:
                against[each.name] = best
        return sorted(self.rates.rows(against=against, notes=notes), key=lambda row: -row.value)

    def _choose_texts(
        self, competitor: CompetitorProcess, sample: Sample, timed: Texts
    ) -> tuple[list[TokenIds], list[str]]:
        taken_s = competitor.run(sample.tokens, sample.texts).seconds / len(sample.texts)
        fitting = int(LONGEST_S / taken_s)
        chosen = timed if fitting >= len(timed.texts) else timed.take(max(fitting, QUICK_TEXTS))
        return tokenize(chosen.texts), chosen.texts


def hold(
    contest: Contest,
    modules: Sequence[str],
    budget: Budget,
    *,
    until_s: float,
    shares: Shares | None = None,
    limit: Limit = NONE,
) -> None:
    """Run the whole contest: start the competitors, time them in rounds, judge their quality, and end them."""
    everything = texts.load()
    timed = everything.take(QUICK_TEXTS if budget.quick else TIMED_TEXTS)
    warm = everything.take(QUICK_TEXTS if budget.quick else WARM_TEXTS).texts
    sample = Sample(tokenize(warm), warm)
    with ExitStack() as stack:
        contest.start(modules, sample, stack, limit=limit, quick=budget.quick)
        contest.run_rounds(sample, timed, shares, budget, until_s)
        contest.judge(timed if budget.quick else everything, quick=budget.quick)


def tokenize(given: Sequence[str]) -> list[TokenIds]:
    """Return the token ids of each text, as the shipped model gets them."""
    return _load_tokens()(given)


@functools.cache
def compute_reference(given: tuple[str, ...]) -> Probabilities:
    """Return the probabilities of the reference forward. Both tables of a run need them for the same texts."""
    trained = artifact.load(artifact.DEFAULT)
    reference = DistilBertCNN.of(trained.config, trained.weights)
    return compute_probabilities(reference, tokenize(given), device=torch.device("cpu"))


@functools.cache
def _load_tokens() -> Tokens:
    trained = artifact.load(artifact.DEFAULT)
    return Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)


def log(line: str) -> None:
    """Write a line about the progress to stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
