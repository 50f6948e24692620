"""GoEmotions' own files, by their hashes: a card speaks of the data set, and shows texts of it, where these were used.

That a model has its 28 labels says little: anybody may label texts with them.

Source: Demszky et al. 2020, "GoEmotions: A Dataset of Fine-Grained Emotions" (ACL 2020; data CC BY 4.0).
"""

from schemas.labels import LABELS

DEV_TEXTS = 5_426
TRAIN_SHA256 = "1c254a142be5c00e80d819b9ae1bbd36d94b2eeb8f4b1271846508d57e57d9c5"
DEV_SHA256 = "575489c079c9de1097062a01738f998590d6b7ead66dd1c9fd1d2ba01fd8bc62"
"""Of train.tsv and dev.tsv as its authors publish them, 43,410 and `DEV_TEXTS` rows; they stand in the shipped model's
training.json too. The same texts in another form have another hash, and nothing is said of them."""


def is_train(sha256: str | None, labels: tuple[str, ...]) -> bool:
    """Whether that is the data set's own train, under its own labels; the hash is of the whole file, read or not."""
    return sha256 == TRAIN_SHA256 and labels == LABELS


def is_dev(sha256: str | None, labels: tuple[str, ...]) -> bool:
    """The same of its dev."""
    return sha256 == DEV_SHA256 and labels == LABELS
