"""What a teacher says of the training texts: its probabilities, kept in one small file, for a student to learn from.

A teacher is one artifact or several whose probabilities are averaged. It reads every training text once; however often
a student is then trained on what it said, the teacher need not be there any more.

Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531); at a
temperature of one, for with sigmoids the probabilities of a text's other labels are not lost beside the first.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from model.artifact import Artifact

from .data import Split
from .evaluate import predict
from .metrics import Floats

NAME = "probabilities"


class TeacherError(Exception):
    """A teacher's file that cannot be used: which one, and why."""


@dataclass(frozen=True)
class Teacher:
    """What was said of one split.

    Attributes:
        probabilities_NK: of every text and label, in the split's order.
        labels: the K label names, in column order.
        data_sha256: of the file that the texts were read from.
        versions: of the artifacts that said it.
    """

    probabilities_NK: Floats
    labels: tuple[str, ...]
    data_sha256: str
    versions: tuple[str, ...]

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
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({NAME: self.probabilities_NK.astype(np.float16)}, path, metadata=about)


def ask(teachers: Sequence[Artifact], split: Split) -> Teacher:
    """The mean of the *teachers'* probabilities for every text of *split*.

    Raises:
        ValueError: one of them has other labels than the split.
    """
    said = [predict(teacher, split) for teacher in teachers]
    versions = tuple(teacher.version for teacher in teachers)
    return Teacher(np.mean(said, axis=0), split.labels, split.sha256, versions)


def load_teacher(path: Path) -> Teacher:
    """Read what `save` wrote.

    Raises:
        TeacherError: it is no such file.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about, probabilities_NK = file.metadata(), file.get_tensor(NAME).astype(np.float32)
        labels, versions = (tuple(json.loads(about[key])) for key in ("labels", "versions"))
        return Teacher(probabilities_NK, labels, about["data_sha256"], versions)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TeacherError(f"{path} is not what `emotag-train teach` writes: {error}") from error


def taught(train: Split, teacher: Teacher, *, share: float) -> Split:
    """*train* with targets that are the raters' by 1 - share and the teacher's by *share*.

    With binary cross-entropy, whose value is linear in the target, this is the weighted sum of the two losses.

    Raises:
        TeacherError: the teacher spoke of other texts or labels.
    """
    if teacher.labels != train.labels:
        raise TeacherError("the teacher has other labels than the training texts")
    if teacher.data_sha256 != train.sha256 or len(teacher.probabilities_NK) < len(train):
        raise TeacherError("the teacher was asked about other texts than these: ask it again with `emotag-train teach`")
    said_NK = teacher.probabilities_NK[: len(train)]  # fewer where a limit is set
    return replace(train, targets_NK=(1 - share) * train.targets_NK + np.float32(share) * said_NK)
