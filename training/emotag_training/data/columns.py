"""The columns of a table that a run reads: the text, and its labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from emotag_training.errors import DataError

TEXT, LIST_COLUMNS = "text", ("labels", "label")


@dataclass(frozen=True)
class Columns:
    """Names of columns.

    Attributes:
        text: the column of the texts.
        labels: one column with the labels of each text, or one column of 0 and 1 for each label. Empty: `labels` or
            `label`.
    """

    text: str = TEXT
    labels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, labels: str) -> Self:
        """Return the columns that the keys `data.text_column` and `data.label_columns` name.

        Raises:
            DataError: a column is named twice.
        """
        names = tuple(name for part in labels.split(",") if (name := part.strip()))
        for name in names:
            if name == text:
                raise DataError(
                    f"--label-columns {labels}: {name} is the column of the texts; name only columns of labels"
                )
            if names.count(name) > 1:
                raise DataError(f"--label-columns {labels}: {name} is named twice; name each column once")
        return cls(text, names)

    @property
    def are_default(self) -> bool:
        """True if nobody named columns."""
        return self == Columns()

    def find_labels(self, header: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of the labels; empty if the header lacks one of them."""
        if self.labels:
            return self.labels if set(self.labels) <= set(header) else ()
        return next(((name,) for name in LIST_COLUMNS if name in header), ())

    def list_missing(self, header: Sequence[str]) -> list[str]:
        """Return the columns that the header lacks."""
        wanted = [self.text, *self.labels]
        missing = [name for name in wanted if name not in header]
        return missing if self.find_labels(header) or self.labels else [*missing, *LIST_COLUMNS]

    def describe(self) -> str:
        """Return what a table needs, for messages: `text and labels (or label)`."""
        return f"{self.text} and {', '.join(self.labels) or 'labels (or label)'}"
