"""What was promised of the engine, beside what was measured of it."""

from collections.abc import Mapping, Sequence

from model.device import instructions

from . import ours, ours_from_texts
from .competitor import Competitor
from .quality import COMPARABLE, Quality
from .results import Goal
from .rivals import original
from .rounds import Rates, median_ratio

MATMUL = "matrix multiplication alone"
AMX = "engine against the original's way, processor with AMX"
VNNI = "the same, AVX-512 with VNNI, no AMX"
LIBRARIES = (
    f"engine against the best other library as its docs run it, same weights, comparable quality (macro F1 within "
    f"{COMPARABLE:g})"
)
CEILING = "engine against the measured matrix-multiply ceiling in its precision"


def goals(
    competitors: Sequence[Competitor], rates: Rates, qualities: Mapping[str, Quality], flops_a_text: float
) -> list[Goal]:
    """The engine's four goals.

    Args:
        flops_a_text: of the texts that were timed, on average.
    """
    return [
        *original_goals(rates, instructions()),
        library_goal(competitors, rates, qualities),
        ceiling_goal(rates, flops_a_text),
    ]


def original_goals(rates: Rates, instructions: Sequence[str]) -> list[Goal]:
    """Only the one for this processor's kind is measured; what it reaches here is said in any case."""
    has_amx = "amx_bf16" in instructions or "amx_int8" in instructions
    has_vnni = "avx512_vnni" in instructions and not has_amx
    reached = _ratio(rates, ours.NAME, original.NAME)
    here = "the original's way did not run" if reached is None else f"on it, {reached:.1f} times"
    has = ", ".join(instructions) or "no matrix instructions"
    why = f"this processor has {has}; {here}"
    return [
        Goal(AMX, reached if has_amx else None, 25, 40, higher_is_better=True, why="" if has_amx else why),
        Goal(VNNI, reached if has_vnni else None, 18, 28, higher_is_better=True, why="" if has_vnni else why),
    ]


def library_goal(competitors: Sequence[Competitor], rates: Rates, qualities: Mapping[str, Quality]) -> Goal:
    """emotag over the best library: each beside emotag with the same input, tokens or texts."""
    ratios: dict[str, float] = {}
    apart = []
    for competitor in competitors:
        own = ours.NAME if competitor.takes == "tokens" else ours_from_texts.NAME
        if competitor.name in (ours.NAME, ours_from_texts.NAME, original.NAME) or own not in rates:
            continue
        quality = qualities[competitor.name]
        if quality.comparable:
            ratios[competitor.name] = median_ratio(rates[own], rates[competitor.name])
        else:
            apart.append(f"{competitor.name} ({quality})")
    best = min(ratios, key=ratios.__getitem__, default="")
    why = f"the best is {best}" if best else "no other library ran with comparable quality"
    why += f"; not comparable: {', '.join(apart)}" if apart else ""
    if ours.NAME in qualities and not qualities[ours.NAME].comparable:
        why += f"; emotag's own answers are not the reference's: {qualities[ours.NAME]}"
    return Goal(LIBRARIES, ratios.get(best), 1.2, 2, higher_is_better=True, why=why)


def ceiling_goal(rates: Rates, flops_a_text: float) -> Goal:
    """The share of its time that the engine would need if it did nothing but multiply matrices."""
    per_flop = _ratio(rates, ours.NAME, MATMUL)
    share = None if per_flop is None else per_flop * flops_a_text
    why = "" if share is not None else "its precision's matrix multiplication could not be measured"
    return Goal(CEILING, share, 0.60, 0.80, higher_is_better=True, why=why)


def _ratio(rates: Rates, name: str, to: str) -> float | None:
    return median_ratio(rates[name], rates[to]) if name in rates and to in rates else None
