"""The command `audit`: its columns, its options, and names with brackets."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from emotag_training.cli import audit as command
from emotag_training.cli.audit import audit
from emotag_training.data.columns import Columns
from emotag_training.data.table import read_rows
from emotag_training.errors import DataError, TeacherError
from emotag_training.evaluation import prediction
from tests.numerics.conftest import tiny_tokenizer

LABELS = ("so [/joy]", "calm")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file whose name and labels look like rich's markup."""
    rows = "".join(f"text {row},{LABELS[row % 2]}\n" for row in range(40))
    (tmp_path / "mine[copy].csv").write_text(f"body,mood\n{rows}")
    return tmp_path / "mine[copy].csv"


@pytest.fixture(autouse=True)
def trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with other columns than the default, which contradicts each label."""
    config = SimpleNamespace(labels=LABELS, max_tokens=40)
    training = {"recipe": {"data": {"text_column": "body", "label_columns": "mood"}}}
    model = SimpleNamespace(tokenizer=tiny_tokenizer(), config=config, training=training)
    monkeypatch.setattr(command, "load_model", lambda _: model)

    def predict(_: Any, texts: Any, **__: Any) -> Any:
        return np.float32(1) - texts.split.targets_NK

    monkeypatch.setattr(prediction, "predict", predict)


def test_names_are_printed_as_they_are(
    mine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    audit(mine, model=Path("runs/mine"), device="cpu")
    shown = capsys.readouterr().out
    assert "mine[copy].csv: 40 texts" in shown
    assert "so [/joy] is missing" in shown


def test_a_file_on_all_of_which_the_model_was_trained_is_refused(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, the file train.csv of a folder."""
    columns = {"text_column": "body", "label_columns": "mood"}
    record = {"data": {"train_sha256": read_rows(mine, Columns.parse("body", "mood")).sha256}}
    training = record | {"recipe": {"data": columns}}
    seen = SimpleNamespace(
        tokenizer=tiny_tokenizer(), config=SimpleNamespace(labels=LABELS, max_tokens=40), training=training
    )
    monkeypatch.setattr(command, "load_model", lambda _: seen)
    with pytest.raises(DataError, match=r"was trained on all of its texts.*--predictions"):
        audit(mine, model=Path("runs/mine"), device="cpu")


def test_the_columns_are_those_that_the_model_was_trained_on(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit(mine, model=Path("runs/mine"), device="cpu", as_json=True)
    assert 40 == json.loads(capsys.readouterr().out)["predicted"]
    audit(mine, text_column="body", label_columns="mood", as_json=True)
    assert 40 == json.loads(capsys.readouterr().out)["texts"]
    with pytest.raises(DataError, match="names no column text"):
        audit(mine)
    with pytest.raises(DataError, match="names no column title"):
        audit(mine, text_column="title", model=Path("runs/mine"))


def test_a_model_and_predictions_exclude_each_other(mine: Path) -> None:
    with pytest.raises(TeacherError, match=r"--predictions runs/teacher\.safetensors: --model finds .* use one"):
        audit(mine, model=Path("runs/mine"), predictions=Path("runs/teacher.safetensors"))
