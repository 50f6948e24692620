"""Read the model and the labelled texts that a command names."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emotag_model.artifact import Artifact
    from emotag_training.data.columns import Columns
    from emotag_training.data.sources import DataSet
    from emotag_training.data.split import Split


def load_model(model: Path | None) -> "Artifact":
    """Load an artifact: the shipped model if *model* is None."""
    from emotag_model import artifact

    return artifact.load(model or artifact.DEFAULT)


def find_columns(trained: "Artifact") -> "Columns":
    """Return the columns that the model was trained on: other files of the same kind have them, too."""
    from emotag_training.data.columns import TEXT, Columns
    from emotag_training.record import read_section

    recipe = read_section(trained.training, "recipe", "data")
    return Columns.parse(recipe.get("text_column", TEXT), recipe.get("label_columns", ""))


def read_labelled_texts(
    data: str, split: str, trained: "Artifact", others: "Sequence[Artifact]" = ()
) -> "tuple[Split, Split | None]":
    """Return the texts to measure on, and the training texts, or None if these are the same or not available.

    One file is measured as a whole, unless one of the models was trained on a part of it.

    Args:
        trained: the model whose labels and columns the texts have.
        others: the models that are measured on the same texts.

    Raises:
        DataError: the texts cannot be read, the data set has no such split, or the file has changed since one of the
            models was trained on it.
    """
    from emotag_training.data import sources
    from emotag_training.data.table import FORMATS, load_split
    from emotag_training.errors import DataError

    labels, columns = trained.config.labels, find_columns(trained)
    records = [model.training for model in (trained, *others)]
    found = sources.find_data_set(data, columns)
    foreign = isinstance(found, sources.OneFile) and not any(map(found.is_source_of, records))
    if Path(split).suffix[1:] in FORMATS or (Path(split).suffix and Path(split).is_file()):
        return load_split(Path(split), labels, columns), None if foreign else read_train_split(found)
    if isinstance(found, sources.OneFile):
        for record in records:
            found.refuse_change_since(record)
    if isinstance(found, sources.OneFile) and foreign:
        if split not in ("dev", "validation"):
            raise DataError(
                f"--split {split}: the model was not trained on {data}, so the file has no splits; remove --split to"
                " measure on all its texts, or name a file of texts: --split FILE"
            )
        return found.whole.split(labels), None
    return found.read(split).split(labels), None if split == "train" else read_train_split(found)


def read_train_split(found: "DataSet") -> "Split | None":
    """Return the training texts; None if the data set has none."""
    return found.read("train").split() if found.has("train") else None


def prepare_device(device: str) -> str:
    """Return the device that `--device` names, and let torch use every core that this process may use.

    Raises:
        DeviceUnknown: there is no such device on this machine.
    """
    import torch

    from emotag_model.engines.device import choose_device, count_usable_cores

    torch.set_num_threads(count_usable_cores())
    return choose_device(device)
