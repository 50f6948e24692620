"""What a teacher says of the training texts: its probabilities, kept in one small file, for a student to learn from.

A teacher is one model or several whose probabilities are averaged. It reads every training text once; however often
a student is then trained on what it said, the teacher need not be there any more. What it says of dev lies beside
that, to show what a teacher is worth: no student learns from it.

Who has learnt from a text has learnt its raters' mistakes too. So models may each leave a fold of the texts out and
speak of that fold alone (`training/folds.py`): together they speak of all texts, none of them of one that it has seen.

Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531); at a
temperature of one, for with sigmoids the probabilities of a text's other labels are not lost beside the first.
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

from model import artifact
from model.artifact import Artifact

from .data import Split
from .evaluate import predict
from .metrics import Floats

FILE = "teacher.safetensors"
"""What a run leaves of a model that no artifact holds."""
NAME, DEV, MODELS = "probabilities", "dev", "models"


class TeacherError(Exception):
    """A teacher's file that cannot be used: which one, and why."""


@dataclass(frozen=True)
class Teacher:
    """What was said of the training texts.

    Attributes:
        probabilities_NK: of every text and label, in the split's order; 0 where no model speaks.
        labels: the K label names, in column order.
        data_sha256: of the file that the texts were read from.
        versions: of the models that said it.
        dev_MK: what they say of dev; None in files of before this was kept.
        models_N: how many of them speak of each text. None: all of all.
    """

    probabilities_NK: Floats
    labels: tuple[str, ...]
    data_sha256: str
    versions: tuple[str, ...]
    dev_MK: Floats | None = None
    models_N: npt.NDArray[np.int64] | None = None

    @property
    def speaking_N(self) -> npt.NDArray[np.int64]:
        """How many models speak of each text."""
        return np.full(len(self.probabilities_NK), len(self.versions)) if self.models_N is None else self.models_N

    def save(self, path: Path) -> None:
        """Write the file, with half precision: 2 bytes for a text and label.

        Raises:
            OSError: it cannot be written.
        """
        about = {
            "labels": json.dumps(self.labels),
            "data_sha256": self.data_sha256,
            "versions": json.dumps(self.versions),
        }
        kept: dict[str, npt.NDArray[Any]] = {NAME: self.probabilities_NK.astype(np.float16)}
        if self.dev_MK is not None:
            kept[DEV] = self.dev_MK.astype(np.float16)
        if self.models_N is not None:
            kept[MODELS] = self.models_N.astype(np.uint16)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(kept, path, metadata=about)


def heard(teachers: Sequence[Path], train: Split, dev: Split) -> Teacher:
    """What all of them say on average: what each has already said is read, and an artifact is asked.

    Args:
        teachers: files that `save` wrote, folders in which a run left one, artifacts' directories.

    Raises:
        TeacherError: one was asked about other texts, or a model is among them twice.
        ArtifactError: one is neither.
        ValueError: an artifact has other labels than the texts.
    """
    files = {path: path if path.is_file() else path / FILE for path in teachers}
    said = {path: load_teacher(file) for path, file in files.items() if file.is_file()}
    for teacher in said.values():  # before others are asked, which takes minutes
        _refuse_other(teacher, train, dev)
    return mean([said.get(path) or ask(artifact.load(path), train, dev) for path in teachers])


def ask(trained: Artifact, train: Split, dev: Split) -> Teacher:
    """What one artifact says.

    Raises:
        ValueError: it has other labels than the texts.
    """
    return Teacher(
        predict(trained, train), train.labels, train.sha256, (trained.version,), dev_MK=predict(trained, dev)
    )


def mean(teachers: Sequence[Teacher]) -> Teacher:
    """What several say on average of each text; who speaks for several models of it weighs as many.

    Raises:
        TeacherError: they were asked about other texts or labels than the first, or a model is there twice.
    """
    first = teachers[0]
    for other in teachers[1:]:
        if _asked_about(other) != _asked_about(first):
            raise TeacherError("the teachers were asked about different texts or labels: ask them all about the same")
    all_versions = [version for teacher in teachers for version in teacher.versions]
    if len(set(all_versions)) < len(all_versions):
        twice = next(version for version in all_versions if all_versions.count(version) > 1)
        raise TeacherError(f"the model {twice} is among the teachers more than once")
    models = [len(teacher.versions) for teacher in teachers]
    of_dev = [teacher.dev_MK for teacher in teachers if teacher.dev_MK is not None]
    models_N = np.sum([teacher.speaking_N for teacher in teachers], axis=0)
    sum_NK = np.sum([teacher.speaking_N[:, None] * teacher.probabilities_NK for teacher in teachers], axis=0)
    return Teacher(
        (sum_NK / np.maximum(models_N, 1)[:, None]).astype(np.float32),
        first.labels,
        first.data_sha256,
        tuple(all_versions),
        dev_MK=np.average(of_dev, axis=0, weights=models).astype(np.float32) if len(of_dev) == len(teachers) else None,
        models_N=None if (models_N == len(all_versions)).all() else models_N,
    )


