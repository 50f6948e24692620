"""A run that is stopped and resumed equals an uninterrupted one, bit for bit. No other run is resumed in its place."""

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

import numpy as np
import pytest
import torch

from emotag_model import artifact
from emotag_model.tokens import Tokens
from emotag_training.data.split import TokenizedSplit
from emotag_training.data.table import load_split
from emotag_training.encoders.pretrained import load_encoder
from emotag_training.errors import CheckpointError, Interrupted, RecipeError
from emotag_training.loop.checkpoint import Checkpoints
from emotag_training.loop.fit import fit
from emotag_training.loop.state import Run
from emotag_training.loop.trackers import Watchers
from emotag_training.presets import PRESETS, apply_changes
from emotag_training.recipe import Recipe
from tests.integration.training.test_training import run

STEPS_AN_EPOCH = 5
SMALL = {"schedule.epochs": 3, "schedule.batch_size": 20, "run.precision": "fp32", "encoder.max_tokens": 16}
EVERYTHING = apply_changes(
    Recipe(),
    {
        **SMALL,
        "encoder.token_masking": 0.2,
        "schedule.ema": 0.9,
        "loss.kind": "asymmetric",
        "loss.class_balanced": 0.9,
    },
)
"""Everything with state or random numbers: dropout, token masking, averaged weights, a rate that rises and falls."""
CACHED = apply_changes(
    EVERYTHING, {"encoder.cache_frozen": True, "encoder.trainable_layers": 1, "encoder.token_masking": 0.0}
)
"""Steps that use cached hidden states."""
FROZEN_BATCHES = 2
"""Number of batches for the frozen layers and a hundred texts. Before each one, the run checks if it should stop."""
PLAIN = apply_changes(PRESETS["reference"], {**SMALL, "encoder.trainable_layers": 1})


def after(steps: int) -> Callable[[], bool]:
    """Return a function that returns True at a given call."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) == steps


def train(
    folder: Path, out: Path, recipe: Recipe, *, resume: bool = False, stop: Callable[[], bool] = lambda: False
) -> Run:
    """Run until the end or a stop, with new objects, like a new process."""
    train_split, dev_split = (load_split(folder / f"{name}.tsv").take(range(100)) for name in ("train", "dev"))
    start = load_encoder(str(folder / "encoder"))
    torch.manual_seed(recipe.run.seed)
    dropout = {"head_dropout": recipe.head.dropout, "encoder_dropout": recipe.encoder.dropout}
    model = start.grow(labels=train_split.labels, max_tokens=16, **dropout)
    tokens = Tokens(start.tokenizer, max_tokens=16)
    return fit(
        model,
        TokenizedSplit.of(train_split, tokens),
        TokenizedSplit.of(dev_split, tokens),
        recipe,
        progress=Watchers(),
        device=torch.device("cpu"),
        mask_id=tokens.id_of("[MASK]"),
        checkpoints=Checkpoints(out, recipe, train_split, dev_split),
        resume=resume,
        stop=stop,
    )


def assert_same(expected: Run, found: Run) -> None:
    """Compare weights bit for bit, and every figure."""
    assert expected.history == found.history
    assert (expected.best_epoch, expected.texts) == (found.best_epoch, found.texts)
    weights, others = expected.model.state_dict(), found.model.state_dict()
    assert weights.keys() == others.keys()
    assert not [name for name in weights if not torch.equal(weights[name], others[name])]


def test_a_run_whose_weights_are_lost_ends_at_once_with_the_cause(folder: Path, tmp_path: Path) -> None:
    recipe = apply_changes(PLAIN, {"schedule.learning_rate": 1e30, "schedule.head_learning_rate": 1e30})
    with pytest.raises(
        RecipeError, match=r"not finite numbers any more after step \d; .* lower schedule.learning_rate \(1e\+30\)"
    ):
        train(folder, tmp_path / "lost", recipe)


def test_weights_that_are_lost_in_the_last_step_of_an_epoch_are_noticed_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = np.full((100, 1), np.nan, np.float32)
    monkeypatch.setattr("emotag_training.loop.fit.compute_probabilities", lambda *_, **__: lost)
    with pytest.raises(RecipeError, match=f"not finite numbers any more after step {STEPS_AN_EPOCH}; "):
        train(folder, tmp_path / "lost", PLAIN)


@pytest.mark.parametrize("recipe", [EVERYTHING, CACHED, PLAIN], ids=["everything", "cached", "plain"])
def test_resumed_is_uninterrupted(folder: Path, tmp_path: Path, recipe: Recipe) -> None:
    """Stopped in the middle of an epoch, at its last step, right after its end, and several times."""
    expected = train(folder, tmp_path / "whole", recipe)
    assert_same(expected, train(folder, tmp_path / "again", recipe))
    middle, last, next_first = 2 * STEPS_AN_EPOCH - 2, STEPS_AN_EPOCH, STEPS_AN_EPOCH + 1
    before = FROZEN_BATCHES if recipe.encoder.cache_frozen else 0
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
    """Before any step; and after a resume, which keeps the steps before it."""
    expected = train(folder, tmp_path / "whole", CACHED)
    out = tmp_path / "stopped"
    with pytest.raises(Interrupted, match="after step 0 of 15"):
        train(folder, out, CACHED, stop=after(1))
    with pytest.raises(Interrupted, match="after step 4 of 15"):
        train(folder, out, CACHED, resume=True, stop=after(FROZEN_BATCHES + 4))
    with pytest.raises(Interrupted, match="after step 4 of 15"):
        train(folder, out, CACHED, resume=True, stop=after(FROZEN_BATCHES))
    assert_same(expected, train(folder, out, CACHED, resume=True))


@pytest.mark.parametrize("every_s", [600.0, 0.0], ids=["at the end of an epoch", "in the middle of a long one"])
def test_a_run_that_died_goes_on_from_its_last_checkpoint(
    folder: Path, tmp_path: Path, every_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a signal: steps since the checkpoint are repeated, with the same results."""
    expected = train(folder, tmp_path / "whole", EVERYTHING)
    monkeypatch.setattr("emotag_training.loop.fit.CHECKPOINT_EVERY_S", every_s)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(len(asked))
        if len(asked) == STEPS_AN_EPOCH + 3:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        train(folder, tmp_path / "died", EVERYTHING, stop=stop)
    assert_same(expected, train(folder, tmp_path / "died", EVERYTHING, resume=True, stop=stop))
    again = 1 if every_s == 0.0 else 3  # steps that run twice; the function is called once more after the last step
    assert 3 * STEPS_AN_EPOCH + again + 1 == len(asked)


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
    """Return the out folder of a stopped run."""
    out = tmp_path_factory.mktemp("unfinished")
    with pytest.raises(Interrupted):
        train(folder, out, EVERYTHING, stop=after(2))
    return out


