"""Trackers receive a run's recipe, loss and figures, and a tracker's failure is one line."""

import sys
from pathlib import Path

import mlflow
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from emotag_model import artifact
from emotag_training.errors import TrackerMissing
from tests.integration.training.test_training import run


def test_tensorboard_and_mlflow_show_what_training_json_says(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    out = tmp_path / "tracked"
    common = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--epochs", "2", "--precision", "fp32"]
    run("fit", *common, "--track", "tensorboard", "--track", "mlflow", "--out", str(out))
    epochs = artifact.load(out).training["epochs"]

    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    shown = [event.value for event in events.Scalars("epoch/roc_auc")]
    assert [epoch["roc_auc"] for epoch in epochs] == pytest.approx(shown)
    assert [20, 40] == [event.step for event in events.Scalars("train/loss")]

    tracked = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert ["FINISHED"] == [found.info.status for found in tracked]
    assert epochs[-1]["roc_auc"] == tracked[0].data.metrics["roc_auc"]
    assert "0.00015" == tracked[0].data.params["schedule.learning_rate"]


@pytest.mark.parametrize(
    ("tracker", "told"),
    [
        ("wandb", "--track wandb: unknown; use tensorboard or mlflow"),
        ("mlflow", r"mlflow is not installed; in the clone of emotag, run: pip install \./schemas '\.\[trackers\]'"),
    ],
)
def test_a_tracker_that_is_unknown_or_not_installed_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: str, told: str
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    common = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--precision", "fp32"]
    with pytest.raises(TrackerMissing, match=told):
        run("fit", *common, "--track", tracker, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
