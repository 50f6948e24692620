"""Threshold policies: each is parsed, chosen and recorded by its name, and no other is."""

from typing import Any

import numpy as np
import pytest

from emotag_training.data.split import Split
from emotag_training.errors import PolicyError
from emotag_training.evaluation import thresholds
from emotag_training.evaluation.metrics import cross_validate_macro_f1
from emotag_training.evaluation.platt import apply_platt
from emotag_training.evaluation.thresholds import (
    AtPrecision,
    BestF1,
    Fixed,
    HeldOut,
    Policy,
    choose_thresholds,
    compute_lower_bound,
    cross_validate_precision,
    cross_validate_transfer,
    parse_policy,
)

RNG = np.random.default_rng(0)
TARGETS_NK = (RNG.random((400, 3)) < (0.5, 0.2, 0.05)).astype(np.float32)
PROBABILITIES_NK = np.clip(0.35 * TARGETS_NK + 0.6 * RNG.random((400, 3)), 0.001, 0.999).astype(np.float32)
LABELS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "policy"), [("f1", BestF1()), ("precision@0.8", AtPrecision(0.8)), ("fixed:0.51", Fixed(0.51))]
)
def test_a_policy_is_parsed_and_recorded_by_its_name(text: str, policy: Policy) -> None:
    assert policy == parse_policy(text)
    assert text == choose_thresholds(PROBABILITIES_NK, Split(("x",) * 400, TARGETS_NK, LABELS, "sha"), text).policy


