"""What each of the processes of `test_ranks` runs: a whole run, and the same one stopped and resumed.

The first process writes whether the two came to the same, to `same.json` in the folder.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from model.distilbert_cnn import DistilBertCNN
from model.tokens import Tokens
from tests.numerics.conftest import tiny_config, tiny_tokenizer
from training.checkpoint import Checkpoints, Interrupted
from training.data import Split
from training.fit import Run, fit
from training.progress import Watchers
from training.ranks import Ranks, joined
from training.recipe import Recipe

RECIPE = Recipe(epochs=2, batch_size=20, precision="fp32", hidden_tokens=0.2, ema=0.9, max_tokens=32)


def sitting(folder: Path, ranks: Ranks, *, resume: bool, stop: Callable[[], bool]) -> Run:
    """One, everything made anew; with dropout, so that every process draws numbers of its own."""
    texts = tuple("abcdefgh"[row % 8] * (1 + row % 5) for row in range(100))
    targets_NK = np.eye(3, dtype=np.float32)[np.arange(100) % 3]
    split = Split(texts, targets_NK, ("anger", "joy", "neutral"), "0" * 64)
    torch.manual_seed(RECIPE.seed)
    return fit(
        DistilBertCNN(tiny_config()),
        Tokens(tiny_tokenizer(), max_tokens=32),
        split,
        split,
        RECIPE,
        progress=Watchers(),
        device=torch.device("cpu"),
        checkpoints=Checkpoints(folder, RECIPE, split, split, processes=ranks.world),
        resume=resume,
        stop=stop,
        ranks=ranks,
    )


def main(folder: Path) -> None:
    """Only the second process is asked to stop; both do."""
    with joined("cpu") as (ranks, _):
        whole = sitting(folder / "whole", ranks, resume=False, stop=lambda: False)
        asked = iter(range(1, 100))
        try:
            sitting(folder / "stopped", ranks, resume=False, stop=lambda: next(asked) == 3 and not ranks.leads)
        except Interrupted as interrupted:
            told = str(interrupted)
        resumed = sitting(folder / "stopped", ranks, resume=True, stop=lambda: False)
    if ranks.leads:
        others = resumed.model.state_dict()
        different = [name for name, values in whole.model.state_dict().items() if not torch.equal(values, others[name])]
        same = {"told": told, "different": different, "histories": [whole.history, resumed.history]}
        (folder / "same.json").write_text(json.dumps(same))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
