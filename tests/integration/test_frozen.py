"""Hidden states of frozen layers, computed once, train the same model as layers that are run in every step."""

from pathlib import Path
from typing import Any

import pytest
import torch

from model.tokens import TokenIds, Tokens
from tests.integration.test_resume import PLAIN, train
from training.batches import rectangle
from training.frozen import HiddenStates, Upper
from training.labelled import load_split
from training.recipe import Recipe
from training.speed import times_the_original
from training.trunk import load_trunk

STEADY = PLAIN.model_copy(update={"head_dropout": 0.0, "trunk_dropout": 0.0})


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_a_cached_run_comes_to_the_weights_of_one_that_computes_all(folder: Path, tmp_path: Path, layers: int) -> None:
    """Whether only the head learns, one layer of the two, or both on frozen embeddings."""
    recipe = STEADY.model_copy(update={"trainable_layers": layers})
    expected = train(folder, tmp_path / "all", recipe)
    found = train(folder, tmp_path / "cached", recipe.model_copy(update={"cache_frozen": True}))
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

    monkeypatch.setattr("training.fit.HiddenStates", noted)
    changes = {"trainable_layers": 0, "cache_frozen": True, "epochs": 1, "precision": precision}
    train(folder, tmp_path, STEADY.model_copy(update=changes))
    assert [precision] == asked


def test_in_bf16_hidden_states_are_nearly_those_of_fp32_and_kept_in_fp32(folder: Path) -> None:
    start = load_trunk(str(folder / "trunk"))
    model = start.grow(labels=("a", "b"), max_tokens=16)
    texts = Tokens(start.tokenizer, max_tokens=16)(load_split(folder / "train.tsv").texts[:20])
    device, rows = torch.device("cpu"), torch.arange(20).numpy()
    exact_BLC, _ = HiddenStates(model, texts, 2, device).batch(rows, device)
    rounded_BLC, _ = HiddenStates(model, texts, 2, device, precision="bf16").batch(rows, device)
    assert torch.float32 == rounded_BLC.dtype
    assert 0 < (exact_BLC - rounded_BLC).abs().max() < 0.1


def test_what_a_step_is_worth_is_not_said_where_it_cannot_be_measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cached steps do less than those that are measured; and a GPU that holds those may not hold the original's."""
    model, device = load_trunk(str(folder / "trunk")).grow(labels=("a", "b"), max_tokens=128), torch.device("cpu")
    texts = [TokenIds(tuple(range(5, 15)), truncated=False)] * 4
    whole = Recipe(batch_size=2, precision="fp32")
    assert times_the_original(model, texts, whole, device) is not None
    cached = whole.model_copy(update={"cache_frozen": True, "trainable_layers": 1, "hidden_tokens": 0.0})
    assert times_the_original(model, texts, cached, device) is None

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("training.speed.rectangle", full)
    assert times_the_original(model, texts, whole, device) is None


def test_the_upper_layers_give_the_models_own_logits(folder: Path) -> None:
    start = load_trunk(str(folder / "trunk"))
    model = start.grow(labels=("a", "b"), max_tokens=16).eval()
    texts = Tokens(start.tokenizer, max_tokens=16)(load_split(folder / "train.tsv").texts[:100])
    device = torch.device("cpu")
    states = HiddenStates(model, texts, 1, device)
    rows = torch.randperm(100).numpy()[:30]
    with torch.inference_mode():
        expected = model(*rectangle([texts[row] for row in rows], model.config, device=device))
        found = Upper(model, 1)(*states.batch(rows, device))
    assert (expected - found).abs().max() < 1e-5
