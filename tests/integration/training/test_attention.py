"""A model with attention in its head: evaluated like any other, without figures of precisions that no engine has."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_training.data.table import load_split
from emotag_training.evaluation.evaluate import evaluate
from emotag_training.export.onnx_folder import export_onnx


@pytest.fixture
def with_attention(toy: Path) -> Artifact:
    """The toy model with an untrained attention in its head."""
    torch.manual_seed(0)
    made = artifact.load(toy)
    config = replace(made.config, attention_heads=made.config.n_heads)
    weights = DistilBertCNN(config).weights()
    return replace(made, config=config, weights={**weights, **made.weights})


def test_it_is_evaluated_without_int8(folder: Path, toy: Path, with_attention: Artifact) -> None:
    """int8 is computed by engines that do not support attention."""
    dev = load_split(folder / "dev.tsv")
    plain, found = evaluate(artifact.load(toy), dev), evaluate(with_attention, dev)
    assert {"int8"} == set(plain) - set(found)
    assert found["roc_auc"] is not None
    assert found["roc_auc"] != plain["roc_auc"]


def test_it_is_not_exported_as_another_model(with_attention: Artifact, tmp_path: Path) -> None:
    """The ONNX graph has no attention in its head: the export compares it with the reference, and refuses."""
    artifact.save(with_attention, tmp_path / "source", card="", dtype="fp32")
    with pytest.raises(ValueError, match="is not the model: its logits differ"):
        export_onnx(tmp_path / "source", tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
