"""Hugging Face's pipeline, as its documentation shows it: a list of texts and a batch size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import Probabilities, Rival, Setting, hugging_face_folder

NAME = "transformers pipeline"
SIZE = 32


def build(setting: Setting) -> Rival:
    """`pipeline("text-classification")` with all labels' scores."""
    from transformers import pipeline

    folder = str(hugging_face_folder.path(setting.exports))
    classify: Any = pipeline("text-classification", model=folder, device="cpu", trust_remote_code=True, top_k=None)
    labels = setting.exports.trained.config.labels

    def run(texts: Sequence[str]) -> Probabilities:
        return scores(classify(list(texts), batch_size=SIZE, truncation=True), labels)

    run(setting.texts)
    return Rival(NAME, "texts", run, f"text-classification, float32, batches of {SIZE}")  # type: ignore[arg-type]


def scores(found: Sequence[Sequence[Mapping[str, Any]]], labels: Sequence[str]) -> Probabilities:
    """The pipeline's answers, label and score by label and score, as [B, K]."""
    column = {label: number for number, label in enumerate(labels)}
    result_BK = np.zeros((len(found), len(labels)), dtype=np.float32)
    for row, answers in enumerate(found):
        for answer in answers:
            result_BK[row, column[answer["label"]]] = answer["score"]
    return result_BK
