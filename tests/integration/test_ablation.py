"""`emotag-train ablate`: what each change of a recipe is worth, by runs that are never done twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.integration.test_training import mistake, run
from training import ablation
from training.ablation import PLAIN, AblationError, table, variations_of
from training.checkpoint import Interrupted
from training.fit import epoch_figures, fit
from training.intervals import differences
from training.labelled import load_split
from training.recipe import Recipe, RecipeError

VARIED = ("--vary", "loss=focal,focal_gamma=1", "--vary", "multi_sample_dropout=2,r_drop=0.5,kernel_sizes=3+5")


def options(folder: Path, out: Path) -> list[str]:
    small = [f"--set={key}" for key in ("limit=64", "epochs=1", "precision=fp32", "max_tokens=16")]
    return ["--data", str(folder), "--set", f"trunk={folder / 'trunk'}", *small, "--out", str(out)]


@pytest.fixture(scope="module")
def ablated(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two variations and one seed."""
    out = tmp_path_factory.mktemp("ablated")
    run("ablate", *options(folder, out), *VARIED, "--seeds", "1")
    return out


def record(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "ablation.json").read_text())
    return found


def test_each_variation_is_measured_beside_the_recipe_as_it_is(folder: Path, ablated: Path) -> None:
    """Differences are those that `compare` would give of the same two runs; no weights are left."""
    found = record(ablated)
    assert (64, [42], 3) == (found["texts"], found["seeds"], len(found["variations"]))
    plain, focal, _ = found["variations"]
    assert (PLAIN, {}, "loss=focal, focal_gamma=1") == (plain["name"], plain["differences"], focal["name"])
    paths = [next((ablated / "runs").glob(f"{name}*/42/dev.npz")) for name in ("the_recipe", "loss=focal")]
    a, b = (np.load(path)["probabilities"] for path in paths)
    dev = load_split(folder / "dev.tsv").take(range(64))
    expected = differences((a, b), ([0.51] * 3, [0.51] * 3), dev.targets_NK)
    assert {name: expected[name] for name in ablation.FIGURES} == focal["differences"]
    for name, spread in focal["figures"].items():
        assert {"mean": expected[name]["b"], "std": None} == spread
        assert expected[name]["b"] == pytest.approx(focal["runs"][0]["figures"][name], abs=1e-4)
    assert {"dev.npz", "run.json"} == {file.name for path in paths for file in path.parent.iterdir()}
    assert table(found) == (ablated / "ablation.md").read_text()
    assert "loss=focal, focal_gamma=1 | " in table(found)


