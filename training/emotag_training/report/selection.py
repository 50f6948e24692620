"""Which choices of a run were made on the texts of its figures."""

from collections.abc import Mapping
from typing import Any

from emotag_training.record import read_section


def explain_selection(record: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Explain which choices were made on the texts of *figures*, as far as they are on record; empty if none were."""
    measured, limit = figures["data_sha256"], find_limit(record)
    if read_section(record, "data").get("train_sha256") == measured:
        return "The model was trained on these texts, so the figures do not hold for new texts."
    whole = limit is None or figures["texts"] <= limit  # a run with a limit saw only the first texts
    reasons = []
    chosen_here = read_section(record, "data").get("dev_sha256") == measured
    best = f"with the best mean average precision on {'them' if whole else 'some of them'}"
    epochs, seeds = len(record.get("epochs") or ()), read_section(record, "recipe", "run").get("best_of_seeds", 1)
    if epochs > 1 and "best_epoch" in record and chosen_here:  # with a single epoch there was no choice
        reasons.append(f"the weights are those of the epoch ({record['best_epoch']} of {epochs}) {best}")
    if chosen_here and any(len(run.get("epochs") or ()) > 1 for run in record.get("mean_of") or ()):
        reasons.append(f"each run kept the weights of the epoch {best}")
    if seeds > 1 and chosen_here:
        reasons.append(f"the seed is the one of {seeds} {best}")
    calibration = record.get("calibration") or {}
    if calibration.get("data_sha256") == measured:
        all_of_them = calibration["texts"] >= figures["texts"] if "texts" in calibration else whole
        reasons.append(f"Platt scaling was fitted on {'them all' if all_of_them else 'some of them'}")
    if not reasons:
        return ""
    return (
        f"Choices were made on these texts: {', and '.join(reasons)}. On new texts every figure is likely to be worse."
    )


def find_limit(record: Mapping[str, Any]) -> int | None:
    """Return the number of first texts that a run was limited to; None if it was not."""
    limit: int | None = read_section(record, "recipe", "data").get("limit")
    return limit
