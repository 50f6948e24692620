"""The engine alone: tokens or texts to probabilities, by each competitor that can run the same weights."""

from benchmarks.results import Budget, Report
from emotag_model import artifact
from emotag_model.engines.device import list_instructions
from emotag_model.tagger import EmotionTagger

from . import goals
from .competitors import MODULES, emotag
from .contest import Contest, hold
from .shares import TABLE, Shares
from .work import count_work

UNTIL_S = 150.0
"""No round starts that would end after this time."""


def measure(budget: Budget) -> Report:
    """Time each competitor once per round, and compare its probabilities with the reference's."""
    trained, precision = artifact.load(artifact.DEFAULT), EmotionTagger.load().precision
    contest, shares = Contest(TABLE), Shares(precision)
    modules = ["emotag", "emotag:build_from_texts", *emotag.list_other_engines(), *MODULES]
    hold(contest, modules, budget, until_s=UNTIL_S, shares=shares)
    rows, missing = contest.make_rows(), list(contest.missing)
    work = count_work(trained.config, contest.lengths).divide(len(contest.lengths))
    times = None
    if shares.measured and emotag.NAME in contest.spent.names():
        rows += shares.make_rows(contest.rates, contest.spent, work)
        times = shares.compute(contest.spent, work)
    else:
        missing.append(f"the matrix-multiply roofline: no library here multiplies matrices in {precision}")
    return Report(rows, goals.compute_goals(contest, times, list_instructions()), missing)