def test_what_is_there_is_not_trained_again(
    folder: Path, ablated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose record is missing is, and comes to the same; a variation more trains itself alone."""
    out = tmp_path / "again"
    shutil.copytree(ablated, out)
    lost = next((out / "runs").glob("loss=focal*/42"))
    shutil.rmtree(lost)
    trained: list[Recipe] = []

    def counted(*arguments: Any, **named: Any) -> Any:
        trained.append(arguments[4])
        return fit(*arguments, **named)

    monkeypatch.setattr("training.ablation.fit", counted)
    run("ablate", *options(folder, out), *VARIED, "--vary", "ema=0", "--seeds", "1")
    assert ["focal", "bce"] == [recipe.loss for recipe in trained]
    assert [0.999, 0.0] == [recipe.ema for recipe in trained]
    timed = ("minutes", "examples_per_s")
    before, after = (
        [{**row, "runs": [{k: v for k, v in of.items() if k not in timed} for of in row["runs"]]} for row in rows]
        for rows in (record(ablated)["variations"], record(out)["variations"])
    )
    assert before == after[:3]


def test_another_recipe_or_other_texts_are_not_mixed_in(folder: Path, ablated: Path, tmp_path: Path) -> None:
    with pytest.raises(AblationError, match="an ablation with epochs 1, not 2"):
        run("ablate", *options(folder, ablated), *VARIED, "--set", "epochs=2")
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    (moved / "dev.tsv").write_text("glad\t0\tnew\n" + (folder / "dev.tsv").read_text())
    with pytest.raises(AblationError, match="dev texts"):
        run("ablate", *options(moved, ablated), *VARIED, "--set", f"trunk={folder / 'trunk'}", "--seeds", "1")


@pytest.mark.parametrize(
    ("variation", "message"),
    [
        ("los=focal", "--vary los=focal: 'los' is no key of a recipe; did you mean loss?"),
        ("loss=hinge", "loss = 'hinge'"),
        ("loss", "it takes KEY=VALUE"),
        ("seed=3", "seed is the same for all"),
        ("loss=bce", "the same as 'the recipe as it is'"),
    ],
)
def test_a_mistake_in_a_variation_shows_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variation: str, message: str
) -> None:
    command = f"ablate --data /nowhere --out {tmp_path / 'out'} --vary ema=0 --vary {variation}"
    assert message in mistake(monkeypatch, capsys, command)
    assert not (tmp_path / "out").exists()


def test_commas_part_assignments_and_not_what_a_value_holds() -> None:
    (_, found) = variations_of(Recipe(), ["teacher=a,b.safetensors, teacher_share=0.5"])
    assert ("a,b.safetensors", 0.5) == (found.recipe.teacher, found.recipe.teacher_share)


def test_the_table_says_what_is_shown_what_is_not_and_what_is_undefined() -> None:
    figures = {name: {"mean": 0.5, "std": 0.01} for name in ablation.FIGURES}
    lost = {"difference": -0.1, "interval": [-0.2, -0.05], "shown": True}
    unsure = {"difference": 0.1, "interval": [-0.2, 0.3], "shown": False}
    rows = [
        {"name": PLAIN, "figures": {**figures, "roc_auc": None}, "differences": {}},
        {
            "name": "ema=0",
            "figures": figures,
            "differences": {"macro_f1_cross_fitted": lost, "mean_average_precision": unsure},
        },
    ]
    about = {"recipe": {"preset": "p", "trunk": "t"}, "texts": 9, "dev_sha256": "ab" * 32, "seeds": [1, 2]}
    made = table({**about, "level": 0.95, "resamples": 1000, "variations": rows})
    plain, varied = (line for line in made.splitlines() if line.startswith(("| the", "| ema")))
    assert 1 == plain.count("undefined")
    assert "0.5000 ± 0.0100<br>**-0.1000 (-0.2000 to -0.0500)** |" in varied
    assert "<br>+0.1000 (-0.2000 to +0.3000) |" in varied


def test_several_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one machine, or one on each of two."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(AblationError, match="without torchrun"):
        ablation.ablate(Recipe(), ["ema=0"], seeds=1, out=tmp_path, console=Console(quiet=True))


def test_a_variation_without_a_sense_is_refused_with_its_reason() -> None:
    with pytest.raises(RecipeError, match="takes a teacher"):
        variations_of(Recipe(), ["confident_learning=true"])


def test_several_runs_at_a_time_come_to_the_same_table(folder: Path, ablated: Path, tmp_path: Path) -> None:
    """Each in a process of its own."""
    run("ablate", *options(folder, tmp_path / "two"), *VARIED, "--seeds", "1", "--processes", "2")
    assert (ablated / "ablation.md").read_text() == (tmp_path / "two" / "ablation.md").read_text()


def test_a_run_of_other_texts_is_refused_before_any_process_trains(
    folder: Path, ablated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not hours later; and what is there starts no process."""
    out = tmp_path / "out"
    shutil.copytree(ablated, out)
    monkeypatch.setattr(
        "training.ablation.each_in_its_own", lambda _, jobs, **__: pytest.fail("trains") if jobs else ()
    )
    run("ablate", *options(folder, out), *VARIED, "--seeds", "1", "--processes", "2")
    shutil.rmtree(next((out / "runs").glob("loss=focal*/42")))
    other = next((out / "runs").glob("multi*/42/run.json"))
    found = json.loads(other.read_text())
    other.write_text(json.dumps({**found, "made_from": {**found["made_from"], "dev texts": "others"}}))
    with pytest.raises(AblationError, match="was trained with dev texts"):
        run("ablate", *options(folder, out), *VARIED, "--seeds", "1", "--processes", "2")


def test_ctrl_c_while_a_run_is_measured_begins_no_other(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no step left that could hear it; its figures are kept all the same."""

    def figures(*given: Any) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGINT)
        return epoch_figures(*given)

    monkeypatch.setattr("training.ablation.epoch_figures", figures)
    out = tmp_path / "out"
    with pytest.raises(Interrupted, match="go on with the same command"):
        run("ablate", *options(folder, out), "--vary", "ema=0", "--seeds", "2")
    assert 1 == len(list(out.glob("runs/*/*/run.json")))
    assert 1 == len(list(out.glob("runs/*/*")))


@pytest.mark.timeout(400)
def test_ctrl_c_ends_what_is_trained_and_begins_no_other_run(folder: Path, tmp_path: Path) -> None:
    """As a terminal sends it; given again, in whatever number of processes, the command goes on to a table."""
    out = tmp_path / "out"
    given = [*options(folder, out), "--set", "epochs=40", "--vary", "ema=0", "--seeds", "2"]
    command = [sys.executable, "-m", "training", "ablate", *given, "--processes", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 200
        while len(list(out.glob("runs/*/*/checkpoint/state.pt"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        begun = set(out.glob("runs/*/*"))
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=100)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (130, "emotag-train: interrupted; go on with the same command\n") == (process.returncode, told)
    assert begun == set(out.glob("runs/*/*"))
    run("ablate", *given)
    assert [2, 2] == [len(row["runs"]) for row in record(out)["variations"]]
