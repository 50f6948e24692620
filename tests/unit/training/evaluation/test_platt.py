"""Platt scaling: it is fitted, applied, inverted, and folded into the last layer."""

import numpy as np
import torch

from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_training.evaluation.platt import apply_platt, fit_platt, fold_platt, invert_platt

RNG = np.random.default_rng(2)
TRUE_NK = (0.02 + 0.96 * RNG.random((6000, 2)) ** 2).astype(np.float32)
TARGETS_NK = (RNG.random((6000, 2)) < TRUE_NK).astype(np.float32)
UNTRUE_NK = apply_platt(TRUE_NK, np.array([2.0, 0.5]), np.array([0.5, -1.0]))


def test_platt_scaling_finds_what_was_done_to_the_logits() -> None:
    scale_K, shift_K = fit_platt(UNTRUE_NK, TARGETS_NK)
    assert np.allclose([0.5, 2.0], scale_K, atol=0.15)
    assert np.allclose([-0.25, 2.0], shift_K, atol=0.2)


def test_the_inverse_gives_the_models_own_probabilities_again() -> None:
    pair = np.array([2.0, 0.5]), np.array([0.5, -1.0])
    assert np.allclose(TRUE_NK, invert_platt(apply_platt(TRUE_NK, *pair), *pair), atol=1e-6)


def test_labels_without_positives_and_labels_turned_upside_down_stay_finite_and_upright() -> None:
    targets_NK = np.stack([np.zeros(6000), TRUE_NK[:, 1] < 0.5], axis=1).astype(np.float32)
    scale_K, shift_K = fit_platt(TRUE_NK, targets_NK)
    assert np.isfinite(scale_K).all()
    assert np.isfinite(shift_K).all()
    assert (scale_K > 0).all()
    assert (1.0, 0.0) == (scale_K[1], shift_K[1])


def test_folded_weights_give_the_calibrated_logits_exactly() -> None:
    """To the rounding of float32, and only the last layer changes."""
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=64, max_position_embeddings=128, dim=48, n_layers=1, n_heads=4, hidden_dim=96,
                         labels=("a", "b"))  # fmt: skip
    weights = DistilBertCNN(config).weights()
    scale_K, shift_K = np.array([0.5, 1.7]), np.array([-0.3, 2.0])
    changed = fold_platt(weights, scale_K, shift_K)
    same = {name for name in weights if np.array_equal(weights[name], changed[name])}
    assert {"classifier.weight", "classifier.bias"} == weights.keys() - same
    ids_BL = torch.randint(5, 60, (7, 12))
    with torch.inference_mode():
        before, after = (
            DistilBertCNN.of(config, of).eval()(ids_BL, torch.ones_like(ids_BL, dtype=torch.bool)).numpy()
            for of in (weights, changed)
        )
    assert np.allclose(before * scale_K + shift_K, after, atol=1e-5)
