"""The predictions of teachers for the training texts are saved to a file, and a student trains on them."""

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import MPNetConfig, MPNetModel

from emotag_model import artifact
from emotag_training.data.table import load_split
from emotag_training.distillation.folds import mark_fold
from emotag_training.distillation.teacher import Teacher, average_teachers, blend_targets, load_teacher
from emotag_training.errors import RecipeError, TeacherError
from emotag_training.evaluation.evaluate import tokenize
from emotag_training.evaluation.prediction import predict
from emotag_training.recipe import DataSection, DistillationSection
from emotag_training.texts import read_texts
from tests.encoders import save_encoder
from tests.integration.training.conftest import build_untrained
from tests.integration.training.test_training import run
from tests.numerics.conftest import tiny_tokenizer


def save_teachers(folder: Path, out: Path, count: int) -> list[Path]:
    """Save artifacts with random weights."""
    for seed in range(count):
        made = build_untrained(folder, labels=("joy", "anger", "calm"), seed=seed)
        artifact.save(made, out / str(seed), card="")
    return [out / str(seed) for seed in range(count)]


def test_a_file_holds_the_mean_of_what_the_teachers_say(folder: Path, tmp_path: Path) -> None:
    paths = save_teachers(folder, tmp_path, 2)
    out = tmp_path / "said" / "teacher.safetensors"
    shown = run("distill", *map(str, paths), "--data", str(folder), "--out", str(out))
    train = load_split(folder / "train.tsv")
    teachers = [artifact.load(path) for path in paths]
    said = load_teacher(out)
    of_a_NK, of_b_NK = (predict(teacher, tokenize(teacher, train)) for teacher in teachers)
    expected_NK = (of_a_NK + of_b_NK) / 2
    assert np.abs(expected_NK - said.probabilities_NK).max() < 1e-3  # half precision
    assert (train.labels, train.sha256) == (said.labels, said.data_sha256)
    assert tuple(teacher.version for teacher in teachers) == said.versions
    assert "macro_f1_cross_validated" in shown  # of the mean, on dev


def test_models_in_files_count_once_each_beside_others(folder: Path, tmp_path: Path) -> None:
    """So the order in which you distill the models does not matter."""
    paths = save_teachers(folder, tmp_path, 3)
    some, apart, at_once = (tmp_path / f"{name}.safetensors" for name in ("some", "apart", "at-once"))
    run("distill", *map(str, paths[:2]), "--data", str(folder), "--out", str(some))
    shown = run("distill", str(some), str(paths[2]), "--data", str(folder), "--out", str(apart))
    assert "3 models" in shown
    assert "macro_f1_cross_validated" in shown  # the file contains dev
    run("distill", *map(str, paths), "--data", str(folder), "--out", str(at_once))
    assert load_teacher(at_once).versions == load_teacher(apart).versions
    for found, expected in (
        (load_teacher(apart).probabilities_NK, load_teacher(at_once).probabilities_NK),
        (load_teacher(apart).dev_MK, load_teacher(at_once).dev_MK),
    ):
        assert found is not None
        assert expected is not None
        assert np.abs(found - expected).max() < 1e-3


def test_teachers_of_different_texts_have_no_mean(folder: Path) -> None:
    train, dev = load_split(folder / "train.tsv"), load_split(folder / "dev.tsv")
    said = [Teacher(split.targets_NK, split.labels, split.sha256, ("sha256:a",)) for split in (train, dev)]
    with pytest.raises(TeacherError, match="different texts"):
        average_teachers(said)


def test_a_model_that_is_there_twice_has_no_mean(folder: Path) -> None:
    train = load_split(folder / "train.tsv")
    said = Teacher(train.targets_NK, train.labels, train.sha256, ("sha256:a",))
    with pytest.raises(TeacherError, match="sha256:a is among the teachers more than once"):
        average_teachers([said, said])


def test_who_was_asked_about_some_of_the_texts_is_refused(folder: Path, tmp_path: Path) -> None:
    """For example, after a run with a limit, whose file has the checksum of all texts."""
    train = load_split(folder / "train.tsv")
    few = Teacher(train.targets_NK[:40], train.labels, train.sha256, ("sha256:few",))
    few.save(tmp_path / "few.safetensors")
    with pytest.raises(TeacherError, match="other texts"):
        run(
            "distill",
            str(tmp_path / "few.safetensors"),
            "--data",
            str(folder),
            "--out",
            str(tmp_path / "t.safetensors"),
        )


