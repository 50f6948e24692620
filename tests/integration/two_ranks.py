"""What each of the processes of `test_ranks` runs: a whole run, and the same one stopped and resumed.

Once stopped between two steps, once while frozen layers are run. The first process writes whether the two came to the
same, to `steps.json` and `frozen.json` in the folder; each writes which threads of its messages are left in the end.
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
FROZEN = RECIPE.model_copy(update={"hidden_tokens": 0.0, "trainable_layers": 1, "cache_frozen": True})


def sitting(recipe: Recipe, folder: Path, ranks: Ranks, *, resume: bool, stop: Callable[[], bool]) -> Run:
    """One, everything made anew; with dropout, so that every process draws numbers of its own."""
    texts = tuple("abcdefgh"[row % 8] * (1 + row % 5) for row in range(100))
    targets_NK = np.eye(3, dtype=np.float32)[np.arange(100) % 3]
    split = Split(texts, targets_NK, ("anger", "joy", "neutral"), "0" * 64)
    torch.manual_seed(recipe.seed)
    return fit(
        DistilBertCNN(tiny_config()),
        Tokens(tiny_tokenizer(), max_tokens=32),
        split,
        split,
        recipe,
        progress=Watchers(),
        device=torch.device("cpu"),
        checkpoints=Checkpoints(folder, recipe, split, split, processes=ranks.world),
        resume=resume,
        stop=stop,
        ranks=ranks,
    )


def main(folder: Path) -> None:
    """Only the second process is asked to stop; both do."""
    with joined("cpu") as (ranks, _):
        stopped_and_resumed("steps", RECIPE, folder, ranks, at=3)
        stopped_and_resumed("frozen", FROZEN, folder, ranks, at=1)
    left = [thread for task in Path("/proc/self/task").iterdir() if "gloo" in (thread := (task / "comm").read_text())]
    (folder / f"left-{ranks.rank}.json").write_text(json.dumps(left))


def stopped_and_resumed(name: str, recipe: Recipe, folder: Path, ranks: Ranks, *, at: int) -> None:
    """Stopped when *stop* is asked for the so-many-th time."""
    whole = sitting(recipe, folder / name / "whole", ranks, resume=False, stop=lambda: False)
    asked, out = iter(range(1, 100)), folder / name / "stopped"
    try:
        sitting(recipe, out, ranks, resume=False, stop=lambda: next(asked) == at and not ranks.leads)
    except Interrupted as interrupted:
        told = str(interrupted)
    torch.distributed.barrier()  # the first has written the checkpoint
    resumed = sitting(recipe, out, ranks, resume=True, stop=lambda: False)
    if ranks.leads:
        others = resumed.model.state_dict()
        different = [key for key, values in whole.model.state_dict().items() if not torch.equal(values, others[key])]
        same = {"told": told, "different": different, "histories": [whole.history, resumed.history]}
        (folder / f"{name}.json").write_text(json.dumps(same))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
