"""Statistics of a model's inputs and outputs on texts it was measured on. Drift is a difference from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # it imports the tokenizers library, which metrics do not need
    from .tokens import TokenIds

SCORE_EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Upper bounds of the bins of scores; one more bin is open. They are closer together at low scores, where most scores
are. Coarse on purpose: if another precision moves scores by 1e-3, few of them change their bin."""

LENGTH_EDGES = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 127)
"""Upper bounds of the bins of lengths in tokens; longer texts fill a window of 128 tokens."""


@dataclass(frozen=True)
class ReferenceStats:
    """Counts over texts that the model was not trained on, and the frequency of each label in training.

    Attributes:
        texts: number of texts that were counted.
        label_rates: the share of the training texts that have each label, by its name, in the model's order.
        score_edges, score_counts_KE: the upper bounds of the bins of scores, and how many texts are in each bin, by
            label; the last bin has no upper bound.
        length_edges, length_counts_E: the same for lengths in tokens, special tokens included.
        unknown_rate: the share of tokens that the vocabulary does not have.
    """

    texts: int
    label_rates: Mapping[str, float]
    score_edges: tuple[float, ...]
    score_counts_KE: npt.NDArray[np.int64]
    length_edges: tuple[int, ...]
    length_counts_E: npt.NDArray[np.int64]
    unknown_rate: float

    @classmethod
    def of(
        cls, probabilities_NK: npt.NDArray[np.float32], tokens: "Sequence[TokenIds]", label_rates: Mapping[str, float]
    ) -> Self:
        """Count the scores and the tokens of the same texts."""
        lengths_N = np.array([len(text.ids) for text in tokens])
        return cls(
            texts=len(tokens),
            label_rates=dict(label_rates),
            score_edges=SCORE_EDGES,
            score_counts_KE=count_bins(assign_bins(probabilities_NK, SCORE_EDGES), len(SCORE_EDGES) + 1),
            length_edges=LENGTH_EDGES,
            length_counts_E=count_bins(assign_bins(lengths_N[:, None], LENGTH_EDGES), len(LENGTH_EDGES) + 1)[0],
            unknown_rate=sum(text.unknown for text in tokens) / max(1, int(lengths_N.sum())),
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any], labels: Sequence[str]) -> Self:
        """Read the values that `to_json` returns.

        Raises:
            ValueError: the values have another form, or other labels.
        """
        try:
            scores, lengths = values["scores"], values["tokens"]
            if not set(labels) == set(values["label_rates"]) == set(scores["counts"]):
                raise ValueError("its labels are not those of the model")
            read = cls(
                texts=int(values["texts"]),
                label_rates={label: float(values["label_rates"][label]) for label in labels},
                score_edges=tuple(map(float, scores["edges"])),
                score_counts_KE=np.array([scores["counts"][label] for label in labels], np.int64),
                length_edges=tuple(map(int, lengths["edges"])),
                length_counts_E=np.array(lengths["counts"], np.int64),
                unknown_rate=float(values["unknown_rate"]),
            )
        except KeyError as error:
            raise ValueError(f"{error} is missing") from error
        except (TypeError, AttributeError, OverflowError) as error:
            raise ValueError(str(error)) from error
        read._check(len(labels))
        return read

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as values that JSON can hold."""
        counts = dict(zip(self.label_rates, self.score_counts_KE.tolist(), strict=True))
        return {
            "texts": self.texts,
            "label_rates": dict(self.label_rates),
            "scores": {"edges": list(self.score_edges), "counts": counts},
            "tokens": {"edges": list(self.length_edges), "counts": self.length_counts_E.tolist()},
            "unknown_rate": self.unknown_rate,
        }

    def _check(self, labels: int) -> None:
        for edges, counts in (
            (self.score_edges, self.score_counts_KE),
            (self.length_edges, self.length_counts_E[None]),
        ):
            rows = labels if counts is self.score_counts_KE else 1
            if counts.shape != (rows, len(edges) + 1) or not edges or list(edges) != sorted(set(edges)):
                raise ValueError("edges do not rise, or there is not exactly one fewer edge than counts")
            if (counts < 0).any() or (counts.sum(axis=1) != self.texts).any():
                raise ValueError("counts do not add up to the number of texts")
        if not self.texts or not all(0 <= rate <= 1 for rate in (self.unknown_rate, *self.label_rates.values())):
            raise ValueError("texts is 0, or a rate is not within [0, 1]")


def assign_bins(values_NK: npt.NDArray[Any], edges: Sequence[float]) -> npt.NDArray[np.uint8]:
    """Return the bin of each value: the index of the first edge that is not below it, or the number of edges."""
    found_NK = np.zeros(values_NK.shape, np.uint8)
    # Scores are float32: compared as float32, a score that equals an edge is always in that edge's bin. (One comparison
    # per edge is ten times as fast as a search for each value.)
    for edge in np.asarray(edges, values_NK.dtype):
        found_NK += values_NK > edge
    return found_NK


def count_bins(bins_NK: npt.NDArray[np.uint8], bins: int) -> npt.NDArray[np.int64]:
    """Return how often each bin occurs in each column, [K, E]."""
    columns = bins_NK.shape[1]
    places = bins_NK + np.arange(columns) * bins
    return np.bincount(places.ravel(), minlength=columns * bins).reshape(columns, bins)
