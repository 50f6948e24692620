"""Paths and names are checked before anything is loaded."""

import os
from pathlib import Path

import pytest

from emotag_training.cli.checks import check_data_set, check_encoder, check_run
from emotag_training.encoders.names import ORIGINS
from emotag_training.errors import DataError, EncoderError, OutputError
from emotag_training.recipe import Recipe


@pytest.mark.parametrize("name", ORIGINS)
def test_a_short_name_is_accepted_although_a_folder_has_the_same_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    check_encoder(name)
    with pytest.raises(EncoderError, match=f"--encoder ./{name}: it has no config.json"):
        check_encoder(f"./{name}")


def test_a_split_with_two_files_is_reported_before_either_is_read(tmp_path: Path) -> None:
    for name in ("train.csv", "dev.csv", "dev.tsv"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"contains dev\.tsv and dev\.csv: remove all but one"):
        check_data_set(str(tmp_path))


@pytest.mark.parametrize("name", ["", "runs/mine"])
def test_a_directory_without_the_permission_to_write_is_reported_before_the_training(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked of a double: root, which runs these tests in CI, may write everywhere."""
    asked: list[tuple[Path, int]] = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    with pytest.raises(OutputError, match=f"you may not write to {tmp_path}; name another directory"):
        check_run(Recipe(), tmp_path / name, ())
    assert [(tmp_path, os.W_OK | os.X_OK)] == asked


@pytest.mark.parametrize("data", ["goemotions", "kaggle", "datasets:someone/else"])
def test_data_to_download_is_not_checked(data: str) -> None:
    check_data_set(data)
