"""An artifact is loaded as it was saved, or refused with the file and the reason."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.errors import ArtifactError
from emotag_model.tagger import EmotionTagger
from emotag_model.thresholds import Thresholds
from emotag_model.tokens import TokenIds
from emotag_model.weights import DTYPES

MakeArtifact = Callable[[], Artifact]


@pytest.fixture
def saved(tiny_artifact: MakeArtifact, tmp_path: Path) -> Path:
    """A tiny artifact on disk, in full precision."""
    path = tmp_path / "tiny"
    artifact.save(tiny_artifact(), path, card="# tiny\n", dtype="fp32")
    return path


def resign(path: Path) -> None:
    """Update the checksums, as an attacker would."""
    names = sorted(file.name for file in path.iterdir() if file.name != artifact.SUMS)
    sums = "".join(f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (path / artifact.SUMS).write_text(sums)


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    resign(path.parent)


def test_it_comes_back_as_it_was_saved(tiny_artifact: MakeArtifact, saved: Path) -> None:
    original, loaded = tiny_artifact(), artifact.load(saved)
    assert original.thresholds == loaded.thresholds
    assert original.config == loaded.config
    for name, values in original.weights.items():
        assert np.array_equal(values, loaded.weights[name])


def test_an_epsilon_is_stored_and_without_one_it_is_1e_12(tiny_artifact: MakeArtifact, saved: Path) -> None:
    """Artifacts from before this setting have none, as the shipped one."""
    made = tiny_artifact()
    artifact.save(replace(made, config=replace(made.config, layer_norm_eps=1e-5)), saved, card="")
    assert 1e-5 == artifact.load(saved).config.layer_norm_eps
    change_json(saved / artifact.CONFIG, lambda values: values["model"].pop("layer_norm_eps"))
    assert 1e-12 == artifact.load(saved).config.layer_norm_eps


def test_its_checksums_are_those_of_sha256sum(saved: Path) -> None:
    """You can check the directory without emotag."""
    subprocess.run(["sha256sum", "--check", "--quiet", artifact.SUMS], cwd=saved, check=True)


def test_new_thresholds_leave_the_models_version_and_bring_figures_and_card_of_their_own(saved: Path) -> None:
    """Cached results stay valid, and no figure of the old thresholds remains."""
    before = artifact.load(saved)
    thresholds = Thresholds.fixed(before.thresholds.labels, 0.3)
    artifact.save_tuned(replace(before, thresholds=thresholds, metrics={"dev": {"texts": 1}}), saved, card="# new\n")
    after = artifact.load(saved)
    assert before.version == after.version
    assert before.thresholds_version != after.thresholds_version
    assert {"dev": {"texts": 1}} == after.metrics
    assert "# new\n" == (saved / artifact.CARD).read_text()


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_knows_how_its_weights_are_stored(tiny_artifact: MakeArtifact, tmp_path: Path, dtype: str) -> None:
    """And reads each as torch does."""
    made = tiny_artifact()
    artifact.save(made, tmp_path / "tiny", card="", dtype=dtype)
    loaded = artifact.load(tmp_path / "tiny")
    assert DTYPES[dtype] == loaded.weights_dtype
    for name, values in made.weights.items():
        rounded = torch.from_numpy(values).to(getattr(torch, DTYPES[dtype])).float()
        assert np.array_equal(rounded.numpy(), loaded.weights[name])


def test_new_weights_are_another_version(tiny_artifact: MakeArtifact, saved: Path) -> None:
    before = artifact.load(saved).version
    changed = tiny_artifact()
    changed.weights["classifier.bias"][:] += 1
    artifact.save(changed, saved, card="", dtype="fp32")
    assert before != artifact.load(saved).version


def test_its_languages_are_part_of_its_version(tiny_artifact: MakeArtifact, saved: Path) -> None:
    """The cache stores scopes, which depend on the languages of the model."""
    before = artifact.load(saved)
    artifact.save(replace(before, languages=("en", "ko")), saved, card="", dtype="fp32")
    after = artifact.load(saved)
    assert (("en",), ("en", "ko")) == (before.languages, after.languages)
    assert before.version != after.version


def test_without_languages_it_is_english_as_the_shipped_one(shipped: Artifact, saved: Path) -> None:
    change_json(saved / artifact.CONFIG, lambda values: values.pop("languages"))
    assert ("en",) == artifact.load(saved).languages == shipped.languages


@pytest.mark.parametrize("name", artifact.REQUIRED)
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        artifact.load(saved)


@pytest.mark.parametrize("name", [*artifact.REQUIRED, artifact.CARD])
def test_a_truncated_file_is_named(saved: Path, name: str) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=rf"{name}.*sha256"):
        artifact.load(saved)


def test_a_directory_without_checksums_is_not_trusted(saved: Path) -> None:
    (saved / artifact.SUMS).unlink()
    with pytest.raises(ArtifactError, match="SHA256SUMS"):
        artifact.load(saved)


def test_another_directory_is_not_taken_for_a_damaged_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="this is not an emotag model directory: it has no SHA256SUMS"):
        artifact.load(tmp_path)


def test_a_path_that_is_no_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nowhere"):
        artifact.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: values.update(format="other"), "not an emotag model"),
        (lambda values: values.pop("format"), "not an emotag model"),
        (lambda values: values.update(format_version=2), "newer than this emotag"),
        (lambda values: values.update(format_version="1"), "format_version"),
        (lambda values: values.update(languages="en"), "languages: 'en' is not a list"),
        (lambda values: values.update(languages=[]), "languages: no language"),
        (lambda values: values.update(languages=["kr", 7]), "languages: unknown language 'kr', 7"),
        (lambda values: values.pop("model"), "no model section"),
        (lambda values: values["model"].update(rope=True), "unknown model settings rope"),
        (lambda values: values["model"].update(dim="wide"), "does not describe a model"),
        (lambda values: values["model"].update(dim=16), "shape"),
        (lambda values: values["model"].update(dim=10**12), "dim .* whole number within"),
        (lambda values: values["model"].update(n_layers=3), "missing"),
        (lambda values: values["model"].update(labels=["a", "b", "c"]), "thresholds"),
    ],
)
def test_a_foreign_or_newer_config_is_refused_with_the_reason(
    saved: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    change_json(saved / artifact.CONFIG, change)
    with pytest.raises(ArtifactError, match=reason):
        artifact.load(saved)


@pytest.mark.parametrize("values", [{}, {"thresholds": []}, {"policy": "f1", "thresholds": {"joy": 2.0}}])
def test_thresholds_that_are_not_the_models_are_refused(saved: Path, values: dict[str, Any]) -> None:
    (saved / artifact.THRESHOLDS).write_text(json.dumps(values))
    resign(saved)
    with pytest.raises(ArtifactError, match=r"thresholds\.json"):
        artifact.load(saved)


def test_thresholds_of_other_weights_are_refused(saved: Path) -> None:
    """They name the weights that they were tuned for. Older thresholds without a name are accepted."""
    change_json(saved / artifact.THRESHOLDS, lambda values: values.update(weights_sha256="0" * 64))
    with pytest.raises(ArtifactError, match=r"thresholds belong to other weights .*; export the model again"):
        artifact.load(saved)
    change_json(saved / artifact.THRESHOLDS, lambda values: values.pop("weights_sha256"))
    artifact.load(saved)


def test_a_pickle_in_the_weights_place_is_never_opened(saved: Path) -> None:
    """Weights are safetensors only: loading runs no code."""
    torch.save({"a": torch.zeros(1)}, saved / artifact.WEIGHTS)
    resign(saved)
    with pytest.raises(ArtifactError, match="safetensors"):
        artifact.load(saved)


@pytest.mark.parametrize("name", [name for name in artifact.MOST_BYTES if name != artifact.WEIGHTS])
def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    saved: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config of two gigabytes is neither read into memory nor hashed."""
    (saved / name).touch()  # not every artifact has every file
    os.truncate(saved / name, 2 * 2**30)  # sparse: they take no space on the disk
    forbid_reading(saved / name, monkeypatch)
    with pytest.raises(ArtifactError, match=rf"{name}: has 2147483648 bytes"):
        artifact.load(saved)


