"""The texts of a run, as its recipe names them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotag_training.errors import DataError

from .data import sources
from .data.split import Split
from .distillation.folds import mark_fold
from .distillation.teacher import Teacher, blend_targets, load_teacher
from .evaluation.metrics import find_ranked_labels
from .recipe import DataSection, DistillationSection


@dataclass(frozen=True)
class Texts:
    """The texts of a run.

    Attributes:
        annotated: all training texts with the annotators' labels.
        train: the texts to train on: with soft labels and without the fold, if the recipe names them.
        dev: the texts to measure on.
        teacher: the source of the soft labels, if any.
    """

    annotated: Split
    train: Split
    dev: Split
    teacher: Teacher | None


def read_texts(data: DataSection, distillation: DistillationSection) -> Texts:
    """Read the texts of a run: annotated, soft-labelled, and without the fold that the recipe leaves out.

    Raises:
        DataError, TeacherError: the texts or the teacher cannot be used.
    """
    found = sources.find_data_set(data.source, data.columns)
    annotated, dev = sources.read_train_and_dev(found)
    if data.limit is not None:
        annotated, dev = (split.take(range(min(data.limit, len(split)))) for split in (annotated, dev))
    teacher = load_teacher(Path(distillation.teacher)) if distillation.teacher else None
    train_split = annotated if teacher is None else blend_targets(annotated, teacher, share=distillation.share)
    if data.fold:
        train_split = train_split.take(np.flatnonzero(~mark_fold(train_split, data.fold)))
    if not find_ranked_labels(dev.targets_NK).any():
        among_first = f"the first {data.limit} of " if data.limit else ""
        raise DataError(
            f"{found.read('dev').source}: {among_first}its texts all have the same labels, so no model can be"
            " measured on them; for at least one label, dev needs texts with it and texts without it: split all texts"
            f" at random{', or raise data.limit' if data.limit else ''}"
        )
    return Texts(annotated, train_split, dev, teacher)
