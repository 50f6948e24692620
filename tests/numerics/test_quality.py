"""The figures of the shipped model are what its card says, measured anew."""

from pathlib import Path

import pytest

from model.artifact import Artifact
from training.evaluate import predict
from training.labelled import load_split
from training.metrics import report


@pytest.mark.timeout(300)
def test_the_shipped_model_reaches_its_figures_on_dev(shipped: Artifact, goemotions: Path) -> None:
    dev = load_split(goemotions / "dev.tsv")
    figures = report(predict(shipped, dev), dev.targets_NK, shipped.thresholds.values, dev.labels)
    stored = shipped.metrics["dev"]
    assert dev.sha256 == stored["data_sha256"]
    for name in ("macro_f1_cross_fitted", "roc_auc", "mean_average_precision"):
        assert stored[name] == pytest.approx(figures[name], abs=2e-3)
    assert figures["macro_f1_cross_fitted"] >= 0.545
    assert figures["roc_auc"] >= 0.937
    assert figures["mean_average_precision"] >= 0.55
    assert figures["at_0.51"]["mcc_flattened"] >= 0.585
    assert stored["calibration"]["as_is"]["largest"] <= 0.02
