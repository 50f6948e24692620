"""Two processes that train together come to what one comes to alone, and only the first of them writes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from model import artifact
from training.ranks import Ranks

TWO = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", "--no-python")
TRAIN = (sys.executable, "-m", "training", "fit")
STEADY = ("--set", "head_dropout=0", "--set", "trunk_dropout=0", "--set", "hidden_tokens=0")
"""Nothing drawn at random: each process draws for itself."""


def started(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    common = ("--data", str(folder), "--trunk", str(folder / "trunk"), "--precision", "fp32", "--device", "cpu")
    return subprocess.Popen([*arguments, *common], stderr=subprocess.PIPE, text=True, start_new_session=True)


def ended(process: "subprocess.Popen[str]") -> str:
    """Its standard error, once it has ended."""
    try:
        return process.communicate(timeout=200)[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.timeout(400)
def test_two_processes_come_to_the_weights_of_one(folder: Path, tmp_path: Path) -> None:
    """Through batches of an odd number of texts, and a last one of fewer texts than processes."""
    sizes = ("--set", "batch_size=71", "--set", "epochs=2")  # 640 = 9 * 71 + 1
    found = []
    for name, command in (("one", TRAIN), ("two", (*TWO, *TRAIN))):
        process = started(folder, *command, *STEADY, *sizes, "--out", str(tmp_path / name))
        told = ended(process)
        assert 0 == process.returncode, told
        assert 1 == told.count("trained at"), told
        found.append(artifact.load(tmp_path / name))
    one, two = found
    assert (1, 2) == (one.training["processes"], two.training["processes"])
    for name, values in one.weights.items():
        assert np.abs(values - two.weights[name]).max() < 2e-3, name  # they are stored with half precision
    losses, others = ([epoch["train_loss"] for epoch in trained.training["epochs"]] for trained in found)
    assert np.allclose(losses, others, atol=1e-4)
    assert losses[1] < losses[0]


@pytest.mark.timeout(400)
def test_processes_that_are_stopped_together_go_on_together(folder: Path, tmp_path: Path) -> None:
    """With dropout: what each process drew from is in the checkpoint too."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    process = started(folder, *TWO, *TRAIN, "--set", "epochs=8", "--out", str(stopped))
    deadline = time.monotonic() + 100
    while not (stopped / "checkpoint" / "state.pt").exists():
        assert process.poll() is None, ended(process)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    told = ended(process)
    assert f"go on with: emotag-train fit --resume --out {stopped}" in told

    resumed = started(folder, *TWO, *TRAIN, "--resume", "--out", str(stopped))
    told = ended(resumed)
    assert 0 == resumed.returncode, told
    uninterrupted = started(folder, *TWO, *TRAIN, "--set", "epochs=8", "--out", str(whole))
    told = ended(uninterrupted)
    assert 0 == uninterrupted.returncode, told
    epochs = [json.loads((out / artifact.TRAINING).read_text())["epochs"] for out in (stopped, whole)]
    assert epochs[0] == epochs[1]


@pytest.mark.parametrize("texts", [2, 3, 7, 8])
def test_each_row_of_a_batch_is_one_processs_and_weighs_alike(texts: int) -> None:
    rows = np.arange(texts)
    everybody = [Ranks(rank, 3) for rank in range(3)]
    shares = [ranks.share(rows) for ranks in everybody]
    losses = np.arange(texts) ** 2.0
    mean = np.mean(
        [ranks.weight(len(share), texts) * losses[share].mean() for ranks, share in zip(everybody, shares, strict=True)]
    )
    assert mean == pytest.approx(losses.mean())
