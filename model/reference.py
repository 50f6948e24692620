"""What a model's input and output look like on texts it was measured on: what drift is told from.

Shape letters: N texts, K labels, S bins of scores, L bins of lengths.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # with it comes the tokenizer's library, which metrics can do without
    from .tokens import TokenIds

SCORE_EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Upper bounds of the bins of scores, the last of which is open: closer where most scores lie. Coarse on purpose: a
score that another precision moves by 1e-3 is to change few bins."""

LENGTH_EDGES = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 127)
"""The same for tokens of a text; those beyond the last fill a window of 128."""


@dataclass(frozen=True)
class Reference:
    """Counts over texts that the model has not learnt from, and how often each label was given in training.

    Attributes:
        texts: N, those that were counted.
        label_rates: the share of the training texts that have each label, by its name, in the model's order.
        score_edges, score_counts_KS: how many texts have a score up to each edge, and over the last one.
        length_edges, length_counts_L: the same of their tokens, special ones included.
        unknown_rate: the share of tokens that the vocabulary does not have.
    """

    texts: int
    label_rates: Mapping[str, float]
    score_edges: tuple[float, ...]
    score_counts_KS: npt.NDArray[np.int64]
    length_edges: tuple[int, ...]
    length_counts_L: npt.NDArray[np.int64]
    unknown_rate: float

    @classmethod
    def of(
        cls, probabilities_NK: npt.NDArray[np.float32], tokens: "Sequence[TokenIds]", label_rates: Mapping[str, float]
    ) -> Self:
        """Counted from the scores and the tokens of the same texts."""
        lengths_N = np.array([len(text.ids) for text in tokens])
        return cls(
            texts=len(tokens),
            label_rates=dict(label_rates),
            score_edges=SCORE_EDGES,
            score_counts_KS=counted(bins(probabilities_NK, SCORE_EDGES), len(SCORE_EDGES) + 1),
            length_edges=LENGTH_EDGES,
            length_counts_L=counted(bins(lengths_N[:, None], LENGTH_EDGES), len(LENGTH_EDGES) + 1)[0],
            unknown_rate=sum(text.unknown for text in tokens) / max(1, int(lengths_N.sum())),
        )

    @classmethod
    def read(cls, values: Mapping[str, Any], labels: Sequence[str]) -> Self:
        """From what `written` gives.

        Raises:
            ValueError: it is nothing of the kind, or of other labels.
        """
        try:
            scores, lengths = values["scores"], values["tokens"]
            if not set(labels) == set(values["label_rates"]) == set(scores["counts"]):
                raise ValueError("its labels are not the model's")
            read = cls(
                texts=int(values["texts"]),
                label_rates={label: float(values["label_rates"][label]) for label in labels},
                score_edges=tuple(map(float, scores["edges"])),
                score_counts_KS=np.array([scores["counts"][label] for label in labels], np.int64),
                length_edges=tuple(map(int, lengths["edges"])),
                length_counts_L=np.array(lengths["counts"], np.int64),
                unknown_rate=float(values["unknown_rate"]),
            )
        except KeyError as error:
            raise ValueError(f"{error} is missing") from error
        except (TypeError, AttributeError, OverflowError) as error:
            raise ValueError(str(error)) from error
        read._check(len(labels))
        return read

    def written(self) -> dict[str, Any]:
        """As JSON can hold it."""
        counts = dict(zip(self.label_rates, self.score_counts_KS.tolist(), strict=True))
        return {
            "texts": self.texts,
            "label_rates": dict(self.label_rates),
            "scores": {"edges": list(self.score_edges), "counts": counts},
            "tokens": {"edges": list(self.length_edges), "counts": self.length_counts_L.tolist()},
            "unknown_rate": self.unknown_rate,
        }

    def _check(self, labels: int) -> None:
        for edges, counts in (
            (self.score_edges, self.score_counts_KS),
            (self.length_edges, self.length_counts_L[None]),
        ):
            rows = labels if counts is self.score_counts_KS else 1
            if counts.shape != (rows, len(edges) + 1) or not edges or list(edges) != sorted(set(edges)):
                raise ValueError("edges do not rise, or are not one fewer than the counts between them")
            if (counts < 0).any() or (counts.sum(axis=1) != self.texts).any():
                raise ValueError("counts do not add up to the number of texts")
        if not self.texts or not all(0 <= rate <= 1 for rate in (self.unknown_rate, *self.label_rates.values())):
            raise ValueError("it counts no texts, or a rate is no share")


def bins(values_NK: npt.NDArray[Any], edges: Sequence[float]) -> npt.NDArray[np.uint8]:
    """The bin of each value: the first whose edge it does not exceed, or the one behind the last."""
    found_NK = np.zeros(values_NK.shape, np.uint8)
    # Scores are float32: compared as such, one that equals an edge lies in its bin whatever counts it. (One comparison
    # an edge is ten times as fast as searching each value's place.)
    for edge in np.asarray(edges, values_NK.dtype):
        found_NK += values_NK > edge
    return found_NK


def counted(bins_NK: npt.NDArray[np.uint8], bins: int) -> npt.NDArray[np.int64]:
    """How often each bin occurs in each column, [K, bins]."""
    columns = bins_NK.shape[1]
    places = bins_NK + np.arange(columns) * bins
    return np.bincount(places.ravel(), minlength=columns * bins).reshape(columns, bins)
