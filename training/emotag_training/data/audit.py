"""Find what is wrong in labelled texts before training on them. Findings name rows and labels, never texts.

Probable mistakes of labels are the decisions on which a model loses most, among texts that the model has not seen: a
model has also learned the mistakes of the texts that it was trained on. Source of the idea: Northcutt, Jiang and
Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels" (JAIR 70).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .stratify import group_duplicates
from .table import Labelled

RARE_TEXTS = 20
"""A label with fewer texts has less than about five in dev: too few to choose its threshold."""
DOUBTFUL = 0.1
"""A decision of the annotators is doubtful if the model gives it at most this probability."""


@dataclass(frozen=True)
class LabelCount:
    """The number of texts with a label."""

    label: str
    texts: int
    is_rare: bool


@dataclass(frozen=True)
class Conflict:
    """Duplicates of a text with different labels: their rows, and the labels of each."""

    rows: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Suspect:
    """A probable mistake of the annotators.

    Attributes:
        row: the place of the text, such as `line 7`.
        given: the labels of the text.
        label: the label that is probably missing, or is given and probably wrong.
        probability: of the label, by a model that has not seen the text.
    """

    row: str
    given: tuple[str, ...]
    label: str
    probability: float

    @property
    def is_missing(self) -> bool:
        """True if the text lacks the label."""
        return self.label not in self.given


@dataclass(frozen=True)
class Audit:
    """The findings in one file.

    Attributes:
        texts: the number of texts.
        without_label: the number of texts that have no label.
        labels: the most frequent label first.
        empty: rows without a text.
        too_long: rows of which training reads only the beginning.
        exact_duplicates: groups of rows with the same text.
        near_duplicates: groups of rows whose texts are the same but for case, width or white space, with at least two
            different ones.
        conflicts: duplicates with different labels.
        suspects: probable mistakes of labels, the most probable first; None if no model predicted the texts.
        predicted: the number of texts that a model predicted without having seen them.
    """

    texts: int
    without_label: int
    labels: tuple[LabelCount, ...]
    empty: tuple[str, ...]
    too_long: tuple[str, ...]
    exact_duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    conflicts: tuple[Conflict, ...]
    suspects: tuple[Suspect, ...] | None = None
    predicted: int = 0


def audit(table: Labelled, *, is_too_long: Sequence[bool]) -> Audit:
    """Return what is wrong in *table*, without predictions.

    Args:
        is_too_long: for each text, True if a model reads only its beginning.
    """
    groups = [rows for rows in group_duplicates(table.texts) if len(rows) > 1 and table.texts[rows[0]].strip()]
    equal = [rows for group in groups for rows in _group_equal(table, group)]
    near = [rows for rows in groups if len({table.texts[row] for row in rows}) > 1]
    disputed = [rows for rows in groups if len({frozenset(table.given[row]) for row in rows}) > 1]
    return Audit(
        texts=len(table.texts),
        without_label=sum(not names for names in table.given),
        labels=_count_labels(table),
        empty=tuple(place for place, text in zip(table.places, table.texts, strict=True) if not text.strip()),
        too_long=tuple(place for place, long in zip(table.places, is_too_long, strict=True) if long),
        exact_duplicates=_place(table, equal),
        near_duplicates=_place(table, near),
        conflicts=tuple(
            Conflict(rows, tuple(table.given[row] for row in group))
            for group, rows in zip(disputed, _place(table, disputed), strict=True)
        ),
    )


def find_suspects(
    table: Labelled, rows: Sequence[int], probabilities_MK: npt.NDArray[np.float32], labels: Sequence[str]
) -> tuple[Suspect, ...]:
    """Return the decisions that a model finds improbable, the most improbable first.

    Args:
        rows: the M rows that were predicted by a model that has not seen them.
        labels: the columns of the probabilities.
    """
    found = []
    for row, probabilities_K in zip(rows, probabilities_MK, strict=True):
        for label, probability in zip(labels, probabilities_K.tolist(), strict=True):
            agreement = probability if label in table.given[row] else 1 - probability
            if agreement <= DOUBTFUL:
                suspect = Suspect(table.places[row], table.given[row], label, round(probability, 4))
                found.append((agreement, row, suspect))
    return tuple(suspect for *_, suspect in sorted(found, key=lambda each: each[:2]))


def _count_labels(table: Labelled) -> tuple[LabelCount, ...]:
    counts = dict.fromkeys(table.names, 0)
    for names in table.given:
        for name in set(names):
            counts[name] = counts.get(name, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return tuple(LabelCount(label, texts, texts < RARE_TEXTS) for label, texts in ordered)


def _group_equal(table: Labelled, rows: Sequence[int]) -> list[list[int]]:
    """Return the groups of at least two rows with exactly the same text."""
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(table.texts[row], []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def _place(table: Labelled, groups: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(table.places[row] for row in rows) for rows in groups)
