"""The hashes of GoEmotions' own files: a card names the data set, and shows texts of it, only if these were used.

The 28 labels alone do not identify the data set: other texts may have the same labels.

Source: Demszky et al. 2020, "GoEmotions: A Dataset of Fine-Grained Emotions" (ACL 2020; data CC BY 4.0).
"""

from emotag_schemas.labels import LABELS

DEV_TEXTS = 5_426
SHA256 = {
    "train.tsv": "1c254a142be5c00e80d819b9ae1bbd36d94b2eeb8f4b1271846508d57e57d9c5",
    "dev.tsv": "575489c079c9de1097062a01738f998590d6b7ead66dd1c9fd1d2ba01fd8bc62",
    "test.tsv": "0587b2dd8b27b97352adbfc3fb083d46005c8946657fdc2b1ca8b1cc7f1f8be4",
    "emotions.txt": "45c3ef86782d2a4d7fedcd6d8c111aa0d0e94720689bd164fac94fefb4495a89",
}
"""Of the files as its authors publish them; huggingface/datasets at 040102f1 records those of the tables too, in
`go_emotions`. The same texts in another form have another hash, and are not recognised."""


def is_train(sha256: str | None, labels: tuple[str, ...]) -> bool:
    """Return True for the data set's own train under its own labels; the hash is of the whole file."""
    return sha256 == SHA256["train.tsv"] and labels == LABELS


def is_dev(sha256: str | None, labels: tuple[str, ...]) -> bool:
    """Return True for the data set's own dev under its own labels."""
    return sha256 == SHA256["dev.tsv"] and labels == LABELS
