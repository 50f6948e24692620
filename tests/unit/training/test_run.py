"""The preparation of a run from its recipe, before training."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from emotag_training import run
from emotag_training.errors import OutputError, RecipeError
from emotag_training.presets import apply_changes
from emotag_training.recipe import Recipe


class FakeEncoder:
    """Records the settings of the model that is built on it."""

    only_teaches = False

    def __init__(self) -> None:
        self.settings = {"n_layers": 2}
        self.others: dict[str, Any] = {}

    def grow(self, **others: Any) -> None:
        if others["max_tokens"] > 512:
            raise ValueError("max_tokens 1000 is not within [3, 512]")
        self.others = others


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    fake = FakeEncoder()
    monkeypatch.setattr(run, "load_encoder", lambda _: fake)
    monkeypatch.setattr(run, "narrow_kernels", lambda *_: None)
    return fake


def test_a_head_has_attention_only_if_the_recipe_sets_its_heads(encoder: FakeEncoder) -> None:
    run.build_model(Recipe(), ("joy",))
    assert "attention_heads" not in encoder.others
    run.build_model(apply_changes(Recipe(), {"head.attention_heads": 4}), ("joy",))
    assert 4 == encoder.others["attention_heads"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder.trainable_layers": 3}, "encoder.trainable_layers = 3: encoder 'minilm' has 2"),
        ({"encoder.max_tokens": 1000}, "does not fit the recipe: max_tokens 1000"),
    ],
)
def test_a_recipe_that_the_encoder_cannot_follow_is_refused(
    encoder: FakeEncoder, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        run.build_model(apply_changes(Recipe(), changes), ("joy",))
    assert {} == encoder.others


@pytest.fixture
def mine(tmp_path: Path) -> Recipe:
    """The recipe of a run on one file, whose labels look like rich's markup."""
    rows = "".join(f"text {row},{'so [/joy]' if row % 2 else 'calm'}\n" for row in range(40))
    (tmp_path / "mine.csv").write_text(f"text,labels\n{rows}")
    return apply_changes(Recipe(), {"data.source": str(tmp_path / "mine.csv"), "run.device": "cpu"})


def test_a_run_that_writes_no_model_is_refused_before_training_if_the_caller_needs_one(
    encoder: FakeEncoder, mine: Recipe, tmp_path: Path
) -> None:
    """For example, a run with mpnet; the report before shows the names of labels as they are."""
    encoder.only_teaches = True
    console, out = Console(file=io.StringIO(), width=200), tmp_path / "out"
    with pytest.raises(RecipeError, match=r"encoder\.name = 'minilm': such a run writes no model"):
        run.train(mine, out, command=(), resume=False, trackers=(), console=console, needs_artifact=True)
    assert not out.exists()
    assert isinstance(console.file, io.StringIO)
    assert "so [/joy] (" in console.file.getvalue()


def test_a_run_does_not_overwrite_the_model_that_it_starts_from(
    encoder: FakeEncoder, mine: Recipe, tmp_path: Path
) -> None:
    recipe = apply_changes(mine, {"encoder.name": str(tmp_path / "first")})
    console = Console(file=io.StringIO())
    with pytest.raises(OutputError, match="it is the model itself"):
        run.train(recipe, tmp_path / "first", command=(), resume=False, trackers=(), console=console)


def test_a_recipe_cannot_augment_texts_whose_frozen_layers_are_cached(encoder: FakeEncoder) -> None:
    changes = {"encoder.cache_frozen": True, "encoder.trainable_layers": 1, "encoder.token_masking": 0.0}
    with pytest.raises(RecipeError, match="set augmentation to 0"):
        run.build_model(apply_changes(Recipe(), {**changes, "augmentation.typos": 0.1}), ("joy",))
