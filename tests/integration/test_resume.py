"""A run that is stopped and resumed equals the one that never was, bit for bit; no other is resumed in its place."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model import artifact
from model.tokens import Tokens
from tests.integration.test_training import run
from training.checkpoint import CheckpointError, Checkpoints, Interrupted
from training.fit import Run, fit
from training.labelled import load_split
from training.progress import Watchers
from training.recipe import PRESETS, Recipe
from training.trunk import load_trunk

STEPS_AN_EPOCH = 5
EVERYTHING = Recipe(
    epochs=3,
    batch_size=20,
    precision="fp32",
    max_tokens=16,
    hidden_tokens=0.2,
    ema=0.9,
    loss="asymmetric",
    class_balanced=0.9,
    label_smoothing=0.05,
)
"""All that has a state or draws at random: dropout, hidden tokens, averaged weights, a rate that rises and falls."""
TWICE = EVERYTHING.model_copy(
    update={"loss": "distribution_balanced", "multi_sample_dropout": 3, "r_drop": 0.5, "cache_frozen": True}
    | {"trainable_layers": 1, "hidden_tokens": 0.0}
)
"""Steps that draw several times, from hidden states that were computed once."""
FROZEN_BATCHES = 2
"""In which frozen layers are run over the hundred texts; before each the run asks whether to stop."""
PLAIN = PRESETS["original"].model_copy(
    update={"epochs": 3, "batch_size": 20, "precision": "fp32", "max_tokens": 16, "trainable_layers": 1}
)


def after(steps: int) -> Callable[[], bool]:
    """Says stop when it is asked for the so-many-th time."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) == steps


def train(
    folder: Path, out: Path, recipe: Recipe, *, resume: bool = False, stop: Callable[[], bool] = lambda: False
) -> Run:
    """One sitting of a run, everything made anew as a new process makes it."""
    train_split, dev_split = (load_split(folder / f"{name}.tsv").take(range(100)) for name in ("train", "dev"))
    start = load_trunk(str(folder / "trunk"))
    torch.manual_seed(recipe.seed)
    dropout = {"head_dropout": recipe.head_dropout, "trunk_dropout": recipe.trunk_dropout}
    model = start.grow(labels=train_split.labels, max_tokens=16, **dropout)
    return fit(
        model,
        Tokens(start.tokenizer, max_tokens=16),
        train_split,
        dev_split,
        recipe,
        progress=Watchers(),
        device=torch.device("cpu"),
        checkpoints=Checkpoints(out, recipe, train_split, dev_split),
        resume=resume,
        stop=stop,
    )


def assert_same(expected: Run, found: Run) -> None:
    """Weights to the last bit, and every figure on the way."""
    assert expected.history == found.history
    assert (expected.best_epoch, expected.texts) == (found.best_epoch, found.texts)
    weights, others = expected.model.state_dict(), found.model.state_dict()
    assert weights.keys() == others.keys()
    assert not [name for name in weights if not torch.equal(weights[name], others[name])]


@pytest.mark.parametrize("recipe", [EVERYTHING, TWICE, PLAIN], ids=["everything", "twice", "plain"])
def test_resumed_is_uninterrupted(folder: Path, tmp_path: Path, recipe: Recipe) -> None:
    """Stopped in the middle of an epoch, at an epoch's last step, right after its end, and several times over."""
    expected = train(folder, tmp_path / "whole", recipe)
    assert_same(expected, train(folder, tmp_path / "again", recipe))
    middle, last, next_first = 2 * STEPS_AN_EPOCH - 2, STEPS_AN_EPOCH, STEPS_AN_EPOCH + 1
    before = FROZEN_BATCHES if recipe.cache_frozen else 0
    for steps in (middle, last, next_first):
        out = tmp_path / str(steps)
        with pytest.raises(Interrupted, match=f"after step {steps} of 15"):
            train(folder, out, recipe, stop=after(before + steps))
        assert_same(expected, train(folder, out, recipe, resume=True))
    out = tmp_path / "often"
    for number in range(4):
        with pytest.raises(Interrupted, match=f"after step {3 * (number + 1)} of 15"):
            train(folder, out, recipe, resume=number > 0, stop=after(before + 3))
    assert_same(expected, train(folder, out, recipe, resume=True))


def test_a_run_is_stopped_while_it_runs_frozen_layers_and_loses_nothing(folder: Path, tmp_path: Path) -> None:
    """In its first sitting, before any step; and in a later one, which keeps the steps of the one before."""
    expected = train(folder, tmp_path / "whole", TWICE)
    out = tmp_path / "stopped"
    with pytest.raises(Interrupted, match="after step 0 of 15"):
        train(folder, out, TWICE, stop=after(1))
    with pytest.raises(Interrupted, match="after step 4 of 15"):
        train(folder, out, TWICE, resume=True, stop=after(FROZEN_BATCHES + 4))
    with pytest.raises(Interrupted, match="after step 4 of 15"):
        train(folder, out, TWICE, resume=True, stop=after(FROZEN_BATCHES))
    assert_same(expected, train(folder, out, TWICE, resume=True))


