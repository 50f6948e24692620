"""Random encoders in a folder, as `--encoder FOLDER` reads them."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer


def save_encoder(folder: Path, kind: type[Any], config: Any, tokenizer: Tokenizer) -> Path:
    """Write a model of transformers with random weights, the same each time, and its tokenizer. Return the folder.

    Args:
        kind: the class of the model, which takes *config*.
    """
    torch.manual_seed(0)
    kind(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
