"""Two processes that train together get the result of one, and only the first one writes."""

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotag_model import artifact
from emotag_training.cli import main
from emotag_training.errors import Interrupted
from emotag_training.loop.distributed import ALONE, Ranks
from emotag_training.loop.state import Run
from tests.integration.training.test_training import run

TWO = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
COMMAND = str(Path(sys.executable).with_name("emotag-train"))
STEADY = ("--set", "head.dropout=0", "--set", "encoder.dropout=0", "--set", "encoder.token_masking=0")
"""A recipe without random numbers, because each process draws different ones."""


@pytest.mark.timeout(300)
def test_two_processes_come_to_the_weights_of_one(folder: Path, tmp_path: Path) -> None:
    """With batches of an odd number of texts, and a last batch with fewer texts than processes."""
    sizes = ("--set", "schedule.batch_size=71", "--set", "schedule.epochs=2")  # 640 = 9 * 71 + 1
    common = ("--data", str(folder), "--encoder", str(folder / "encoder"), "--precision", "fp32", "--device", "cpu")
    options = (*common, *STEADY, *sizes, "--out")
    run("fit", *options, str(tmp_path / "one"))
    done = subprocess.run(
        [*TWO, "--no-python", COMMAND, "fit", *options, str(tmp_path / "two")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert 1 == done.stderr.count("trained at"), done.stderr
    one, two = artifact.load(tmp_path / "one"), artifact.load(tmp_path / "two")
    assert (1, 2) == (one.training["processes"], two.training["processes"])
    assert two.training["command"].startswith("torchrun --nproc-per-node 2 --no-python emotag-train fit --data ")
    for name, values in one.weights.items():
        assert np.abs(values - two.weights[name]).max() < 2e-3, name  # they are stored in half precision
    losses, others = ([epoch["train_loss"] for epoch in found.training["epochs"]] for found in (one, two))
    assert np.allclose(losses, others, atol=1e-4)
    assert losses[1] < losses[0]


@pytest.mark.timeout(300)
def test_processes_that_are_stopped_together_go_on_together_bit_for_bit(tmp_path: Path) -> None:
    """One process gets the signal, between two steps or while frozen layers run, and both stop. The checkpoint contains
    the random state of each. No thread is left that could free a tensor while Python ends, because that aborts."""
    done = subprocess.run(
        [*TWO, "-m", "tests.integration.training.two_ranks", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert 0 == done.returncode, done.stderr
    for name, steps in (("steps", 3), ("frozen", 0)):
        same = json.loads((tmp_path / f"{name}.json").read_text())
        assert f"interrupted in epoch 1, after step {steps} of 10" == same["told"]
        assert [] == same["different"]
        assert same["histories"][0] == same["histories"][1]
    for rank in range(2):
        assert "[]" == (tmp_path / f"left-{rank}.json").read_text()


@pytest.mark.parametrize("rank", [0, 1])
def test_one_of_several_says_how_all_of_them_go_on(
    rank: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the same number of machines and processes: one process cannot resume the run."""

    def interrupted(*_: Any, **__: Any) -> Run:
        raise Interrupted("interrupted in epoch 1")

    for name, value in (("RANK", rank), ("LOCAL_WORLD_SIZE", 2), ("WORLD_SIZE", 4)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("emotag_training.run.join_processes", lambda _: nullcontext((ALONE, torch.device("cpu"))))
    monkeypatch.setattr("emotag_training.run.fit", interrupted)
    command = f"emotag-train fit --smoke --data {folder} --encoder {folder / 'encoder'} --out {tmp_path}"
    monkeypatch.setattr(sys, "argv", command.split())
    with pytest.raises(SystemExit) as ended:
        main()
    assert 130 == ended.value.code
    again = f"torchrun --nnodes 2 --nproc-per-node 2 --no-python emotag-train fit --resume --out {tmp_path}"
    told = f"interrupted in epoch 1; continue with: {again}"
    assert capsys.readouterr().err.endswith(f"emotag-train: {told}\n") == (rank == 0)


@pytest.mark.parametrize("texts", [2, 3, 7, 8])
def test_each_row_of_a_batch_is_one_processs_and_weighs_alike(texts: int) -> None:
    rows = np.arange(texts)
    everybody = [Ranks(rank, 3) for rank in range(3)]
    shares = [ranks.share(rows) for ranks in everybody]
    losses = np.arange(texts) ** 2.0
    mean = np.mean(
        [ranks.weight(len(own), texts) * losses[own].mean() for ranks, own in zip(everybody, shares, strict=True)]
    )
    assert mean == pytest.approx(losses.mean())
