"""The program of each process of `test_ranks`: a whole run, and the same run stopped and resumed.

It is stopped between two steps, and then while frozen layers run. The first process writes to `steps.json` and
`frozen.json` if the two runs have the same result. Each process writes which communication threads are left.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.tokens import Tokens
from emotag_training.data.split import Split, TokenizedSplit
from emotag_training.errors import Interrupted
from emotag_training.loop.checkpoint import Checkpoints
from emotag_training.loop.distributed import Ranks, join_processes
from emotag_training.loop.fit import fit
from emotag_training.loop.state import Run
from emotag_training.loop.trackers import Watchers
from emotag_training.presets import apply_changes
from emotag_training.recipe import Recipe
from tests.numerics.conftest import tiny_config, tiny_tokenizer

RECIPE = apply_changes(
    Recipe(),
    {
        "schedule.epochs": 2,
        "schedule.batch_size": 20,
        "schedule.ema": 0.9,
        "run.precision": "fp32",
        "encoder.token_masking": 0.2,
        "encoder.max_tokens": 32,
    },
)
FROZEN = apply_changes(
    RECIPE, {"encoder.token_masking": 0.0, "encoder.trainable_layers": 1, "encoder.cache_frozen": True}
)


def sitting(recipe: Recipe, folder: Path, ranks: Ranks, *, resume: bool, stop: Callable[[], bool]) -> Run:
    """Run with new objects, and with dropout, so that each process draws different numbers."""
    texts = tuple("abcdefgh"[row % 8] * (1 + row % 5) for row in range(100))
    targets_NK = np.eye(3, dtype=np.float32)[np.arange(100) % 3]
    split = Split(texts, targets_NK, ("anger", "joy", "neutral"), "0" * 64)
    torch.manual_seed(recipe.run.seed)
    tokens = Tokens(tiny_tokenizer(), max_tokens=32)
    texts_of_split = TokenizedSplit.of(split, tokens)
    return fit(
        DistilBertCNN(tiny_config()),
        texts_of_split,
        texts_of_split,
        recipe,
        progress=Watchers(),
        device=torch.device("cpu"),
        mask_id=tokens.id_of("[MASK]"),
        checkpoints=Checkpoints(folder, recipe, split, split, processes=ranks.world),
        resume=resume,
        stop=stop,
        ranks=ranks,
    )


def main(folder: Path) -> None:
    """Only the second process gets the signal; both stop."""
    with join_processes("cpu") as (ranks, _):
        stopped_and_resumed("steps", RECIPE, folder, ranks, at=3)
        stopped_and_resumed("frozen", FROZEN, folder, ranks, at=1)
    left = [thread for task in Path("/proc/self/task").iterdir() if "gloo" in (thread := (task / "comm").read_text())]
    (folder / f"left-{ranks.rank}.json").write_text(json.dumps(left))


def stopped_and_resumed(name: str, recipe: Recipe, folder: Path, ranks: Ranks, *, at: int) -> None:
    """Run, stop at a given call of *stop*, and resume."""
    whole = sitting(recipe, folder / name / "whole", ranks, resume=False, stop=lambda: False)
    asked, out = iter(range(1, 100)), folder / name / "stopped"
    try:
        sitting(recipe, out, ranks, resume=False, stop=lambda: next(asked) == at and not ranks.leads)
    except Interrupted as interrupted:
        told = str(interrupted)
    torch.distributed.barrier()  # the first process has written the checkpoint
    resumed = sitting(recipe, out, ranks, resume=True, stop=lambda: False)
    if ranks.leads:
        others = resumed.model.state_dict()
        different = [key for key, values in whole.model.state_dict().items() if not torch.equal(values, others[key])]
        same = {"told": told, "different": different, "histories": [whole.history, resumed.history]}
        (folder / f"{name}.json").write_text(json.dumps(same))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