def test_loading_unpickles_nothing() -> None:
    """Python reports each object that a pickle imports: a whole load imports none."""
    program = """
import os, sys
from emotag_model import artifact
from emotag_model.errors import ArtifactError
sys.addaudithook(lambda event, _: os._exit(3) if event == "pickle.find_class" else None)
artifact.load(artifact.DEFAULT)
if sys.argv[1:]:
    import pickle
    pickle.loads(pickle.dumps(ArtifactError))
"""
    for arguments, code in (([], 0), (["and unpickle"], 3)):
        done = subprocess.run([sys.executable, "-c", program, *arguments], check=False, timeout=60)
        assert code == done.returncode


def test_weights_that_are_larger_than_their_shapes_are_refused_before_they_are_read(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config determines the number of weights, and so the largest size of their file."""
    os.truncate(saved / artifact.WEIGHTS, 64 * 2**30)
    forbid_reading(saved / artifact.WEIGHTS, monkeypatch)
    with pytest.raises(ArtifactError, match=rf"{artifact.WEIGHTS}: has 68719476736 bytes"):
        artifact.load(saved)


def forbid_reading(forbidden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make opening this file an error."""
    opened = Path.open

    def guarded(self: Path, *arguments: Any, **named: Any) -> Any:
        assert forbidden != self, "it was opened"
        return opened(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", guarded)


def test_a_device_in_a_files_place_is_not_read(saved: Path) -> None:
    """Reading it would never end."""
    (saved / artifact.TOKENIZER).unlink()
    (saved / artifact.TOKENIZER).symlink_to("/dev/zero")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: missing"):
        artifact.load(saved)


@pytest.mark.parametrize("length", [2**63, 2**40, 200 * 2**20])
def test_weights_whose_header_claims_more_than_there_is_are_refused(saved: Path, length: int) -> None:
    content = (saved / artifact.WEIGHTS).read_bytes()
    (saved / artifact.WEIGHTS).write_bytes(length.to_bytes(8, "little") + content[8:])
    resign(saved)
    with pytest.raises(ArtifactError, match="safetensors"):
        artifact.load(saved)


def test_weights_that_change_after_their_check_do_not_reach_the_model(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes that were hashed are the bytes that are used."""
    before, check = artifact.load(saved).weights["classifier.bias"], artifact._require_hash

    def check_and_replace(path: Path, found: str, listed: str) -> None:
        check(path, found, listed)
        if path.name == artifact.WEIGHTS:
            path.write_bytes(b"other bytes")

    monkeypatch.setattr(artifact, "_require_hash", check_and_replace)
    assert np.array_equal(before, artifact.load(saved).weights["classifier.bias"])
    with pytest.raises(ArtifactError, match=r"model\.safetensors: broken, truncated or changed"):
        artifact.load(saved)


def test_weights_that_are_not_finite_are_refused(tiny_artifact: MakeArtifact, tmp_path: Path) -> None:
    broken = tiny_artifact()
    broken.weights["classifier.bias"][0] = float("nan")
    artifact.save(broken, tmp_path / "broken", card="")
    with pytest.raises(ArtifactError, match=r"classifier\.bias"):
        artifact.load(tmp_path / "broken")


@pytest.mark.parametrize("content", ["", "{", '{"version": "1.0"}'])
def test_a_tokenizer_that_is_none_is_refused(saved: Path, content: str) -> None:
    (saved / artifact.TOKENIZER).write_text(content)
    resign(saved)
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        artifact.load(saved)


def test_a_tagger_takes_any_artifact(saved: Path) -> None:
    """GoEmotions has 28 labels; the engine uses the labels of the config."""
    tagging = EmotionTagger.load(saved, on="cpu", precision="fp32").tag(["abc"])[0]
    assert {"anger", "joy", "neutral"} == set(tagging.scores)


def test_a_text_in_a_language_of_the_model_is_in_its_scope(tiny_artifact: MakeArtifact, tmp_path: Path) -> None:
    artifact.save(replace(tiny_artifact(), languages=("ko",)), tmp_path / "ko", card="", dtype="fp32")
    tagger = EmotionTagger.load(tmp_path / "ko", on="cpu", precision="fp32")
    tokens = [TokenIds((1,) * 9, truncated=False)] * 3
    texts = ["나는 네가 정말 싫어, 네가 모든 걸 망쳤어.", "I hate you, you ruined everything.", "no me"]
    assert [("ok", "ko"), ("other_language", "en"), ("ok", None)] == tagger.find_scopes(texts, tokens)


def test_the_shipped_artifact_is_small_enough_to_ship_and_says_how_it_was_made(shipped: Artifact) -> None:
    size_bytes = sum(file.stat().st_size for file in artifact.DEFAULT.iterdir())
    assert size_bytes <= 48_000_000
    assert {"command", "seed", "data", "versions"} <= set(shipped.training)
    assert {"train_sha256", "dev_sha256"} == set(shipped.training["data"])
