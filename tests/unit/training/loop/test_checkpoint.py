"""When a checkpoint belongs to a run, and when it does not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from emotag_training.data.split import Split
from emotag_training.errors import CheckpointError
from emotag_training.loop.checkpoint import FREE_TO_CHANGE, Checkpoint, Checkpoints, find_first_change, identify
from emotag_training.presets import apply_changes
from emotag_training.recipe import Recipe

TEXTS = Split(("a", "b"), np.eye(2, dtype=np.float32), ("joy", "anger"), "0" * 64)


def test_equal_runs_have_no_change() -> None:
    assert find_first_change(identify(Recipe(), TEXTS, TEXTS), identify(Recipe(), TEXTS, TEXTS)) is None


def test_a_changed_key_is_named_with_both_values() -> None:
    before = identify(Recipe(), TEXTS, TEXTS)
    now = identify(apply_changes(Recipe(), {"run.seed": 1}), TEXTS, TEXTS)
    assert "run.seed 42, not 1" == find_first_change(before, now)


def test_a_key_that_is_newer_than_the_checkpoint_has_its_default_there() -> None:
    """Otherwise every key that is added to the recipe would make unfinished runs impossible to resume."""
    before = identify(Recipe(), TEXTS, TEXTS)
    del before["head.attention_heads"]
    assert find_first_change(before, identify(Recipe(), TEXTS, TEXTS)) is None
    changed = identify(apply_changes(Recipe(), {"head.attention_heads": 4}), TEXTS, TEXTS)
    assert "head.attention_heads 0, not 4" == find_first_change(before, changed)


def test_what_does_not_affect_the_weights_may_change() -> None:
    values = {"data.source": "elsewhere", "data.languages": "de"} | {"run.name": "new", "run.best_of_seeds": 3}
    values |= {"run.threshold": "fixed:0.5", "run.calibrate": True}
    assert set(values) <= FREE_TO_CHANGE <= set(Recipe().flatten())
    now = identify(apply_changes(Recipe(), values), TEXTS, TEXTS)
    assert find_first_change(identify(Recipe(), TEXTS, TEXTS), now) is None


def test_another_column_of_the_texts_is_a_change() -> None:
    """The hash of a file does not show which of its columns is read."""
    now = identify(apply_changes(Recipe(), {"data.text_column": "title"}), TEXTS, TEXTS)
    assert "data.text_column 'text', not 'title'" == find_first_change(identify(Recipe(), TEXTS, TEXTS), now)


def test_other_targets_of_the_same_texts_are_a_change() -> None:
    """For example, with a teacher."""
    soft = replace(TEXTS, targets_NK=TEXTS.targets_NK * np.float32(0.5))
    found = find_first_change(identify(Recipe(), TEXTS, TEXTS), identify(Recipe(), soft, TEXTS))
    assert found is not None
    assert found.startswith("training targets")


def test_a_run_that_started_from_another_artifact_is_another_run(tmp_path: Path) -> None:
    """The folder of an artifact can get other weights between an interrupted run and its continuation."""
    before, now = (
        Checkpoints(tmp_path, Recipe(), TEXTS, TEXTS, start=start) for start in ("a (sha256:1)", "a (sha256:2)")
    )
    before.begin(Recipe(), "emotag-train fit")
    before.save(Checkpoint({}, {}))
    with pytest.raises(CheckpointError, match="artifact 'a"):
        now.load(torch.device("cpu"))
