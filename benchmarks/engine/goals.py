"""The goals of the engine, with the measured values."""

from collections.abc import Sequence

from benchmarks.measurements import Measurements
from benchmarks.results import PerformanceGoal

from .competitors import emotag
from .contest import Contest
from .quality import COMPARABLE
from .roofline import VNNI
from .shares import BY_KIND, OWN, ROOFLINE

LIBRARIES = "engine against the best other library"
"""The beginning of the names of both goals, in all recorded runs."""

WITH_VNNI = f"{LIBRARIES}, same weights, VNNI"
AVX2_ONLY = f"{LIBRARIES}, same weights, AVX2 only"
SHARE = "engine against the measured matrix-multiply roofline in its precision, by processor time"

BOUNDS = {WITH_VNNI: (1.5, 1.6), AVX2_ONLY: (1.0, 1.3)}
WIDE_VNNI_GOAL = 2.0
"""The goal with twice as wide units: processors from Zen 5 on, which also have AVX-VNNI."""


def compute_goals(contest: Contest, times: Measurements | None, instructions: Sequence[str]) -> list[PerformanceGoal]:
    """Return the goals of the engine.

    Args:
        times: emotag's processor time per text, and the roofline's.
        instructions: the processor's. With VNNI, the goal for AVX2 is of another table.
    """
    share = share_goal(times)
    if has_vnni(instructions):
        return [library_goal(contest, WITH_VNNI, instructions), share]
    available = ", ".join(instructions) or "no matrix instructions"
    unknown = PerformanceGoal(
        WITH_VNNI, None, *BOUNDS[WITH_VNNI], higher_is_better=True, why=f"this processor has {available}"
    )
    return [unknown, library_goal(contest, AVX2_ONLY), share]


def has_vnni(instructions: Sequence[str]) -> bool:
    """Return True if the processor multiplies 8-bit integers without cutting anything off."""
    return not VNNI.isdisjoint(instructions)


def library_goal(contest: Contest, name: str, instructions: Sequence[str] = ()) -> PerformanceGoal:
    """Return the ratio of emotag to the best library. Both get the input that the library takes, tokens or texts."""
    best = contest.find_best()
    incomparable = [
        f"{each} ({quality})"
        for each, quality in contest.qualities.items()
        if not quality.comparable and not emotag.is_own(each)
    ]
    why = f"the best is {best}" if best else "no other library ran with comparable quality"
    why += f"; comparable is a macro F1 within {COMPARABLE:g}"
    why += f"; not comparable: {', '.join(incomparable)}" if incomparable else ""
    if emotag.NAME in contest.qualities and not contest.qualities[emotag.NAME].comparable:
        why += f"; emotag itself is not comparable with the reference: {contest.qualities[emotag.NAME]}"
    least, goal = BOUNDS[name]
    goal = WIDE_VNNI_GOAL if {"avx_vnni", "avx512_vnni"} <= set(instructions) else goal
    if not best:
        return PerformanceGoal(name, None, least, goal, higher_is_better=True, why=why)
    own = contest.find_own(next(each for each in contest.competitors if each.name == best))
    return contest.rates.compare(name, own, best, least=least, wanted=goal, why=why)


def share_goal(times: Measurements | None) -> PerformanceGoal:
    """Return the share of its processor time that the engine would need if it only multiplied matrices."""
    if times is None:
        why = "matrix multiplication in its precision could not be measured"
        return PerformanceGoal(SHARE, None, 0.65, 0.80, higher_is_better=True, why=why)
    why = f"by kind of operation, each at its own rate, it is {times.ratio(BY_KIND, OWN):.2f}"
    return times.compare(SHARE, ROOFLINE, OWN, least=0.65, wanted=0.80, why=why)
