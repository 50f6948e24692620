"""A teacher: the probabilities that trained models give the training texts, in one small file to distill from.

A teacher is one model, or several whose probabilities are averaged. Each model reads every training text once; a
student can then train on the file as often as it likes, without the models. The file also holds the probabilities for
dev, which show how good the teacher is: no student trains on them.

A model that was trained on a text has also learnt its annotators' mistakes. Therefore each teacher can leave
one fold of the texts out and predict that fold alone (`folds.py`): together they cover all texts, and none predicts a
text that it has seen.

Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531). The
temperature is one: a sigmoid per label keeps the probabilities of a text's other labels visible next to the first.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_training.data.split import Split
from emotag_training.errors import TeacherError
from emotag_training.evaluation.evaluate import tokenize
from emotag_training.evaluation.metrics import Floats
from emotag_training.evaluation.prediction import predict
from emotag_training.evaluation.thresholds import HeldOut

FILE = "teacher.safetensors"
"""The file that a run writes if its model fits no artifact."""
NAME, DEV, MODELS = "probabilities", "dev", "models"


@dataclass(frozen=True)
class Teacher:
    """Probabilities for the training texts.

    Attributes:
        probabilities_NK: of every text and label, in the split's order; 0 if no model predicted the text.
        labels: the K label names, in column order.
        data_sha256: of the file that the texts were read from.
        versions: of the models.
        dev_MK: probabilities for dev; None in files from before they were stored.
        models_N: how many models predicted each text. None: all models predicted all texts.
        mixed: some models left out the texts that they predicted, and others had trained on them.
    """

    probabilities_NK: Floats
    labels: tuple[str, ...]
    data_sha256: str
    versions: tuple[str, ...]
    dev_MK: Floats | None = None
    models_N: npt.NDArray[np.int64] | None = None
    mixed: bool = False

    @property
    def models_per_text_N(self) -> npt.NDArray[np.int64]:
        """The number of models that predicted each text, [N]."""
        return np.full(len(self.probabilities_NK), len(self.versions)) if self.models_N is None else self.models_N

    def save(self, path: Path) -> None:
        """Write the file in half precision: 2 bytes for each text and label.

        Raises:
            OSError: it cannot be written.
        """
        about = {
            "labels": json.dumps(self.labels),
            "data_sha256": self.data_sha256,
            "versions": json.dumps(self.versions),
            "mixed": json.dumps(self.mixed),
        }
        kept: dict[str, npt.NDArray[Any]] = {NAME: self.probabilities_NK.astype(np.float16)}
        if self.dev_MK is not None:
            kept[DEV] = self.dev_MK.astype(np.float16)
        if self.models_N is not None:
            kept[MODELS] = self.models_N.astype(np.uint16)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(kept, path, metadata=about)


def collect_predictions(teachers: Sequence[Path], train: Split, dev: Split, *, device: str = "cpu") -> Teacher:
    """Return the average of all teachers: read the predictions that exist, and compute those of artifacts.

    Args:
        teachers: files that `save` wrote, out folders that contain one, artifacts' directories.
        device: as for `predict`.

    Raises:
        TeacherError: a file was made from other texts, or a model is named twice.
        ArtifactError: a path is neither a teacher nor an artifact.
        DataError: an artifact has other labels than the texts.
    """
    files = {path: path if path.is_file() else path / FILE for path in teachers}
    said = {path: load_teacher(file) for path, file in files.items() if file.is_file()}
    for teacher in said.values():  # before artifacts predict, which takes minutes
        _refuse_other(teacher, train, dev)
    return average_teachers(
        [said.get(path) or predict_both(artifact.load(path), train, dev, device=device) for path in teachers]
    )


def predict_both(trained: Artifact, train: Split, dev: Split, *, device: str = "cpu") -> Teacher:
    """Return the predictions of one artifact.

    Raises:
        DataError: the artifact has other labels than the texts.
    """
    of_train_NK, of_dev_MK = (predict(trained, tokenize(trained, split), device=device) for split in (train, dev))
    return Teacher(of_train_NK, train.labels, train.sha256, (trained.version,), dev_MK=of_dev_MK)


def average_teachers(teachers: Sequence[Teacher]) -> Teacher:
    """Return the mean over models of each text; a teacher of several models counts as often as it has models.

    Raises:
        TeacherError: a teacher was made from other texts or labels than the first, or a model is there twice.
    """
    first = teachers[0]
    for other in teachers[1:]:
        if _describe_texts(other) != _describe_texts(first):
            raise TeacherError(
                "the teachers were made from different texts or labels: run `emotag-train distill` with one --data"
            )
    all_versions = [version for teacher in teachers for version in teacher.versions]
    if len(set(all_versions)) < len(all_versions):
        twice = next(version for version in all_versions if all_versions.count(version) > 1)
        raise TeacherError(f"the model {twice} is among the teachers more than once")
    models = [len(teacher.versions) for teacher in teachers]
    of_dev = [teacher.dev_MK for teacher in teachers if teacher.dev_MK is not None]
    models_N = np.sum([teacher.models_per_text_N for teacher in teachers], axis=0)
    sum_NK = np.sum([teacher.models_per_text_N[:, None] * teacher.probabilities_NK for teacher in teachers], axis=0)
    return Teacher(
        (sum_NK / np.maximum(models_N, 1)[:, None]).astype(np.float32),
        first.labels,
        first.data_sha256,
        tuple(all_versions),
        dev_MK=np.average(of_dev, axis=0, weights=models).astype(np.float32) if len(of_dev) == len(teachers) else None,
        models_N=None if (models_N == len(all_versions)).all() else models_N,
        mixed=len({teacher.models_N is None for teacher in teachers}) > 1 or any(each.mixed for each in teachers),
    )


def load_teacher(path: Path) -> Teacher:
    """Read a file that `save` wrote.

    Raises:
        TeacherError: the file is missing or has another format.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about, probabilities_NK = file.metadata(), file.get_tensor(NAME).astype(np.float32)
            names = set(file.keys())
            dev_MK = file.get_tensor(DEV).astype(np.float32) if DEV in names else None
            models_N = file.get_tensor(MODELS).astype(np.int64) if MODELS in names else None
        labels, versions = (tuple(json.loads(about[key])) for key in ("labels", "versions"))
        mixed = json.loads(about.get("mixed", "false"))  # files from before thresholds were chosen on them
        return Teacher(
            probabilities_NK, labels, about["data_sha256"], versions, dev_MK=dev_MK, models_N=models_N, mixed=mixed
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TeacherError(f"{path} is not what `emotag-train distill` writes: {error}") from error


def find_unseen(teacher: Teacher, train: Split, dev: Split) -> tuple[Floats, Floats]:
    """Return the probabilities of train [N, K] and dev [M, K]: NaN for a text that every model was trained on.

    Raises:
        TeacherError: the teacher was made from other texts or labels.
    """
    _refuse_other(teacher, train, dev)
    # A run that left out a fold predicts that fold alone. A model that predicted all texts has trained on them.
    counts_N = np.zeros(len(train), np.int64) if teacher.models_N is None or teacher.mixed else teacher.models_N
    is_unseen_N = counts_N > 0
    of_dev_MK = np.full((len(dev), len(teacher.labels)), np.nan, np.float32)
    return (
        np.where(is_unseen_N[:, None], teacher.probabilities_NK, np.float32(np.nan)),
        of_dev_MK if teacher.dev_MK is None else teacher.dev_MK,
    )


def blend_targets(train: Split, teacher: Teacher, *, share: float) -> Split:
    """Return *train* with targets (1 - share) × annotators + share × teacher.

    With binary cross-entropy, whose value is linear in the target, this is the weighted sum of the two losses.

    Raises:
        TeacherError: the teacher was made from other texts or labels.
    """
    said_NK = _find_predictions(train, teacher)
    return replace(train, targets_NK=(1 - share) * train.targets_NK + np.float32(share) * said_NK)


def find_held_out(teacher: Teacher, train: Split) -> HeldOut | None:
    """Return the teacher's predictions for *train* if each model left out the texts that it predicted; None otherwise.

    Args:
        train: with the annotators' labels.

    Raises:
        TeacherError: the teacher was made from other texts or labels, or lacks some of these texts.
    """
    predicted_NK = _find_predictions(train, teacher)
    if teacher.models_N is None or teacher.mixed:  # a model that predicted all texts was trained on them
        return None
    return HeldOut(predicted_NK, train.targets_NK, train.sha256)


def _describe_texts(teacher: Teacher) -> tuple[object, ...]:
    return teacher.labels, teacher.data_sha256, len(teacher.probabilities_NK)


def _refuse_other(teacher: Teacher, train: Split, dev: Split) -> None:
    """Raise `TeacherError` if the teacher was made from other texts, or from only some of these."""
    _refuse_other_texts(train, teacher)
    if len(teacher.probabilities_NK) != len(train) or len(dev) != len(
        dev if teacher.dev_MK is None else teacher.dev_MK
    ):
        raise TeacherError("the teacher predicted only some of these texts: make it again with `emotag-train distill`")


def _refuse_other_texts(train: Split, teacher: Teacher) -> None:
    if teacher.labels != train.labels:
        raise TeacherError("the teacher has other labels than the training texts")
    if teacher.data_sha256 != train.sha256 or len(teacher.probabilities_NK) < len(train):
        raise TeacherError(
            "the teacher was made from other texts than these, or from another file of them: make it again with"
            " `emotag-train distill`"
        )


def _find_predictions(train: Split, teacher: Teacher) -> Floats:
    """Return the teacher's probabilities for these texts, [N, K]."""
    _refuse_other_texts(train, teacher)
    missing = int((teacher.models_per_text_N[: len(train)] == 0).sum())  # a run with a limit has fewer texts
    if missing:
        raise TeacherError(
            f"the teacher has no predictions for {missing:,} of the texts: join the runs of all folds with"
            " `emotag-train distill`"
        )
    return teacher.probabilities_NK[: len(train)]
