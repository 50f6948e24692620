"""Which texts share a forward pass: a plan over lengths, nothing more."""

from collections.abc import Sequence


def plan_batches(lengths: Sequence[int], *, max_tokens: int, max_texts: int = 1024) -> list[list[int]]:
    """Group texts of like length so that each batch stays within the device's budget.

    Args:
        lengths: tokens per text after truncation, each at least 1.
        max_tokens: budget of one batch: texts x longest text, tokens. A text longer than it stands alone.
        max_texts: most texts of one batch.

    Returns:
        Indices into *lengths*, shortest first; every index exactly once.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Sorted, so the text at hand is the longest of the batch it would join.
        if batches and len(batches[-1]) < max_texts and (len(batches[-1]) + 1) * lengths[index] <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