def load_teacher(path: Path) -> Teacher:
    """Read what `save` wrote.

    Raises:
        TeacherError: it is no such file.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about, probabilities_NK = file.metadata(), file.get_tensor(NAME).astype(np.float32)
            names = set(file.keys())
            dev_MK = file.get_tensor(DEV).astype(np.float32) if DEV in names else None
            models_N = file.get_tensor(MODELS).astype(np.int64) if MODELS in names else None
        labels, versions = (tuple(json.loads(about[key])) for key in ("labels", "versions"))
        return Teacher(probabilities_NK, labels, about["data_sha256"], versions, dev_MK=dev_MK, models_N=models_N)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TeacherError(f"{path} is not what `emotag-train teach` writes: {error}") from error


def taught(train: Split, teacher: Teacher, *, share: float) -> Split:
    """*train* with targets that are the raters' by 1 - share and the teacher's by *share*.

    With binary cross-entropy, whose value is linear in the target, this is the weighted sum of the two losses.

    Raises:
        TeacherError: the teacher spoke of other texts or labels.
    """
    said_NK = _said_of(train, teacher)
    return replace(train, targets_NK=(1 - share) * train.targets_NK + np.float32(share) * said_NK)


def corrected(train: Split, teacher: Teacher) -> Split:
    """*train* with the teacher's probability for each label, given or not, that the teacher confidently contradicts.

    For each label apart: a text that has it not is contradicted where the teacher is as sure of the label as on average
    of texts that have it, and the other way round; where both are so, the likelier one holds. Texts with a share of a
    label are left as they are: their raters are known to disagree.

    The method wants probabilities of a model that has not seen the texts. A teacher's are such only if it was trained
    on others; one that was trained on these very texts has learnt some of the mistakes by heart, and contradicts fewer.

    Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"
    (arXiv:1911.00068), the off-diagonals of the confident joint, for the two classes that each label is; they leave
    such texts out.

    Raises:
        TeacherError: the teacher spoke of other texts or labels.
    """
    said_NK, targets_NK = _said_of(train, teacher), train.targets_NK
    has_NK, lacks_NK = targets_NK == 1, targets_NK == 0
    yes_K = (said_NK * has_NK).sum(axis=0) / np.maximum(has_NK.sum(axis=0), 1)
    no_K = ((1 - said_NK) * lacks_NK).sum(axis=0) / np.maximum(lacks_NK.sum(axis=0), 1)
    judged_K = has_NK.any(axis=0) & lacks_NK.any(axis=0)
    surely_NK, surely_not_NK = judged_K & (said_NK >= yes_K), judged_K & (1 - said_NK >= no_K)
    wrongly_given_NK = has_NK & surely_not_NK & ~(surely_NK & (said_NK >= 0.5))
    wrongly_left_NK = lacks_NK & surely_NK & ~(surely_not_NK & (said_NK <= 0.5))
    return replace(train, targets_NK=np.where(wrongly_given_NK | wrongly_left_NK, said_NK, targets_NK))


def _asked_about(teacher: Teacher) -> tuple[object, ...]:
    return teacher.labels, teacher.data_sha256, len(teacher.probabilities_NK)


def _refuse_other(teacher: Teacher, train: Split, dev: Split) -> None:
    """See that a teacher was asked about these very texts, all of them."""
    _refuse_other_texts(train, teacher)
    if len(teacher.probabilities_NK) != len(train) or len(dev) != len(
        dev if teacher.dev_MK is None else teacher.dev_MK
    ):
        raise TeacherError(
            "the teacher was asked about some of these texts only: ask it again with `emotag-train teach`"
        )


def _refuse_other_texts(train: Split, teacher: Teacher) -> None:
    if teacher.labels != train.labels:
        raise TeacherError("the teacher has other labels than the training texts")
    if teacher.data_sha256 != train.sha256 or len(teacher.probabilities_NK) < len(train):
        raise TeacherError(
            "the teacher was asked about other texts than these, or another file of them: ask it again with"
            " `emotag-train teach`"
        )


def _said_of(train: Split, teacher: Teacher) -> Floats:
    """The teacher's probabilities of these very texts, [N, K]."""
    _refuse_other_texts(train, teacher)
    unheard = int((teacher.speaking_N[: len(train)] == 0).sum())  # fewer texts than its own where a limit is set
    if unheard:
        raise TeacherError(
            f"the teacher says nothing of {unheard:,} of the texts: join the runs of all folds by `emotag-train teach`"
        )
    return teacher.probabilities_NK[: len(train)]
