"""`emotag-train` from a folder of texts to a model that tags, on a tiny trunk and a learnable toy."""

import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from model import artifact
from model.artifact import Artifact
from model.distilbert_cnn import DistilBertCNN
from model.tagger import EmotionTagger
from model.tokens import TokenIds
from schemas.labels import LABELS
from tests.integration.conftest import untrained
from tests.numerics.conftest import tiny_config
from training import data_set
from training.batches import bucketed_batches, hide
from training.card import card
from training.cli import app, main
from training.data import DataError
from training.evaluate import learnt_from, measured, predict
from training.fit import parameter_groups, probabilities
from training.goemotions import SHA256
from training.labelled import load_split
from training.metrics import calibration_errors
from training.recipe import PRESETS, Recipe, resolve
from training.slices import VARIETIES
from training.trunk import load_trunk
from training.tune import tune


def run(*arguments: str) -> str:
    """Run a command of emotag-train in this process; its standard output."""
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert 0 == done.exit_code, done.output
    return done.stdout


def mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str) -> str:
    """What a command that is refused says: one line on standard error, with code 2; in this process."""
    monkeypatch.setattr(sys, "argv", ["emotag-train", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert 2 == ended.value.code
    told = capsys.readouterr().err
    assert told.startswith("emotag-train: ")
    assert 1 == len(told.splitlines()), told
    return told


@pytest.mark.timeout(300)
def test_a_model_is_fitted_evaluated_tuned_and_exported(folder: Path, tmp_path: Path) -> None:
    """From texts to an artifact that knows what it learnt, with everything that made it written down."""
    out = tmp_path / "toy"
    common = ["--data", str(folder)]
    run("fit", *common, "--trunk", str(folder / "trunk"), "--out", str(out), "--epochs", "6", "--precision", "fp32")
    figures = json.loads(run("evaluate", *common, "--model", str(out), "--json"))
    assert figures["macro_f1_cross_fitted"] > 0.9
    tagging = EmotionTagger.load(out, on="cpu", precision="fp32").tag(["glad xyz"])[0]
    assert "joy" == tagging.emotions[0].label

    made = artifact.load(out)
    assert {"command", "seed", "recipe", "data", "versions", "epochs"} <= set(made.training)
    assert made.training["examples_per_s"] > 0
    assert made.training["times_the_original"] > 1  # these texts have a dozen tokens, not 128
    assert made.training["recipe"] == resolve(None, out / "recipe.toml", {}).model_dump()
    assert load_split(folder / "train.tsv").sha256 == made.training["data"]["train_sha256"]
    assert figures["macro_f1_cross_fitted"] == made.metrics["dev"]["macro_f1_cross_fitted"]

    assert made.reference is not None
    assert made.reference.texts == 160
    assert list(made.config.labels) == list(made.reference.label_rates)
    (out / artifact.REFERENCE).unlink()  # as artifacts were before there was one
    artifact._write_sums(out)
    run("tune", *common, "--model", str(out), "--policy", "fixed:0.4")
    tuned = artifact.load(out)
    assert tuned.reference is not None
    assert made.reference.written() == tuned.reference.written()
    assert (0.4,) * 3 == tuned.thresholds.values
    assert made.version == tuned.version

    run("export", "--model", str(out), "--out", str(tmp_path / "full"), "--dtype", "fp32")
    assert tuned.thresholds == artifact.load(tmp_path / "full").thresholds


def test_a_smoke_run_is_a_whole_run_of_200_rows(folder: Path, tmp_path: Path) -> None:
    """Through every loss's option but the default's, since it is there to see that everything runs."""
    out = tmp_path / "smoke"
    changes = ["--set", "loss=asymmetric", "--set", f"trunk={folder / 'trunk'}", "--set", f"data={folder}"]
    began = time.monotonic()
    run("fit", "--smoke", *changes, "--out", str(out))
    assert time.monotonic() - began < 60
    made = artifact.load(out)
    assert (200, 1) == (made.training["recipe"]["limit"], made.training["recipe"]["epochs"])
    assert 160 == made.metrics["dev"]["texts"]  # all that there are
    assert made.training["recipe"]["precision"] in ("fp32", "bf16")  # what was measured, not `auto`


def test_dev_texts_that_rank_no_label_are_refused_before_anything_trains(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best epoch is told by ranking: an hour later there would be none."""
    shutil.copytree(folder, tmp_path / "data")
    (tmp_path / "data" / "dev.tsv").write_text("glad\t0\ta\n" * 40)
    command = f"fit --data {tmp_path / 'data'} --trunk {folder / 'trunk'} --out {tmp_path / 'out'}"
    assert "these 40 dev texts tell no model from another" in mistake(monkeypatch, capsys, command)


def test_ctrl_c_outside_of_training_is_one_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the exit code of whoever is ended by it."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.cli.artifact.load", interrupted)
    monkeypatch.setattr(sys, "argv", ["emotag-train", "evaluate", "--data", "anywhere"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (130, "emotag-train: interrupted\n") == (ended.value.code, capsys.readouterr().err)


def test_the_seed_decides_the_model(folder: Path, tmp_path: Path) -> None:
    """The same one gives the same bits, another one others; the precision's measurement takes no part."""
    common = ["--smoke", "--data", str(folder), "--trunk", str(folder / "trunk")]
    run("fit", *common, "--out", str(tmp_path / "first"))
    run("fit", "--config", str(tmp_path / "first" / "recipe.toml"), "--out", str(tmp_path / "same"))
    run("fit", "--config", str(tmp_path / "first" / "recipe.toml"), "--seed", "1", "--out", str(tmp_path / "other"))
    first, same, other = ((tmp_path / name / artifact.WEIGHTS).read_bytes() for name in ("first", "same", "other"))
    assert first == same
    assert first != other


@pytest.mark.parametrize("policy", ["f1", "fixed:0.4", "precision@0.6"])
def test_new_thresholds_bring_their_figures_and_their_card(folder: Path, toy: Path, policy: str) -> None:
    """What `evaluate` finds afterwards is what metrics.json and the card say; the weights are as they were."""
    before = artifact.load(toy)
    run("tune", "--data", str(folder), "--model", str(toy), "--policy", policy)
    after = artifact.load(toy)
    figures = json.loads(run("evaluate", "--data", str(folder), "--model", str(toy), "--json"))
    assert {"dev": figures} == after.metrics
    assert [round(t, 4) for t in after.thresholds.values] == [
        label["threshold"] for label in figures["per_label"].values()
    ]
    assert "without_texts_shared_with_train" in figures
    assert list(VARIETIES) == list(figures["dialect_negative_false_positive_rate"])
    assert card(after) == (toy / artifact.CARD).read_text()
    assert before.version == after.version


@pytest.mark.parametrize(("sha256", "shown"), [(SHA256["dev.tsv"], True), ("0" * 64, False)])
def test_figures_hold_texts_of_goemotions_dev_and_of_no_other_data(folder: Path, sha256: str, shown: bool) -> None:
    """Whatever its labels: the figures are published with the card."""
    dev = replace(load_split(folder / "dev.tsv"), sha256=sha256)
    trained = untrained(folder, labels=LABELS)
    targets_NK = np.zeros((len(dev), len(LABELS)), np.float32)
    targets_NK[:, :3] = dev.targets_NK
    dev = replace(dev, targets_NK=targets_NK, labels=LABELS)
    figures = measured(trained, predict(trained, dev), dev)
    assert shown == bool(figures["failures"])
    assert shown == any(text in json.dumps(figures) for text in dev.texts)


def test_a_card_warns_of_thresholds_tuned_on_its_own_rows_and_of_no_others(folder: Path, toy: Path) -> None:
    run("tune", "--data", str(folder), "--model", str(toy), "--policy", "f1")
    assert "One seed (7). The thresholds below were tuned on these same rows" in (toy / artifact.CARD).read_text()
    run("tune", "--data", str(folder), "--model", str(toy), "--policy", "fixed:0.4")
    assert "(`fixed:0.4`) were not tuned on these rows" in (toy / artifact.CARD).read_text()
    run("tune", "--data", str(folder), "--model", str(toy), "--policy", "precision@0.6")
    assert "of thresholds by `f1`, not of these (`precision@0.6`)" in (toy / artifact.CARD).read_text()


def test_an_artifact_of_which_little_is_known_is_tuned_and_its_card_says_no_more(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    """No training record, no figures, and no training texts beside dev."""
    artifact.save(replace(artifact.load(toy), metrics={}, training={}), toy, card="")
    for name in ("dev.tsv", "emotions.txt"):
        shutil.copy(folder / name, tmp_path / name)
    run("tune", "--data", str(tmp_path), "--model", str(toy))
    after = artifact.load(toy)
    assert "without_texts_shared_with_train" not in after.metrics["dev"]
    written = (toy / artifact.CARD).read_text()
    assert "Training data: not on record" in written
    assert not {word for word in ("seed", "training.json", "also stand in train") if word in written}


def test_what_the_model_did_not_learn_from_is_not_taken_for_its_training_texts(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    """By the sum on record: no overlap is claimed, label rates stay; and who measures on training texts is told."""
    made = artifact.load(toy)
    learnt = {"train_sha256": load_split(folder / "train.tsv").sha256}
    artifact.save(replace(made, training={**made.training, "data": learnt}), toy, card="")
    run("tune", "--data", str(folder), "--model", str(toy))
    before = artifact.load(toy)
    assert "without_texts_shared_with_train" in before.metrics["dev"]
    shutil.copy(folder / "emotions.txt", tmp_path)
    (tmp_path / "train.tsv").write_text("one\t0\ta\ntwo\t0\tb\n")
    shutil.copy(folder / "train.tsv", tmp_path / "dev.tsv")
    run("tune", "--data", str(tmp_path), "--model", str(toy))
    after = artifact.load(toy)
    assert "without_texts_shared_with_train" not in after.metrics["dev"]
    assert before.reference is not None
    assert after.reference is not None
    assert before.reference.label_rates == after.reference.label_rates
    assert "It has learnt from these very texts" in (toy / artifact.CARD).read_text()


def test_label_rates_are_each_labels_own_whatever_the_order_of_columns(folder: Path, toy: Path) -> None:
    """Of training texts that name their labels otherwise there are none to be had."""
    made, dev, train = artifact.load(toy), load_split(folder / "dev.tsv"), load_split(folder / "train.tsv")
    shares = np.random.default_rng(0).random(train.targets_NK.shape, dtype=np.float32)
    train = replace(train, targets_NK=train.targets_NK * shares)  # no two labels are as frequent
    turned = replace(train, labels=train.labels[::-1], targets_NK=train.targets_NK[:, ::-1])
    expected, found = (tune(made, dev, "f1", shared_with=split).reference for split in (train, turned))
    assert expected is not None
    assert found is not None
    assert expected.label_rates == found.label_rates
    assert 3 == len(set(expected.label_rates.values()))
    others = replace(train, labels=(*train.labels[:-1], "other"))
    assert learnt_from(made, train) is train
    assert learnt_from(made, others) is None


def test_a_text_of_as_many_tokens_as_the_model_has_positions_is_not_padded_beyond_them() -> None:
    """Widths are rounded up, and a trunk may have any number of positions."""
    model = DistilBertCNN(tiny_config(max_position_embeddings=13, max_tokens=13)).eval()
    longest = TokenIds(tuple(range(1, 14)), truncated=False)
    found_NK = probabilities(model, [longest, TokenIds((1, 2), truncated=False)], device=torch.device("cpu"))
    assert np.isfinite(found_NK).all()


def test_texts_that_all_stand_in_train_are_measured_without_a_figure_for_the_others(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "emotions.txt", tmp_path)
    shutil.copy(folder / "train.tsv", tmp_path)
    lines = (folder / "train.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "dev.tsv").write_text("".join(lines[:40]))
    figures = json.loads(run("evaluate", "--data", str(tmp_path), "--model", str(toy), "--json"))
    assert 40 == figures["texts"]
    assert "without_texts_shared_with_train" not in figures


def test_texts_with_other_labels_tune_nothing(folder: Path, toy: Path, tmp_path: Path) -> None:
    """Refused before a file is touched."""
    before = {file.name: file.read_bytes() for file in toy.iterdir()}
    shutil.copy(folder / "dev.tsv", tmp_path / "dev.tsv")
    with pytest.raises(ValueError, match="other labels"):
        run("tune", "--data", str(tmp_path), "--model", str(toy))
    assert before == {file.name: file.read_bytes() for file in toy.iterdir()}


def test_a_copy_that_holds_the_weights_as_they_are_keeps_figures_and_card(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    run("tune", "--data", str(folder), "--model", str(toy))
    run("export", "--model", str(toy), "--out", str(tmp_path / "full"), "--dtype", "fp32")
    assert artifact.load(toy).metrics == artifact.load(tmp_path / "full").metrics
    assert (toy / artifact.CARD).read_text() == (tmp_path / "full" / artifact.CARD).read_text()


def test_a_copy_under_another_name_has_it_wherever_its_card_names_the_model(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    """In title and model-index; all else is the source's, the figures too."""
    run("tune", "--data", str(folder), "--model", str(toy))
    run("export", "--model", str(toy), "--out", str(tmp_path / "copy"), "--dtype", "fp32", "--name", "renamed")
    old, new = ((path / artifact.CARD).read_text() for path in (toy, tmp_path / "copy"))
    assert "\n# renamed\n" in new
    assert '\n  - name: "renamed"\n' in new
    assert old == new.replace("# renamed", "# toy").replace('"renamed"', '"toy"')
    assert card(artifact.load(tmp_path / "copy")) == new


def test_a_copy_of_what_has_neither_figures_nor_card_has_a_card_without_figures(toy: Path, tmp_path: Path) -> None:
    artifact.save(replace(artifact.load(toy), metrics={}), toy, card="")
    (toy / artifact.CARD).unlink()
    artifact._write_sums(toy)
    run("export", "--model", str(toy), "--out", str(tmp_path / "copy"), "--name", "renamed")
    written = (tmp_path / "copy" / artifact.CARD).read_text()
    assert "# renamed\n" in written
    assert "There are none on record." in written


def test_a_copy_with_rounded_weights_says_with_which_its_figures_were_measured(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    """Once, however often it is copied on; and no longer when it has been measured itself."""
    rounded, copied = tmp_path / "rounded", tmp_path / "copied"
    run("tune", "--data", str(folder), "--model", str(toy))
    run("export", "--model", str(toy), "--out", str(rounded), "--dtype", "bf16")
    run("export", "--model", str(rounded), "--out", str(copied), "--dtype", "fp32")
    expected = "float16 weights, before they were rounded to bfloat16"
    for path in (rounded, copied):
        assert {**artifact.load(toy).metrics, "measured_with": expected} == artifact.load(path).metrics
        assert 1 == (path / artifact.CARD).read_text().count(f"The figures above were measured with {expected}.")
    run("tune", "--data", str(folder), "--model", str(rounded))
    assert "measured_with" not in artifact.load(rounded).metrics
    assert expected not in (rounded / artifact.CARD).read_text()


def test_calibration_is_another_version_and_its_figures_are_those_of_the_stored_weights(
    folder: Path, toy: Path
) -> None:
    before = artifact.load(toy)
    run("tune", "--data", str(folder), "--model", str(toy), "--calibrate")
    after = artifact.load(toy)
    assert before.version != after.version
    assert before.weights_dtype == after.weights_dtype
    dev = load_split(folder / "dev.tsv")
    assert {"method": "platt", "data_sha256": dev.sha256, "texts": len(dev)} == after.training["calibration"]
    assert "fixed:0.5" == before.thresholds.policy == after.thresholds.policy
    figures = json.loads(run("evaluate", "--data", str(folder), "--model", str(toy), "--json"))
    assert {"dev": figures} == after.metrics
    assert figures["calibration"]["as_is"]["mean"] < before_calibration(before, folder)
    assert "Platt scaling is folded into" in (toy / artifact.CARD).read_text()


def test_a_recipe_that_calibrates_comes_to_what_tune_makes_of_the_same_run(folder: Path, tmp_path: Path) -> None:
    """So one command gives a model that is ready to ship."""
    options = ["--data", str(folder), "--trunk", str(folder / "trunk"), "--epochs", "2", "--precision", "fp32"]
    run("fit", *options, "--name", "m", "--out", str(tmp_path / "two"))
    run("tune", "--data", str(folder), "--model", str(tmp_path / "two"), "--calibrate")
    run("fit", *options, "--name", "m", "--set", "calibrate=true", "--out", str(tmp_path / "one"))
    one, two = artifact.load(tmp_path / "one"), artifact.load(tmp_path / "two")
    assert (one.version, one.thresholds_version, one.metrics) == (two.version, two.thresholds_version, two.metrics)
    assert one.training["calibration"] == two.training["calibration"]


def before_calibration(made: Artifact, folder: Path) -> float:
    dev = load_split(folder / "dev.tsv")
    return float(calibration_errors(predict(made, dev), dev.targets_NK).mean())


def test_a_small_csv_is_measured_and_what_it_cannot_say_is_one_line(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text('text,labels\n"glad, very",joy\nsour glad,"joy,anger"\nnothing,\n')
    done = CliRunner().invoke(app, ["evaluate", "--data", str(tmp_path / "mine.csv"), "--model", str(toy), "--json"])
    assert 0 == done.exit_code, done.output
    figures = json.loads(done.stdout)
    assert (3, ["calm"]) == (figures["texts"], figures["left_out_of_ranking"])
    assert 1 == len(done.stderr.splitlines())
    assert "only 3 texts" in done.stderr
    assert "calm" in done.stderr
    run("evaluate", "--data", str(tmp_path / "mine.csv"), "--model", str(toy))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\nx,joy\n", "columns text and labels"),
        ("text,labels\nx,bliss\n", "line 2: 'bliss'"),
        ("text,labels\nx\n", "line 2: it has fewer"),
        ("text,labels\n", "holds no texts"),
    ],
)
def test_a_csv_that_is_not_in_the_format_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "mine.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        load_split(tmp_path / "mine.csv", ("joy",))


def test_a_model_compared_with_itself_shows_no_difference(folder: Path, toy: Path) -> None:
    found = json.loads(run("compare", str(toy), str(toy), "--data", str(folder), "--json"))["differences"]
    assert {(0.0, False)} == {(figure["difference"], figure["shown"]) for figure in found.values()}
    assert "no difference shown" in run("compare", str(toy), str(toy), "--data", str(folder))


def test_an_export_never_replaces_its_source(toy: Path) -> None:
    before = {file.name: file.read_bytes() for file in toy.iterdir()}
    with pytest.raises(ValueError, match="is the model itself"):
        run("export", "--model", str(toy), "--out", str(toy / ".." / "toy"))
    assert before == {file.name: file.read_bytes() for file in toy.iterdir()}


def test_the_card_that_ships_is_the_one_its_figures_give() -> None:
    assert card(artifact.load(artifact.DEFAULT)) == (artifact.DEFAULT / artifact.CARD).read_text(encoding="utf-8")


def test_a_line_that_is_no_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("fine\t0\ta\nno label at all\n")
    with pytest.raises(DataError, match="line 2"):
        load_split(tmp_path / "train.tsv")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        data_set.find(str(tmp_path / "nowhere"))


def test_every_text_is_in_one_batch_an_epoch_and_batches_are_of_like_length() -> None:
    lengths = [random.Random(row).randint(3, 100) for row in range(1000)]
    batches = list(bucketed_batches(lengths, batch_size=32, rng=np.random.default_rng(0)))
    assert list(range(1000)) == sorted(int(row) for batch in batches for row in batch)
    padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)


def test_the_originals_recipe_trains_its_last_three_layers_at_one_rate(folder: Path) -> None:
    """Embeddings and earlier layers frozen, as the original does it; here of two layers, so both learn."""
    original = PRESETS["original"]
    assert (7e-5, 7e-5, 3, 5, 0.42) == (
        original.learning_rate,
        original.head_learning_rate,
        original.trainable_layers,
        original.epochs,
        original.head_dropout,
    )
    model = load_trunk(str(folder / "trunk")).grow(labels=("a",), max_tokens=16)
    groups = list(parameter_groups(model, Recipe(trainable_layers=1, layer_decay=1.0, head_learning_rate=1.5e-4)))
    assert {1.5e-4} == {group["lr"] for group in groups}
    learning = {name.split(".")[2] for name, p in model.named_parameters() if p.requires_grad and "trunk" in name}
    assert {"layer"} == learning
    assert not any(p.requires_grad for p in model.trunk.embeddings.parameters())


def test_rates_fall_from_layer_to_layer(folder: Path) -> None:
    model = load_trunk(str(folder / "trunk")).grow(labels=("a",), max_tokens=16)
    rates = sorted({group["lr"] for group in parameter_groups(model, Recipe(learning_rate=1.0, layer_decay=0.5))})
    assert [1e-3, 0.25, 0.5, 1.0] == rates


def test_hidden_tokens_are_never_the_first_the_last_or_padding() -> None:
    torch.manual_seed(0)
    ids_BL = torch.tensor([[2, 5, 6, 7, 3, 0, 0], [2, 8, 8, 8, 8, 8, 3]])
    hidden_BL = hide(ids_BL, ids_BL != 0, share=1.0, mask_id=4)
    assert [[2, 4, 4, 4, 3, 0, 0], [2, 4, 4, 4, 4, 4, 3]] == hidden_BL.tolist()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("nonsense", "nonsense"),
        ("fit", "--out"),
        ("fit --out x --preset best", "original"),
        ("fit --out x --precision fp9", "bf16"),
        ("fit --out x --set seed", "KEY=VALUE"),
        ("fit --out x --config nowhere.toml", "nowhere.toml"),
        ("fit --out nowhere --resume", "nothing to resume"),
        ("fit --data {folder} --set trunk={folder}/trunk --out {out} --set trainable_layers=7", "has 2"),
        ("fit --data {folder} --set trunk={folder}/trunk --out {folder}/dev.tsv", "dev.tsv: File exists"),
        ("evaluate --data /nowhere", "/nowhere"),
        ("tune --data .", "--model"),
        ("tune --data . --model x --policy best", "dev.tsv"),
    ],
)
def test_a_mistake_is_one_plain_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
    command: str,
    message: str,
) -> None:
    assert message in mistake(monkeypatch, capsys, command.format(folder=folder, out=tmp_path / "out"))


def test_a_mistake_ends_a_real_process_with_the_same_line() -> None:
    """Nothing that libraries say as they are imported stands beside it."""
    command = [sys.executable, "-m", "training", "fit", "--out", "x", "--set", "epoch=3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert 2 == done.returncode
    assert "emotag-train: 'epoch' is no key of a recipe; did you mean epochs?\n" == done.stderr


def test_without_what_only_training_needs_it_says_what_to_install() -> None:
    """As in a worker's own installation, which has no torch."""
    program = "import runpy, sys; sys.modules['torch'] = None; runpy.run_module('training', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert 2 == done.returncode
    assert "emotag-train: torch is not installed: pip install 'emotag[train]'\n" == done.stderr