def test_a_checkpoint_of_other_texts_is_refused(folder: Path, unfinished: Path, tmp_path: Path) -> None:
    """Texts are identified by their content: the same texts in another folder are accepted."""
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
    """Otherwise the recommended command could not resume the run."""
    splits = [load_split(folder / f"{name}.tsv").take(range(100)) for name in ("train", "dev")]
    Checkpoints(unfinished, EVERYTHING, *splits).begin(EVERYTHING, "emotag-train fit")
    before = {file.name: file.read_bytes() for file in (unfinished / "checkpoint").iterdir()}
    other = apply_changes(EVERYTHING, {"schedule.epochs": 9})
    with pytest.raises(CheckpointError, match=r"made with schedule\.epochs 3, not 9"):
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
    with pytest.raises(CheckpointError, match=r"no unfinished run to resume|start the run without --resume"):
        train(folder, tmp_path, EVERYTHING, resume=True)


def started(*arguments: str) -> subprocess.Popen[str]:
    """Start `emotag-train fit` like a user's shell."""
    command = [sys.executable, "-m", "emotag_training", "fit", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    """Wait until it has ended, and return its standard error."""
    try:
        return process.communicate(timeout=100)[1]
    finally:
        process.kill()


@pytest.mark.timeout(400)
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(folder: Path, tmp_path: Path) -> None:
    """The artifact of the resumed run has the weights of an uninterrupted one, and the checkpoint is deleted."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    common = [
        "--data",
        str(folder),
        "--encoder",
        str(folder / "encoder"),
        "--set",
        "schedule.epochs=6",
        "--precision",
        "fp32",
    ]
    process = started(*common, "--out", str(stopped))
    deadline = time.monotonic() + 100
    while not (stopped / "checkpoint" / "state.pt").exists():  # it exists after the first epoch
        assert process.poll() is None, ended(process)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told = ended(process)
    assert 130 == process.returncode, told
    assert f"continue with: emotag-train fit --resume --out {stopped}" in told
    assert "Traceback" not in told

    with pytest.raises(CheckpointError, match="unfinished run: continue it with --resume"):
        run("fit", *common, "--out", str(stopped))
    run("fit", "--resume", "--out", str(stopped))
    assert not (stopped / "checkpoint").exists()
    run("fit", "--config", str(stopped / "recipe.toml"), "--out", str(whole))
    weights = [(out / artifact.WEIGHTS).read_bytes() for out in (whole, stopped)]
    assert weights[0] == weights[1]
    records = [json.loads((out / artifact.TRAINING).read_text()) for out in (whole, stopped)]
    assert records[0]["epochs"] == records[1]["epochs"]
    # Only the command that began the run repeats it; the one that resumed it does not.
    assert shlex.join(["emotag-train", "fit", *common, "--out", str(stopped)]) == records[1]["command"]


def test_a_model_that_is_there_stays_whole_until_a_run_has_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through an interruption and a failure at the end. The command that began the run resumes it, with --resume. The
    choice of `auto` is kept, and so are changes that a resumed run made.
    """
    settings, out = tmp_path / "settings.toml", tmp_path / "out"
    settings.write_text("[run]\nseed = 7\n[schedule]\nepochs = 1\n")
    common = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--out", str(out)]
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
        patched.setattr("emotag_training.run.measure_fastest_precision", lambda *_: "bf16")
        patched.setattr("emotag_training.run.fit", interrupted)
        patched.setattr("sys.argv", ["emotag-train", *again])
        with pytest.raises(Interrupted):
            run(*again)
    monkeypatch.setattr("emotag_training.run.measure_fastest_precision", lambda *_: "fp32")
    assert before.version == artifact.load(out).version
    renaming = [*again, "--resume", "--name", "new"]
    with monkeypatch.context() as patched:
        patched.setattr("emotag_training.export.artifact_writer.tune", full)
        patched.setattr("sys.argv", ["emotag-train", *renaming])
        with pytest.raises(OSError, match="no space left"):
            run(*renaming)
        patched.setattr("emotag_training.export.artifact_writer.tune", asked_to_end)
        with pytest.raises(Interrupted, match="after the last epoch; continue with: emotag-train fit --resume"):
            run(*renaming)
    assert before.version == artifact.load(out).version
    run("fit", "--resume", "--out", str(out))
    made = artifact.load(out)
    assert ("new", 7, "bf16") == (made.name, made.training["seed"], made.training["recipe"]["run"]["precision"])
    assert [shlex.join(["emotag-train", *given]) for given in (again, renaming)] == made.training["command"].split("\n")
    assert not (out / "checkpoint").exists()