def test_drift_is_told_from_what_the_annotators_said_and_not_from_the_teacher(folder: Path, tmp_path: Path) -> None:
    train = load_split(folder / "train.tsv")
    said = Teacher(np.full_like(train.targets_NK, 0.9), train.labels, train.sha256, ("sha256:a",))
    said.save(tmp_path / "t.safetensors")
    common = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--epochs", "1"]
    run(
        "fit",
        *common,
        "--set",
        f"distillation.teacher={tmp_path / 't.safetensors'}",
        "--out",
        str(tmp_path / "student"),
    )
    reference = artifact.load(tmp_path / "student").reference_stats
    assert reference is not None
    assert reference.label_rates["joy"] == pytest.approx(train.targets_NK[:, 0].mean(), abs=1e-4)


def test_an_mpnet_teaches_though_no_engine_runs_it(folder: Path, tmp_path: Path) -> None:
    """Its run writes predictions and no artifact, and a student trains on them."""
    config = MPNetConfig(
        vocab_size=64,
        max_position_embeddings=130,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        layer_norm_eps=1e-5,
    )
    encoder = save_encoder(tmp_path / "encoder", MPNetModel, config, tiny_tokenizer())
    common = ["--data", str(folder), "--precision", "fp32", "--epochs", "6"]
    with pytest.raises(RecipeError, match="writes no artifact"):
        run(
            "fit", *common, "--encoder", str(encoder), "--set", "run.calibrate=true", "--out", str(tmp_path / "teacher")
        )
    run("fit", *common, "--encoder", str(encoder), "--out", str(tmp_path / "teacher"))
    assert not (tmp_path / "teacher" / "model.safetensors").exists()
    shown = run("distill", str(tmp_path / "teacher"), "--data", str(folder), "--out", str(tmp_path / "t.safetensors"))
    assert "1 model on" in shown
    said, train = load_teacher(tmp_path / "t.safetensors"), load_split(folder / "train.tsv")
    assert said.probabilities_NK[train.targets_NK == 1].mean() > 0.8  # it has trained on them
    taught_by = ["--set", f"distillation.teacher={tmp_path / 't.safetensors'}"]
    run("fit", *common, "--encoder", str(folder / "encoder"), *taught_by, "--out", str(tmp_path / "student"))
    assert list(said.versions) == artifact.load(tmp_path / "student").training["teachers"]


def test_a_student_learns_what_its_teacher_says_and_not_what_the_annotators_said(folder: Path, tmp_path: Path) -> None:
    """With a share of one. This teacher is never as certain as the annotators."""
    train = load_split(folder / "train.tsv")
    said = Teacher(0.2 + 0.4 * train.targets_NK, train.labels, train.sha256, ("sha256:unsure",))
    said.save(tmp_path / "teacher.safetensors")
    common = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--epochs", "6", "--precision", "fp32"]
    options = ["--set", f"distillation.teacher={tmp_path / 'teacher.safetensors'}", "--set", "distillation.share=1"]
    run("fit", *common, *options, "--out", str(tmp_path / "student"))
    student = artifact.load(tmp_path / "student")
    dev = load_split(folder / "dev.tsv")
    probabilities_NK, has_NK = predict(student, tokenize(student, dev)), dev.targets_NK == 1
    assert 0.5 < probabilities_NK[has_NK].mean() < 0.65
    assert 0.15 < probabilities_NK[~has_NK].mean() < 0.3
    assert ["sha256:unsure"] == student.training["teachers"]


def test_targets_are_the_annotators_and_the_teachers_by_share(folder: Path) -> None:
    train = load_split(folder / "train.tsv")
    said = Teacher(np.full_like(train.targets_NK, 0.5), train.labels, train.sha256, ("sha256:a",))
    few = train.take(range(7))
    assert np.allclose(blend_targets(few, said, share=0.4).targets_NK, 0.6 * few.targets_NK + 0.2)
    assert np.array_equal(blend_targets(few, said, share=0.0).targets_NK, few.targets_NK)


def test_a_teacher_of_other_texts_or_labels_is_refused(folder: Path) -> None:
    train, dev = load_split(folder / "train.tsv"), load_split(folder / "dev.tsv")
    with pytest.raises(TeacherError, match="other texts"):
        blend_targets(train, Teacher(dev.targets_NK, dev.labels, dev.sha256, ()), share=0.5)
    with pytest.raises(TeacherError, match="other labels"):
        blend_targets(train, Teacher(train.targets_NK, ("x", "y", "z"), train.sha256, ()), share=0.5)


@pytest.mark.parametrize("content", [b"", b"not a file of tensors", json.dumps({"labels": []}).encode()])
def test_a_file_that_no_teacher_wrote_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "teacher.safetensors"
    path.write_bytes(content)
    with pytest.raises(TeacherError, match=r"teacher\.safetensors is not what"):
        load_teacher(path)
    with pytest.raises(TeacherError, match="nowhere is not what"):
        load_teacher(tmp_path / "nowhere")


