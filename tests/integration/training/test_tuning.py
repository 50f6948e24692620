"""Figures, thresholds, calibration, copies and cards of a trained artifact, by the commands that make them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_schemas.labels import LABELS
from emotag_training.cli import app
from emotag_training.data.goemotions import SHA256
from emotag_training.data.table import load_split
from emotag_training.distillation.teacher import Teacher
from emotag_training.errors import DataError, OutputError, PolicyError, TeacherError
from emotag_training.evaluation.evaluate import find_train_split, list_headline, measure, tokenize
from emotag_training.evaluation.metrics import compute_calibration_errors
from emotag_training.evaluation.prediction import predict
from emotag_training.evaluation.slices import VARIETIES
from emotag_training.evaluation.thresholds import HeldOut, cross_validate_transfer
from emotag_training.evaluation.tuning import tune
from emotag_training.report.card import render_card
from tests.integration.training.conftest import build_untrained
from tests.integration.training.test_training import run


@pytest.mark.parametrize("policy", ["f1", "fixed:0.4", "precision@0.6"])
def test_new_thresholds_bring_their_figures_and_their_card(folder: Path, toy: Path, policy: str) -> None:
    """`evaluate` then returns the figures of metrics.json and of the card, and the weights are unchanged."""
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
    assert render_card(after) == (toy / artifact.CARD).read_text()
    assert before.version == after.version


@pytest.mark.parametrize(("sha256", "shown"), [(SHA256["dev.tsv"], True), ("0" * 64, False)])
def test_figures_hold_texts_of_goemotions_dev_and_of_no_other_data(folder: Path, sha256: str, shown: bool) -> None:
    """Whatever the labels are, because the figures are published with the card."""
    dev = replace(load_split(folder / "dev.tsv"), sha256=sha256)
    trained = build_untrained(folder, labels=LABELS)
    targets_NK = np.zeros((len(dev), len(LABELS)), np.float32)
    targets_NK[:, :3] = dev.targets_NK
    dev = replace(dev, targets_NK=targets_NK, labels=LABELS)
    tokenized = tokenize(trained, dev)
    figures = measure(trained, predict(trained, tokenized), tokenized)
    assert shown == bool(figures["failures"])
    assert shown == any(text in json.dumps(figures) for text in dev.texts)


def test_a_card_warns_of_thresholds_tuned_on_its_own_rows_and_of_no_others(folder: Path, toy: Path) -> None:
    run("tune", "--data", str(folder), "--model", str(toy), "--policy", "f1")
    assert "One seed (7). The thresholds below were tuned on the same texts" in (toy / artifact.CARD).read_text()
    run("tune", "--data", str(folder), "--model", str(toy), "--policy", "fixed:0.4")
    assert "(`fixed:0.4`) were not tuned on these texts" in (toy / artifact.CARD).read_text()
    run("tune", "--data", str(folder), "--model", str(toy), "--policy", "precision@0.6")
    assert "about thresholds by `f1`, not about these (`precision@0.6`)" in (toy / artifact.CARD).read_text()


def test_an_artifact_of_which_little_is_known_is_tuned_and_its_card_says_no_more(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    """Without a training record, figures, or training texts next to dev."""
    artifact.save(replace(artifact.load(toy), metrics={}, training={}), toy, card="")
    for name in ("dev.tsv", "emotions.txt"):
        shutil.copy(folder / name, tmp_path / name)
    run("tune", "--data", str(tmp_path), "--model", str(toy))
    after = artifact.load(toy)
    assert "without_texts_shared_with_train" not in after.metrics["dev"]
    written = (toy / artifact.CARD).read_text()
    assert "Training data: not on record" in written
    assert not {word for word in ("seed", "training.json", "also stand in train") if word in written}


def test_thresholds_of_out_of_fold_predictions_leave_dev_to_measure_on(folder: Path, toy: Path, tmp_path: Path) -> None:
    """The card says so; predictions that are not out-of-fold, and a policy that needs none, are refused."""
    train = load_split(folder / "train.tsv")
    made = artifact.load(toy)
    record = {**made.training, "data": {"train_sha256": train.sha256}}
    artifact.save(replace(made, training=record), toy, card="")
    shown_NK = np.clip(0.1 + 0.8 * train.targets_NK, 0, 1)
    once_N = np.ones(len(train), np.int64)
    teacher = Teacher(shown_NK, train.labels, train.sha256, ("one", "two"), models_N=once_N)
    teacher.save(tmp_path / "folds")
    replace(teacher, models_N=None).save(tmp_path / "all")
    options = ["tune", "--data", str(folder), "--model", str(toy), "--predictions"]
    run(*options, str(tmp_path / "folds"))
    tuned = artifact.load(toy)
    assert train.sha256 == tuned.thresholds.data_sha256
    dev = load_split(folder / "dev.tsv")
    held_out = HeldOut(shown_NK.astype(np.float16).astype(np.float32), train.targets_NK, train.sha256)
    expected = cross_validate_transfer(held_out, predict(tuned, tokenize(tuned, dev)), dev.targets_NK)
    assert expected == pytest.approx(tuned.metrics["dev"]["held_out_cuts_cross_validated"], abs=0.002)
    shown = {title: value for title, value, _ in list_headline(tuned.metrics["dev"])}
    assert expected["macro_f1"] == pytest.approx(shown["macro F1, cuts from out-of-fold predictions"], abs=0.002)
    assert "which only calibrate them: they were tuned on out-of-fold" in (toy / artifact.CARD).read_text()
    with pytest.raises(TeacherError, match="predicted texts that they had trained on"):
        run(*options, str(tmp_path / "all"))
    with pytest.raises(PolicyError, match=r"the policy fixed:0\.4 does not use predictions"):
        run(*options, str(tmp_path / "folds"), "--policy", "fixed:0.4")


def test_what_the_model_did_not_learn_from_is_not_taken_for_its_training_texts(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    """By the recorded checksum: no overlap is claimed, rates stay, and measuring on training texts gives a warning."""
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
    assert before.reference_stats is not None
    assert after.reference_stats is not None
    assert before.reference_stats.label_rates == after.reference_stats.label_rates
    assert "The model was trained on these texts" in (toy / artifact.CARD).read_text()


def test_label_rates_are_each_labels_own_whatever_the_order_of_columns(folder: Path, toy: Path) -> None:
    """Training texts with other label names have no rates."""
    made, dev, train = artifact.load(toy), load_split(folder / "dev.tsv"), load_split(folder / "train.tsv")
    shares = np.random.default_rng(0).random(train.targets_NK.shape, dtype=np.float32)
    train = replace(train, targets_NK=train.targets_NK * shares)  # each label has a different frequency
    turned = replace(train, labels=train.labels[::-1], targets_NK=train.targets_NK[:, ::-1])
    expected, found = (
        tune(made, tokenize(made, dev), "f1", shared_with=split).reference_stats for split in (train, turned)
    )
    assert expected is not None
    assert found is not None
    assert expected.label_rates == found.label_rates
    assert 3 == len(set(expected.label_rates.values()))
    others = replace(train, labels=(*train.labels[:-1], "other"))
    assert find_train_split(made, train) is train
    assert find_train_split(made, others) is None


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
    """They are refused before any file changes."""
    before = {file.name: file.read_bytes() for file in toy.iterdir()}
    shutil.copy(folder / "dev.tsv", tmp_path / "dev.tsv")
    with pytest.raises(DataError, match="other labels"):
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
    """In the title and the model-index; everything else, such as the figures, is from the source."""
    run("tune", "--data", str(folder), "--model", str(toy))
    run("export", "--model", str(toy), "--out", str(tmp_path / "copy"), "--dtype", "fp32", "--name", "renamed")
    old, new = ((path / artifact.CARD).read_text() for path in (toy, tmp_path / "copy"))
    assert "\n# renamed\n" in new
    assert '\n  - name: "renamed"\n' in new
    assert old == new.replace("# renamed", "# toy").replace('"renamed"', '"toy"')
    assert render_card(artifact.load(tmp_path / "copy")) == new


def test_a_copy_of_what_has_neither_figures_nor_card_has_a_card_without_figures(toy: Path, tmp_path: Path) -> None:
    artifact.save(replace(artifact.load(toy), metrics={}), toy, card="")
    (toy / artifact.CARD).unlink()
    artifact._write_sums(toy)
    run("export", "--model", str(toy), "--out", str(tmp_path / "copy"), "--name", "renamed")
    written = (tmp_path / "copy" / artifact.CARD).read_text()
    assert "# renamed\n" in written
    assert "No figures are on record." in written


def test_a_copy_with_rounded_weights_says_with_which_its_figures_were_measured(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    """Once, also in copies of copies; no longer if the copy is measured itself."""
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
    assert "Platt scaling is part of" in (toy / artifact.CARD).read_text()


def test_a_recipe_that_calibrates_comes_to_what_tune_makes_of_the_same_run(folder: Path, tmp_path: Path) -> None:
    """So one command makes a model that is ready to ship."""
    options = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--epochs", "2", "--precision", "fp32"]
    run("fit", *options, "--name", "m", "--out", str(tmp_path / "two"))
    run("tune", "--data", str(folder), "--model", str(tmp_path / "two"), "--calibrate")
    run("fit", *options, "--name", "m", "--set", "run.calibrate=true", "--out", str(tmp_path / "one"))
    one, two = artifact.load(tmp_path / "one"), artifact.load(tmp_path / "two")
    assert (one.version, one.thresholds_version, one.metrics) == (two.version, two.thresholds_version, two.metrics)
    assert one.training["calibration"] == two.training["calibration"]


def before_calibration(made: Artifact, folder: Path) -> float:
    dev = load_split(folder / "dev.tsv")
    return float(compute_calibration_errors(predict(made, tokenize(made, dev)), dev.targets_NK).mean())


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


def test_a_model_compared_with_itself_shows_no_difference(folder: Path, toy: Path) -> None:
    found = json.loads(run("compare", str(toy), str(toy), "--data", str(folder), "--json"))["differences"]
    assert {(0.0, False)} == {(figure["difference"], figure["shown"]) for figure in found.values()}
    assert "no difference shown" in run("compare", str(toy), str(toy), "--data", str(folder))


@pytest.mark.parametrize("command", [["export"], ["export", "--format", "onnx"], ["plot", "--data", "{folder}"]])
def test_nothing_that_is_written_replaces_its_source(folder: Path, toy: Path, command: list[str]) -> None:
    before = {file.name: file.read_bytes() for file in toy.iterdir()}
    with pytest.raises(OutputError, match="is the model itself"):
        run(*(part.format(folder=folder) for part in command), "--model", str(toy), "--out", str(toy / ".." / "toy"))
    assert before == {file.name: file.read_bytes() for file in toy.iterdir()}


def test_the_card_that_ships_is_the_one_its_figures_give() -> None:
    assert render_card(artifact.load(artifact.DEFAULT)) == (artifact.DEFAULT / artifact.CARD).read_text(
        encoding="utf-8"
    )
