"""The command `distill`: it reads the texts as the recipe of the teachers does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotag_training.cli.distill import distill
from emotag_training.data.split import Split
from emotag_training.distillation import teacher
from emotag_training.presets import apply_changes
from emotag_training.recipe import FILE, Recipe


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the splits that the teachers predict; no model is loaded."""
    sizes: list[int] = []

    def predict(_: Any, train: Split, dev: Split, **__: Any) -> teacher.Teacher:
        sizes.extend((len(train), len(dev)))
        return teacher.Teacher(np.zeros((len(train), 2), np.float32), train.labels, train.sha256, ("1",))

    monkeypatch.setattr(teacher, "collect_predictions", predict)
    return sizes


@pytest.mark.parametrize("first", ["fold-1", "stored.safetensors"])
def test_the_columns_are_those_of_the_first_teacher_with_a_recipe(tmp_path: Path, texts: list[int], first: str) -> None:
    rows = "".join(f"text {row},{'joy' if row % 2 else 'anger'}\n" for row in range(40))
    (tmp_path / "mine.csv").write_text(f"body,mood\n{rows}")
    (tmp_path / "stored.safetensors").touch()
    (tmp_path / "fold-1").mkdir()
    recipe = apply_changes(Recipe(), {"data.text_column": "body", "data.label_columns": "mood"})
    (tmp_path / "fold-1" / FILE).write_text(recipe.toml())
    out = tmp_path / "teacher.safetensors"
    distill([tmp_path / first, tmp_path / "fold-1"], out=out, data=str(tmp_path / "mine.csv"), device="cpu")
    assert [30, 10] == texts
    assert out.is_file()
