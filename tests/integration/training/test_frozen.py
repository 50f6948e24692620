"""Hidden states of frozen layers that are computed once train the same model as layers that run in every step."""

from pathlib import Path
from typing import Any

import pytest
import torch

from emotag_model.forward import pad_on_device
from emotag_model.tokens import Tokens
from emotag_training.data.table import load_split
from emotag_training.encoders.pretrained import load_encoder
from emotag_training.loop.frozen_layers import HiddenStates, Upper
from emotag_training.presets import apply_changes
from tests.integration.training.test_resume import PLAIN, train

STEADY = apply_changes(PLAIN, {"head.dropout": 0.0, "encoder.dropout": 0.0})


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_a_cached_run_comes_to_the_weights_of_one_that_computes_all(folder: Path, tmp_path: Path, layers: int) -> None:
    """If only the head trains, one layer of two, or both on frozen embeddings."""
    recipe = apply_changes(STEADY, {"encoder.trainable_layers": layers})
    expected = train(folder, tmp_path / "all", recipe)
    found = train(folder, tmp_path / "cached", apply_changes(recipe, {"encoder.cache_frozen": True}))
    others = found.model.state_dict()
    for name, values in expected.model.state_dict().items():
        assert (values - others[name]).abs().max() < 1e-4, name
    assert [epoch["train_loss"] for epoch in expected.history] == pytest.approx(
        [epoch["train_loss"] for epoch in found.history], abs=1e-4
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_frozen_layers_are_run_in_the_precision_of_the_recipe(
    folder: Path, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def noted(*given: Any, **named: Any) -> HiddenStates:
        asked.append(named["precision"])
        return HiddenStates(*given, **named)

    monkeypatch.setattr("emotag_training.loop.fit.HiddenStates", noted)
    changes = {
        "encoder.trainable_layers": 0,
        "encoder.cache_frozen": True,
        "schedule.epochs": 1,
        "run.precision": precision,
    }
    train(folder, tmp_path, apply_changes(STEADY, changes))
    assert [precision] == asked


def test_in_bf16_hidden_states_are_nearly_those_of_fp32_and_kept_in_fp32(folder: Path) -> None:
    start = load_encoder(str(folder / "encoder"))
    model = start.grow(labels=("a", "b"), max_tokens=16)
    texts = Tokens(start.tokenizer, max_tokens=16)(load_split(folder / "train.tsv").texts[:20])
    device, rows = torch.device("cpu"), torch.arange(20).numpy()
    exact_BLC, _ = HiddenStates(model, texts, 2, device).batch(rows, device)
    rounded_BLC, _ = HiddenStates(model, texts, 2, device, precision="bf16").batch(rows, device)
    assert torch.float32 == rounded_BLC.dtype
    assert 0 < (exact_BLC - rounded_BLC).abs().max() < 0.1


def test_the_upper_layers_give_the_models_own_logits(folder: Path) -> None:
    start = load_encoder(str(folder / "encoder"))
    model = start.grow(labels=("a", "b"), max_tokens=16).eval()
    texts = Tokens(start.tokenizer, max_tokens=16)(load_split(folder / "train.tsv").texts[:100])
    device = torch.device("cpu")
    states = HiddenStates(model, texts, 1, device)
    rows = torch.randperm(100).numpy()[:30]
    with torch.inference_mode():
        expected = model(*pad_on_device([texts[row] for row in rows], model.config, device=device))
        found = Upper(model, 1)(*states.batch(rows, device))
    assert (expected - found).abs().max() < 1e-5