def test_a_run_that_died_goes_on_from_the_last_epochs_end(folder: Path, tmp_path: Path) -> None:
    """No signal, no farewell: what was done since is done again, and comes out the same."""
    expected = train(folder, tmp_path / "whole", EVERYTHING)

    def die() -> Callable[[], bool]:
        asked = iter(range(1, 10_000))

        def stop() -> bool:
            if next(asked) == STEPS_AN_EPOCH + 3:
                raise KeyboardInterrupt
            return False

        return stop

    with pytest.raises(KeyboardInterrupt):
        train(folder, tmp_path / "died", EVERYTHING, stop=die())
    assert_same(expected, train(folder, tmp_path / "died", EVERYTHING, resume=True))


def test_a_run_that_died_in_a_long_epoch_goes_on_from_the_middle_of_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every ten minutes there is a checkpoint; here after every step, and the one in which it died is done again."""
    expected = train(folder, tmp_path / "whole", EVERYTHING)
    monkeypatch.setattr("training.fit.CHECKPOINT_EVERY_S", 0.0)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(len(asked))
        if len(asked) == STEPS_AN_EPOCH + 3:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        train(folder, tmp_path / "died", EVERYTHING, stop=stop)
    assert_same(expected, train(folder, tmp_path / "died", EVERYTHING, resume=True, stop=stop))
    assert 3 * STEPS_AN_EPOCH + 1 + 1 == len(asked)  # a step twice, and once more when all are done


def test_a_stop_that_comes_while_the_last_epoch_is_measured_is_heeded(folder: Path, tmp_path: Path) -> None:
    expected = train(folder, tmp_path / "whole", PLAIN)
    with pytest.raises(Interrupted, match="after the last epoch"):
        train(folder, tmp_path / "out", PLAIN, stop=after(3 * STEPS_AN_EPOCH + 1))
    assert_same(expected, train(folder, tmp_path / "out", PLAIN, resume=True))


def test_a_run_whose_export_failed_has_nothing_left_to_train(folder: Path, tmp_path: Path) -> None:
    expected = train(folder, tmp_path, EVERYTHING)
    assert_same(expected, train(folder, tmp_path, EVERYTHING, resume=True))


@pytest.fixture(scope="module")
def unfinished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The out folder of a run that was stopped."""
    out = tmp_path_factory.mktemp("unfinished")
    with pytest.raises(Interrupted):
        train(folder, out, EVERYTHING, stop=after(2))
    return out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1e-4}, "learning_rate 0.00015, not 0.0001"),
        ({"seed": 1}, "seed 42, not 1"),
        ({"loss": "bce"}, "loss 'asymmetric', not 'bce'"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(
    folder: Path, unfinished: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message) as refused:
        train(folder, unfinished, EVERYTHING.model_copy(update=changes), resume=True)
    assert 1 == len(str(refused.value).splitlines())


def test_a_checkpoint_of_other_texts_is_refused(folder: Path, unfinished: Path, tmp_path: Path) -> None:
    """Known by what they are: the same texts elsewhere are the same."""
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    (moved / "train.tsv").write_text((folder / "train.tsv").read_text() + "glad\t0\tnew\n")
    with pytest.raises(CheckpointError, match="training texts"):
        train(moved, unfinished, EVERYTHING, resume=True)


def test_what_two_processes_left_is_not_for_one_to_go_on_with(folder: Path, unfinished: Path) -> None:
    splits = [load_split(folder / f"{name}.tsv").take(range(100)) for name in ("train", "dev")]
    with pytest.raises(CheckpointError, match="made with processes 1, not 2"):
        Checkpoints(unfinished, EVERYTHING, *splits, processes=2).load(torch.device("cpu"))


def test_a_resume_that_is_refused_changes_nothing(folder: Path, unfinished: Path) -> None:
    """Or the run could no longer be resumed as it says."""
    splits = [load_split(folder / f"{name}.tsv").take(range(100)) for name in ("train", "dev")]
    Checkpoints(unfinished, EVERYTHING, *splits).begin(EVERYTHING, "emotag-train fit")
    before = {file.name: file.read_bytes() for file in (unfinished / "checkpoint").iterdir()}
    other = EVERYTHING.model_copy(update={"epochs": 9})
    with pytest.raises(CheckpointError, match="made with epochs 3, not 9"):
        Checkpoints(unfinished, other, *splits).begin(other, "emotag-train fit --resume --epochs 9", again=True)
    assert before == {file.name: file.read_bytes() for file in (unfinished / "checkpoint").iterdir()}


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04\x95"])
def test_a_broken_checkpoint_is_refused(folder: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "state.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="broken") as refused:
        train(folder, tmp_path, EVERYTHING, resume=True)
    assert 1 == len(str(refused.value).splitlines())


def test_a_checkpoint_that_would_run_code_is_refused(folder: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    (tmp_path / "checkpoint").mkdir()
    torch.save({"header": "{}", "model": Trap()}, tmp_path / "checkpoint" / "state.pt")
    with pytest.raises(CheckpointError):
        train(folder, tmp_path, EVERYTHING, resume=True)
    assert not (tmp_path / "sprung").exists()


def test_where_nothing_is_there_is_nothing_to_resume(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing to resume"):
        train(folder, tmp_path, EVERYTHING, resume=True)


def started(*arguments: str) -> subprocess.Popen[str]:
    """`emotag-train fit` as a user's shell starts it."""
    command = [sys.executable, "-m", "training", "fit", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    """Its standard error, once it has ended."""
    try:
        return process.communicate(timeout=100)[1]
    finally:
        process.kill()


@pytest.mark.timeout(400)
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(folder: Path, tmp_path: Path) -> None:
    """The resumed run's artifact has the weights of one never stopped; the checkpoint is gone with its use."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    common = ["--data", str(folder), "--trunk", str(folder / "trunk"), "--set", "epochs=6", "--precision", "fp32"]
    process = started(*common, "--out", str(stopped))
    deadline = time.monotonic() + 100
    while not (stopped / "checkpoint" / "state.pt").exists():  # there after the first epoch
        assert process.poll() is None, ended(process)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told = ended(process)
    assert 130 == process.returncode, told
    assert f"go on with: emotag-train fit --resume --out {stopped}" in told
    assert "Traceback" not in told

    with pytest.raises(CheckpointError, match="unfinished run: go on with --resume"):
        run("fit", *common, "--out", str(stopped))
    run("fit", "--resume", "--out", str(stopped))
    assert not (stopped / "checkpoint").exists()
    run("fit", "--config", str(stopped / "recipe.toml"), "--out", str(whole))
    weights = [(out / artifact.WEIGHTS).read_bytes() for out in (whole, stopped)]
    assert weights[0] == weights[1]
    records = [json.loads((out / artifact.TRAINING).read_text()) for out in (whole, stopped)]
    assert records[0]["epochs"] == records[1]["epochs"]
    # What began it gives it anew; what went on with it would give nothing.
    assert shlex.join(["emotag-train", "fit", *common, "--out", str(stopped)]) == records[1]["command"]


def test_a_model_that_is_there_stays_whole_until_a_run_has_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through an interruption and a failure at the very end; the command that began that run goes on with it, given
    --resume. What `auto` came to is not asked again, and what a sitting changed holds for the next ones.
    """
    settings, out = tmp_path / "settings.toml", tmp_path / "out"
    settings.write_text("seed = 7\nepochs = 1\n")
    common = ["--data", str(folder), "--trunk", str(folder / "trunk"), "--out", str(out)]
    run("fit", *common, "--epochs", "1", "--precision", "fp32")
    before = artifact.load(out)

    def interrupted(*arguments: Any, **named: Any) -> Run:
        return fit(*arguments, **{**named, "stop": after(1)})

    def full(*_: Any, **__: Any) -> Any:
        raise OSError("no space left")

    def asked_to_end(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    again = ["fit", "--config", str(settings), *common]
    with monkeypatch.context() as patched:
        patched.setattr("training.job.fastest_precision", lambda *_: "bf16")
        patched.setattr("training.job.fit", interrupted)
        patched.setattr("sys.argv", ["emotag-train", *again])
        with pytest.raises(Interrupted):
            run(*again)
    monkeypatch.setattr("training.job.fastest_precision", lambda *_: "fp32")
    assert before.version == artifact.load(out).version
    renaming = [*again, "--resume", "--name", "new"]
    with monkeypatch.context() as patched:
        patched.setattr("training.export.tune", full)
        patched.setattr("sys.argv", ["emotag-train", *renaming])
        with pytest.raises(OSError, match="no space left"):
            run(*renaming)
        patched.setattr("training.export.tune", asked_to_end)
        with pytest.raises(Interrupted, match="after the last epoch; go on with: emotag-train fit --resume"):
            run(*renaming)
    assert before.version == artifact.load(out).version
    run("fit", "--resume", "--out", str(out))
    made = artifact.load(out)
    assert ("new", 7, "bf16") == (made.name, made.training["seed"], made.training["recipe"]["precision"])
    assert [shlex.join(["emotag-train", *given]) for given in (again, renaming)] == made.training["command"].split("\n")
    assert not (out / "checkpoint").exists()
