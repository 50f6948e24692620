"""The goals of the engine, with the measured values."""

from collections.abc import Mapping, Sequence

from benchmarks.measurements import Measurements
from benchmarks.results import PerformanceGoal
from emotag_model.engines.device import list_instructions

from .competitor_process import CompetitorProcess
from .competitors import emotag, plain_torch
from .quality import COMPARABLE, Quality

MATMUL = "matrix multiplication alone"
AMX = "engine against plain torch, processor with AMX"
VNNI = "the same, AVX-512 with VNNI, no AMX"
LIBRARIES = (
    f"engine against the best other library as its docs run it, same weights, comparable quality (macro F1 within "
    f"{COMPARABLE:g})"
)
ROOFLINE = "engine against the measured matrix-multiply roofline in its precision"


def compute_goals(
    competitors: Sequence[CompetitorProcess],
    rates: Measurements,
    qualities: Mapping[str, Quality],
    flops_per_text: float,
) -> list[PerformanceGoal]:
    """Return the goals of the engine.

    Args:
        flops_per_text: the average over the timed texts.
    """
    return [
        *plain_torch_goals(rates, list_instructions()),
        library_goal(competitors, rates, qualities),
        roofline_goal(rates, flops_per_text),
    ]


def plain_torch_goals(rates: Measurements, instructions: Sequence[str]) -> list[PerformanceGoal]:
    """Return the goals by processor. Only the one for this processor is measured; the other one shows its ratio."""
    has_amx = "amx_bf16" in instructions or "amx_int8" in instructions
    has_vnni = "avx512_vnni" in instructions and not has_amx
    ratio = _ratio(rates, emotag.NAME, plain_torch.NAME)
    here = "plain torch did not run" if ratio is None else f"on it, {ratio:.1f} times"
    available = ", ".join(instructions) or "no matrix instructions"
    why = f"this processor has {available}; {here}"
    return [
        PerformanceGoal(AMX, ratio if has_amx else None, 25, 40, higher_is_better=True, why="" if has_amx else why),
        PerformanceGoal(VNNI, ratio if has_vnni else None, 18, 28, higher_is_better=True, why="" if has_vnni else why),
    ]


def library_goal(
    competitors: Sequence[CompetitorProcess], rates: Measurements, qualities: Mapping[str, Quality]
) -> PerformanceGoal:
    """Return the ratio of emotag to the best library. Both get the input that the library takes, tokens or texts."""
    ratios: dict[str, float] = {}
    incomparable = []
    for competitor in competitors:
        own = emotag.NAME if competitor.takes == "tokens" else emotag.FROM_TEXTS
        if competitor.name in (emotag.NAME, emotag.FROM_TEXTS, plain_torch.NAME) or own not in rates.names():
            continue
        quality = qualities[competitor.name]
        if quality.comparable:
            ratios[competitor.name] = rates.ratio(own, competitor.name)
        else:
            incomparable.append(f"{competitor.name} ({quality})")
    best = min(ratios, key=ratios.__getitem__, default="")
    why = f"the best is {best}" if best else "no other library ran with comparable quality"
    why += f"; not comparable: {', '.join(incomparable)}" if incomparable else ""
    if emotag.NAME in qualities and not qualities[emotag.NAME].comparable:
        why += f"; emotag itself is not comparable with the reference: {qualities[emotag.NAME]}"
    return PerformanceGoal(LIBRARIES, ratios.get(best), 1.2, 2, higher_is_better=True, why=why)


def roofline_goal(rates: Measurements, flops_per_text: float) -> PerformanceGoal:
    """Return the share of its time that the engine would need if it only multiplied matrices."""
    per_flop = _ratio(rates, emotag.NAME, MATMUL)
    share = None if per_flop is None else per_flop * flops_per_text
    why = "" if share is not None else "matrix multiplication in its precision could not be measured"
    return PerformanceGoal(ROOFLINE, share, 0.60, 0.80, higher_is_better=True, why=why)


def _ratio(rates: Measurements, name: str, to: str) -> float | None:
    return rates.ratio(name, to) if {name, to} <= set(rates.names()) else None