def test_a_policy_that_is_parsed_but_not_chosen_by_is_an_error_and_never_f1(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new policy with a forgotten branch must not be recorded as another one."""

    def parse(text: str) -> Any:
        return text

    monkeypatch.setattr(thresholds, "parse_policy", parse)
    with pytest.raises(AssertionError, match="quantile"):
        choose_thresholds(PROBABILITIES_NK, Split(("x",) * 400, TARGETS_NK, LABELS, "sha"), "quantile@0.9")


def test_a_policy_of_precision_gives_the_smallest_threshold_that_shows_it() -> None:
    """A label that never shows the precision gets 1, which no text reaches."""
    targets_NK = TARGETS_NK.copy()
    targets_NK[PROBABILITIES_NK[:, 2].argsort()[-200:], 2] = 0
    dev = Split(("x",) * 400, targets_NK, LABELS, "sha")
    chosen = choose_thresholds(PROBABILITIES_NK, dev, "precision@0.9")
    assert ("precision@0.9", 1.0) == (chosen.policy, chosen.values[2])
    for k in (0, 1):
        scores_N, cut = PROBABILITIES_NK[:, k], np.float32(chosen.values[k])
        shown = {
            float(t): compute_lower_bound(np.array(targets_NK[scores_N >= t, k].sum()), np.array((scores_N >= t).sum()))
            >= 0.9
            for t in scores_N
        }
        assert shown[float(cut)]
        assert not any(is_shown for t, is_shown in shown.items() if t < cut)


def test_the_lower_bound_is_wilsons() -> None:
    """8 of 10 at 1.96 standard errors: 0.4902, a textbook example."""
    assert pytest.approx([0.4902, 0.0], abs=1e-4) == compute_lower_bound(np.array([8, 0]), np.array([10, 5]), z=1.96)


def test_precision_is_kept_on_rows_that_chose_no_threshold() -> None:
    """The share of hits itself, without a bound, would not keep it."""
    rng = np.random.default_rng(1)
    truth_NK = rng.random((3000, 6)).astype(np.float32) ** 2
    targets_NK = (rng.random((3000, 6)) < truth_NK).astype(np.float32)
    names = tuple("abcdef")
    found = cross_validate_precision(truth_NK, targets_NK, names, least=0.8)
    assert found["mean"] >= 0.8
    assert set(names) == set(found["per_label"])
    assert found["of_all_decisions"] >= 0.8
    never = cross_validate_precision(truth_NK[:50, :1], targets_NK[:50, :1] * 0, ("a",), least=0.8)
    assert {"least": 0.8, "mean": None, "of_all_decisions": None, "per_label": {"a": None}} == never


@pytest.mark.parametrize(
    "policy", ["best", "fixed:", "fixed:x", "fixed:2", "precision@", "precision@0", "precision@nan", "precision@1"]
)
def test_a_policy_that_is_none_is_refused(policy: str) -> None:
    with pytest.raises(PolicyError, match=r"use f1, precision@P or fixed:T|a precision of 1; use less"):
        choose_thresholds(PROBABILITIES_NK, Split(("x",) * 400, TARGETS_NK, LABELS, "sha"), policy)


@pytest.mark.parametrize("moved", ["theirs", "own"])
def test_cuts_of_other_models_hold_whatever_the_level_of_the_scores(moved: str) -> None:
    """Theirs or the model's own: both are calibrated first. The thresholds name the texts that they were tuned on."""
    theirs_NK, own_NK = (np.clip(PROBABILITIES_NK + shift, 0.001, 0.999) for shift in (0.0, 0.01))
    dev = Split(("x",) * 400, TARGETS_NK, LABELS, "dev")
    before = choose_thresholds(own_NK, dev, "f1", held_out=HeldOut(theirs_NK, TARGETS_NK, "train"))
    expected_NK = before.decide(own_NK)
    change = np.array([1.0, 0.5, 2.0]), np.array([2.0, 0.5, -1.0])
    if moved == "own":
        own_NK = apply_platt(own_NK, *change).astype(np.float32)
    else:
        theirs_NK = apply_platt(theirs_NK, *change).astype(np.float32)
    after = choose_thresholds(own_NK, dev, "f1", held_out=HeldOut(theirs_NK, TARGETS_NK, "train"))
    assert ("f1", "train") == (after.policy, after.data_sha256)
    assert (expected_NK == after.decide(own_NK)).mean() > 0.995


def test_cuts_are_chosen_on_the_held_out_texts_and_not_on_dev() -> None:
    dev = Split(("x",) * 400, TARGETS_NK, LABELS, "dev")
    fewer_NK = TARGETS_NK * (RNG.random((400, 3)) < 0.3)  # the same scores, but most of them are wrong
    on_dev, elsewhere = (
        choose_thresholds(PROBABILITIES_NK, dev, "f1", held_out=HeldOut(PROBABILITIES_NK, targets_NK, "train"))
        for targets_NK in (TARGETS_NK, fewer_NK.astype(np.float32))
    )
    assert np.allclose(choose_thresholds(PROBABILITIES_NK, dev, "f1").values, on_dev.values, atol=1e-4)
    assert not np.allclose(on_dev.values, elsewhere.values, atol=0.01)


def test_macro_f1_at_the_cuts_of_other_models_is_measured_on_texts_that_fitted_nothing() -> None:
    """Near that of the same model's own cuts; worse with cuts that do not fit; the same if all scores move."""
    held_out = HeldOut(PROBABILITIES_NK, TARGETS_NK, "train")
    found = cross_validate_transfer(held_out, PROBABILITIES_NK, TARGETS_NK)
    assert found["macro_f1"] == pytest.approx(cross_validate_macro_f1(PROBABILITIES_NK, TARGETS_NK)[0], abs=0.02)
    assert 0 < found["std"] < 0.05
    unlike = HeldOut(PROBABILITIES_NK, (TARGETS_NK * (RNG.random((400, 3)) < 0.1)).astype(np.float32), "train")
    assert cross_validate_transfer(unlike, PROBABILITIES_NK, TARGETS_NK)["macro_f1"] < found["macro_f1"] - 0.05
    moved_NK = apply_platt(PROBABILITIES_NK, np.ones(3), np.array([2.0, 0.5, -1.0])).astype(np.float32)
    assert found["macro_f1"] == pytest.approx(
        cross_validate_transfer(held_out, moved_NK, TARGETS_NK)["macro_f1"], abs=0.005
    )
