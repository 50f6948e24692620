"""The pipeline of transformers, as its documentation shows it: a list of texts and a batch size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import Competitor, Probabilities, Setting, hugging_face_folder

NAME = "transformers pipeline"
SIZE = 32


def build(setting: Setting) -> Competitor:
    """Return `pipeline("text-classification")` with the scores of all labels."""
    from transformers import pipeline

    folder = str(hugging_face_folder.export(setting.exports))
    classify: Any = pipeline("text-classification", model=folder, device="cpu", trust_remote_code=True, top_k=None)
    labels = setting.exports.trained.config.labels

    def run(texts: Sequence[str]) -> Probabilities:
        return to_probabilities(classify(list(texts), batch_size=SIZE, truncation=True), labels)

    run(setting.texts)
    return Competitor(NAME, "texts", run, f"text-classification, float32, batches of {SIZE}")  # type: ignore[arg-type]


def to_probabilities(output: Sequence[Sequence[Mapping[str, Any]]], labels: Sequence[str]) -> Probabilities:
    """Return the pipeline's pairs of label and score as an array [B, K]."""
    column = {label: number for number, label in enumerate(labels)}
    result_BK = np.zeros((len(output), len(labels)), dtype=np.float32)
    for row, pairs in enumerate(output):
        for pair in pairs:
            result_BK[row, column[pair["label"]]] = pair["score"]
    return result_BK
