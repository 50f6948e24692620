"""The texts that are set aside as dev: labels as frequent as in train, and no text in both."""

import numpy as np
import numpy.typing as npt
import pytest

from emotag_training.data.stratify import choose_dev, choose_dev_share, group_duplicates, normalize


def draw(texts: int, seed: int) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Return texts, a third of them duplicates, with labels that half, a tenth and a hundredth of them have."""
    rng = np.random.default_rng(seed)
    words = [f"text {number}" for number in rng.integers(0, 2 * texts // 3, texts)]
    return words, (rng.random((texts, 3)) < (0.5, 0.1, 0.01)).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_every_label_is_as_frequent_in_dev_as_in_the_rest(seed: int) -> None:
    texts, targets_NK = draw(3_000, seed)
    is_dev_N = choose_dev(texts, targets_NK, share=0.1, seed=0)
    assert abs(is_dev_N.mean() - 0.1) < 0.003
    expected_K = 0.1 * targets_NK.sum(axis=0)
    assert (np.abs(targets_NK[is_dev_N].sum(axis=0) - expected_K) <= np.maximum(2, 0.03 * expected_K)).all()
    unlabelled_N = targets_NK.sum(axis=1) == 0
    assert abs(unlabelled_N[is_dev_N].sum() - 0.1 * unlabelled_N.sum()) < 0.05 * unlabelled_N.sum()


def test_duplicates_of_a_text_are_on_one_side() -> None:
    texts, targets_NK = draw(600, 0)
    texts = [text.upper() if row % 2 else f"  {text}" for row, text in enumerate(texts)]
    is_dev_N = choose_dev(texts, targets_NK, share=0.25, seed=0)
    sides: dict[str, set[bool]] = {normalize(text): set() for text in texts}
    for text, side in zip(texts, is_dev_N, strict=True):
        sides[normalize(text)].add(bool(side))
    assert {1} == {len(found) for found in sides.values()}


def test_the_seed_decides_the_division() -> None:
    texts, targets_NK = draw(300, 0)
    one, same, other = (choose_dev(texts, targets_NK, share=0.25, seed=seed) for seed in (0, 0, 1))
    assert one.tolist() == same.tolist()
    assert one.tolist() != other.tolist()


def test_a_label_of_two_texts_is_in_both_parts_and_a_label_of_one_text_in_train() -> None:
    targets_NK = np.zeros((40, 6), np.float32)
    targets_NK[:, 0] = 1
    targets_NK[[3, 7], 1] = 1
    targets_NK[[11, 12, 13, 14], [2, 3, 4, 5]] = 1
    for seed in range(20):
        is_dev_N = choose_dev([str(row) for row in range(40)], targets_NK, share=0.25, seed=seed)
        assert 1 == targets_NK[is_dev_N, 1].sum()
        assert 0 == targets_NK[is_dev_N, 2:].sum()


def test_texts_are_duplicates_if_only_case_width_and_spaces_differ() -> None:
    assert [[0, 1, 3], [2]] == group_duplicates(["Good  day", "good day ", "good-day", "ｇｏｏｄ\nday"])


@pytest.mark.parametrize(("texts", "dev"), [(100, 25), (1_200, 300), (3_000, 300), (40_000, 4_000)])
def test_dev_is_a_tenth_but_of_few_texts_up_to_a_quarter(texts: int, dev: int) -> None:
    assert dev == round(texts * choose_dev_share(texts))