def test_models_that_each_left_a_fold_out_teach_together(folder: Path, tmp_path: Path) -> None:
    """Each predicts only the texts that it has not seen. A single fold is refused: most texts have no prediction."""
    common = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--precision", "fp32", "--epochs", "2"]
    train, folds = load_split(folder / "train.tsv"), ("1/2", "2/2")
    for which, fold in enumerate(folds):
        run("fit", *common, "--set", f"data.fold={fold}", "--out", str(tmp_path / str(which)))
        assert not (tmp_path / str(which) / "model.safetensors").exists()
        said = load_teacher(tmp_path / str(which) / "teacher.safetensors")
        assert mark_fold(train, fold).tolist() == (said.models_per_text_N == 1).tolist()
        assert not said.probabilities_NK[~mark_fold(train, fold)].any()
        assert said.dev_MK is not None
    one, both = tmp_path / "one.safetensors", tmp_path / "both.safetensors"
    assert " of 640 texts" in run("distill", str(tmp_path / "0"), "--data", str(folder), "--out", str(one))
    assert "2 models on 640 texts" in run(
        "distill", *(str(tmp_path / which) for which in ("0", "1")), "--data", str(folder), "--out", str(both)
    )
    joined = load_teacher(both)
    assert {1} == set(joined.models_per_text_N.tolist())
    for which, fold in enumerate(folds):
        rows = mark_fold(train, fold)
        alone = load_teacher(tmp_path / str(which) / "teacher.safetensors")
        assert np.abs(joined.probabilities_NK[rows] - alone.probabilities_NK[rows]).max() < 1e-3
    with pytest.raises(TeacherError, match=r"no predictions for \d+ of the texts"):
        run("fit", *common, "--set", f"distillation.teacher={one}", "--out", str(tmp_path / "student"))
    run("fit", *common, "--set", f"distillation.teacher={both}", "--out", str(tmp_path / "student"))
    with pytest.raises(RecipeError, match="writes no artifact"):
        run("fit", *common, "--set", "data.fold=1/2", "--set", "run.calibrate=true", "--out", str(tmp_path / "no"))


def test_a_folder_is_an_artifact_or_says_what_a_model_said_never_both(folder: Path, tmp_path: Path) -> None:
    """`distill` prefers the file in a folder to its artifact, and would use the predictions of another model."""
    common = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--precision", "fp32", "--epochs", "1"]
    out = tmp_path / "run"
    run("fit", *common, "--set", "data.fold=1/2", "--out", str(out))
    run("fit", *common, "--out", str(out))
    assert not (out / "teacher.safetensors").exists()
    with pytest.raises(RecipeError, match="contains an artifact"):
        run("fit", *common, "--set", "data.fold=1/2", "--out", str(out))


def test_each_text_weighs_its_models_alike() -> None:
    """A text with two predictions and one with a single prediction: both means are over the existing predictions."""
    labels, sha = ("a",), "x"
    of_first = Teacher(np.array([[0.2], [0.0]], np.float32), labels, sha, ("1",), models_N=np.array([1, 0]))
    of_both = Teacher(np.array([[0.6], [0.5]], np.float32), labels, sha, ("2",))
    found = average_teachers([of_first, of_both])
    assert [0.4, 0.5] == pytest.approx(found.probabilities_NK[:, 0].tolist())
    assert [2, 1] == found.models_per_text_N.tolist()


def test_each_text_is_in_one_fold_wherever_it_is_repeated(folder: Path) -> None:
    train = load_split(folder / "train.tsv")
    folds_KN = np.stack([mark_fold(train, f"{k}/4") for k in (1, 2, 3, 4)])
    assert (folds_KN.sum(axis=0) == 1).all()
    of_text: dict[str, set[int]] = {}
    for text, fold in zip(train.texts, folds_KN.argmax(axis=0).tolist(), strict=True):
        of_text.setdefault(text, set()).add(fold)
    assert len(of_text) < len(train)  # some texts are duplicates
    assert all(len(folds) == 1 for folds in of_text.values())


def test_a_fold_that_is_left_out_is_not_learnt_from(folder: Path) -> None:
    """Nor are duplicates of its texts; all others are used."""
    texts = read_texts(DataSection(source=str(folder), fold="1/2"), DistillationSection())
    annotators, learnt = texts.annotated, texts.train
    out = mark_fold(annotators, "1/2")
    kept = [text for text, is_out in zip(annotators.texts, out, strict=True) if not is_out]
    assert kept == list(learnt.texts)
    assert set(learnt.texts).isdisjoint(annotators.take(np.flatnonzero(out)).texts)
