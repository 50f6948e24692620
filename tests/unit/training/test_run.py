"""The preparation of a run from its recipe, before training."""

from pathlib import Path
from typing import Any

import pytest

from emotag_training import run
from emotag_training.errors import DataError, RecipeError
from emotag_training.presets import apply_changes
from emotag_training.recipe import DataSection, DistillationSection, Recipe


class FakeEncoder:
    """Records the settings of the model that is built on it."""

    only_teaches = False

    def __init__(self) -> None:
        self.settings = {"n_layers": 2}
        self.others: dict[str, Any] = {}

    def grow(self, **others: Any) -> None:
        if others["max_tokens"] > 512:
            raise ValueError("max_tokens 1000 is not within [2, 512]")
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


def write_texts(folder: Path, *, dev: str) -> DataSection:
    (folder / "train.tsv").write_text("text\tlabels\n" + "glad\tjoy\nsour\tanger\n" * 20)
    (folder / "dev.tsv").write_text("text\tlabels\n" + dev)
    (folder / "labels.txt").write_text("joy\nanger\n")
    return DataSection(source=str(folder), limit=32)


def test_a_limit_keeps_the_first_rows_of_both_splits(tmp_path: Path) -> None:
    texts = run.read_texts(write_texts(tmp_path, dev="glad\tjoy\nsour\tanger\n" * 20), DistillationSection())
    assert (32, 32) == (len(texts.train), len(texts.dev))
    assert texts.train is texts.annotated
    assert texts.teacher is None


@pytest.mark.parametrize(("limit", "subject"), [(None, "its texts"), (32, "the first 32 of its texts")])
def test_dev_texts_that_all_have_the_same_labels_are_refused_with_what_dev_needs(
    tmp_path: Path, limit: int | None, subject: str
) -> None:
    data = write_texts(tmp_path, dev="glad\tjoy\n" * 32 + "sour\tanger\n" * bool(limit))
    with pytest.raises(DataError, match=rf"dev\.tsv: {subject} all have the same labels.*; for at least one") as caught:
        run.read_texts(data.model_copy(update={"limit": limit}), DistillationSection())
    assert "texts with it and texts without it: split all texts at random" in str(caught.value)
    assert str(caught.value).endswith("raise data.limit") == bool(limit)
