"""The engines, limited to AVX2: the speed on older processors, in the same run.

A processor that has nothing newer is measured without limits by `table`, so this table is empty there.
"""

from benchmarks.results import Budget, Report
from emotag_model.engines.device import list_instructions

from . import goals
from .competitors import MODULES, emotag, hugging_face, plain_torch
from .contest import Contest, hold
from .limits import AVX2

TABLE = "avx2"
UNTIL_S = 80.0

BASELINES = [module.__name__.rpartition(".")[2] for module in (hugging_face, plain_torch)]
"""These run in float32 at a fraction of the others' speed. Limited, they would say nothing more."""


def measure(budget: Budget) -> Report:
    """Time each competitor that can be limited, once per round, and judge its quality with these instructions."""
    if not goals.has_vnni(list_instructions()):
        return Report([], [], [])
    with AVX2.apply():
        own = ["emotag", *emotag.list_other_engines()]
    others = [module for module in MODULES if module not in (*BASELINES, *AVX2.unlimited)]
    contest = Contest(TABLE)
    hold(contest, [*own, *others], budget, until_s=UNTIL_S, limit=AVX2)
    missing = [*contest.missing, *(f"{module}, AVX2 only: {why}" for module, why in AVX2.unlimited.items())]
    return Report(contest.make_rows(), [goals.library_goal(contest, goals.AVX2_ONLY)], missing)
