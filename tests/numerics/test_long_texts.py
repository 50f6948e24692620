"""Several comments of dev in one text: windows find the emotions that the beginning does not have.

    python -m tests.numerics.test_long_texts

prints the first table of decision 35, and the same figures for texts with one comment that is not neutral.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from emotag_model import EmotionTagger
from emotag_model.long_texts.windows import NEUTRAL, WINDOW_TOKENS, join_windows, split
from emotag_model.tokens import Tokens, normalize
from emotag_training.data.split import Split
from emotag_training.data.table import load_split
from emotag_training.evaluation.platt import compute_logits
from tests.conftest import SHARED_DATA

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Rule = Callable[[Floats, Sequence[int], Sequence[str]], Floats]

SAMPLES = 300
"""Bootstrap samples of texts."""


@dataclass(frozen=True)
class LongTexts:
    """Texts of several comments, and the labels of all their comments; neutral only without another label."""

    texts: Sequence[str]
    targets_NK: Bools


def join_comments(dev: Split, groups: npt.NDArray[np.int64]) -> LongTexts:
    """Return one text for each row of *groups*, which has the rows of its comments."""
    neutral = dev.labels.index(NEUTRAL)
    targets_NK: Bools = dev.targets_NK[groups].max(axis=1) > 0
    targets_NK[:, neutral] &= ~np.delete(targets_NK, neutral, axis=1).any(axis=1)
    return LongTexts([" ".join(dev.texts[row] for row in group) for group in groups], targets_NK)


def draw_mixed(dev: Split, comments: int) -> LongTexts:
    """Return texts of different comments, each used once."""
    order = np.random.default_rng(0).permutation(len(dev))
    return join_comments(dev, order[: len(dev) // comments * comments].reshape(-1, comments))


def draw_neutral_but_one(dev: Split, comments: int, texts: int = 300) -> LongTexts:
    """Return texts of neutral comments and one that is not, at a random place: a test of false alarms."""
    draw = np.random.default_rng(1)
    targets_NK, neutral = dev.targets_NK > 0, dev.labels.index(NEUTRAL)
    without = np.flatnonzero(targets_NK[:, neutral] & (targets_NK.sum(axis=1) == 1))
    emotional = np.flatnonzero(~targets_NK[:, neutral])
    groups = [[*draw.choice(without, comments - 1, replace=False), draw.choice(emotional)] for _ in range(texts)]
    return join_comments(dev, draw.permuted(np.array(groups), axis=1))


def maximum(rows_WK: Floats, tokens: Sequence[int], labels: Sequence[str]) -> Floats:
    return rows_WK.max(axis=0)  # type: ignore[no-any-return]


def mean(rows_WK: Floats, tokens: Sequence[int], labels: Sequence[str]) -> Floats:
    return rows_WK.mean(axis=0)  # type: ignore[no-any-return]


def mean_by_tokens(rows_WK: Floats, tokens: Sequence[int], labels: Sequence[str]) -> Floats:
    return np.average(rows_WK, axis=0, weights=tokens).astype(np.float32)


def noisy_or(rows_WK: Floats, tokens: Sequence[int], labels: Sequence[str]) -> Floats:
    return 1 - np.prod(1 - rows_WK, axis=0)  # type: ignore[no-any-return]


def chosen(rows_WK: Floats, tokens: Sequence[int], labels: Sequence[str]) -> Floats:
    return join_windows(rows_WK, labels)


RULES: Mapping[str, Rule] = {
    "maximum, neutral: minimum": chosen,
    "maximum": maximum,
    "mean": mean,
    "mean by tokens": mean_by_tokens,
    "noisy or": noisy_or,
}


class Reader:
    """The shipped model in its fastest engine, with windows of any length.

    Attributes:
        precision: the micro precision of single comments at the shipped thresholds.
    """

    def __init__(self, tagger: EmotionTagger, tokens: Tokens, dev: Split) -> None:
        self._tagger, self._tokens, self.labels = tagger, tokens, tagger.labels
        self._limits_K = compute_logits(np.array([tagger.thresholds.values], np.float32))[0]
        single_NK = tagger.thresholds.decide(tagger.probabilities(tokens(dev.texts)))
        self.precision = float((single_NK & (dev.targets_NK > 0)).sum() / single_NK.sum())

    def read_beginning(self, texts: Sequence[str]) -> Floats:
        """Return how far the logit of each label is over its threshold, [N, K], from the first 128 tokens."""
        return self._compute_margins(self._tagger.probabilities(self._tokens(texts)))

    def read(self, texts: Sequence[str], *, window: int, overlap: int = 16) -> Mapping[str, Floats]:
        """Return the margins of each rule, for windows of this many tokens."""
        windows = [list(self._split(text, window, overlap)) for text in texts]
        rows_BK = self._tagger.probabilities(self._tokens([part for parts in windows for part in parts]))
        ends = np.cumsum([len(parts) for parts in windows])
        sizes = [len(part) for parts in windows for part in parts]
        joined: dict[str, list[Floats]] = {name: [] for name in RULES}
        for parts, end in zip(windows, ends, strict=True):
            start = end - len(parts)
            for name, rule in RULES.items():
                joined[name].append(rule(rows_BK[start:end], sizes[start:end], self.labels))
        return {name: self._compute_margins(np.array(rows, np.float32)) for name, rows in joined.items()}

    def _split(self, text: str, window: int, overlap: int) -> Iterator[str]:
        read = normalize(text)
        starts = self._tokens.find_starts(read)
        cut = split(read, starts, lambda part: self._tokens([part])[0], most_tokens=window - 2, overlap=overlap)
        return (read[each.start : each.end] for each in cut)

    def _compute_margins(self, probabilities_NK: Floats) -> Floats:
        return compute_logits(probabilities_NK) - self._limits_K  # type: ignore[no-any-return]


def measure_recall(margins_NK: Floats, targets_NK: Bools, precision: float) -> float:
    """Return the largest micro recall with at least this precision, by one shift of all thresholds."""
    order = np.argsort(-margins_NK.ravel(), kind="stable")
    hits = np.cumsum(targets_NK.ravel()[order])
    enough = np.flatnonzero(hits / np.arange(1, len(hits) + 1) >= precision)
    return float(hits[enough[-1]] / hits[-1]) if len(enough) else 0.0


def measure_macro_f1(margins_NK: Floats, targets_NK: Bools) -> float:
    """Return the mean F1 over the labels that the texts have, at the shipped thresholds."""
    given_NK = margins_NK >= 0
    both_K, sum_K = (given_NK & targets_NK).sum(axis=0), given_NK.sum(axis=0) + targets_NK.sum(axis=0)
    return float(np.mean((2 * both_K / np.maximum(1, sum_K))[targets_NK.any(axis=0)]))


def compare(first_NK: Floats, second_NK: Floats, long: LongTexts, precision: float) -> tuple[float, float]:
    """Return the 95 % interval of the difference of the recalls, over bootstrap samples of texts."""
    draw = np.random.default_rng(2)
    found = []
    for _ in range(SAMPLES):
        rows = draw.integers(0, len(long.texts), len(long.texts))
        one, two = (measure_recall(each[rows], long.targets_NK[rows], precision) for each in (first_NK, second_NK))
        found.append(two - one)
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


@pytest.fixture(scope="module")
def dev(goemotions: Path) -> Split:
    return load_split(goemotions / "dev.tsv")


def open_reader(dev: Split) -> Reader:
    tagger = EmotionTagger.load(on="cpu")
    return Reader(tagger, tagger._tokens, dev)


@pytest.mark.timeout(300)
def test_windows_find_more_labels_at_equal_precision_than_the_beginning(dev: Split) -> None:
    """In texts of 16 comments, about 300 tokens: the difference is far beyond chance."""
    reader, long = open_reader(dev), draw_mixed(dev, 16)
    beginning_NK, windows = reader.read_beginning(long.texts), reader.read(long.texts, window=WINDOW_TOKENS)
    best_NK = windows["maximum, neutral: minimum"]
    low, _ = compare(beginning_NK, best_NK, long, reader.precision)
    assert low > 0.2
    assert measure_macro_f1(best_NK, long.targets_NK) > measure_macro_f1(beginning_NK, long.targets_NK) + 0.2
    for name, margins_NK in windows.items():
        if margins_NK is not best_NK:
            assert compare(margins_NK, best_NK, long, reader.precision)[0] > 0, name


def main() -> None:
    dev = load_split(SHARED_DATA / "dev.tsv")
    reader = open_reader(dev)
    kinds = {f"{n} comments": draw_mixed(dev, n) for n in (8, 16)}
    kinds["1 comment among 7 neutral ones"] = draw_neutral_but_one(dev, 8)
    sys.stdout.write(f"precision of single comments: {reader.precision:.3f}\n")
    for kind, long in kinds.items():
        beginning_NK = reader.read_beginning(long.texts)
        found = {("128, first only", ""): beginning_NK}
        for window, overlap in ((128, 16), (64, 16), (64, 0), (32, 16)):
            for rule, margins_NK in reader.read(long.texts, window=window, overlap=overlap).items():
                found[f"{window}, overlap {overlap}", rule] = margins_NK
        for (window_, rule), margins_NK in found.items():
            recall = measure_recall(margins_NK, long.targets_NK, reader.precision)
            low, high = compare(beginning_NK, margins_NK, long, reader.precision)
            given_NK = margins_NK >= 0
            precision = (given_NK & long.targets_NK).sum() / given_NK.sum()
            macro_f1 = measure_macro_f1(margins_NK, long.targets_NK)
            cells = (kind, window_, rule, f"{recall:.3f}", f"{low:+.3f} to {high:+.3f}", f"{macro_f1:.3f}")
            sys.stdout.write(f"| {' | '.join((*cells, f'{precision:.3f}'))} |\n")


if __name__ == "__main__":
    main()
