"""What drift is told from: counted, kept in the artifact, and refused where it is anything else."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model import artifact
from model.artifact import Artifact, ArtifactError
from model.reference import LENGTH_EDGES, Reference, bins
from model.tagger import EmotionTagger
from model.tokens import TokenIds, Tokens

from .conftest import LABELS, tiny_tokenizer

RATES = {"anger": 0.25, "joy": 0.5, "neutral": 0.5}


def reference() -> Reference:
    scores_NK = np.array([[0.005, 0.5, 0.95], [0.01, 0.51, 1.0]], np.float32)
    return Reference.of(scores_NK, [TokenIds((2, 1, 3), False, 1), TokenIds((2,) * 30, True)], RATES)


def test_each_value_is_counted_in_the_bin_that_ends_at_or_above_it() -> None:
    """As Prometheus counts: a score of exactly 0.01 or 0.5 is in the bin up to it."""
    made = reference()
    assert [2, 0, 0, 0, 0, 0, 0, 0, 0, 0] == made.score_counts_KS[0].tolist()
    assert [0, 0, 0, 0, 0, 0, 1, 1, 0, 0] == made.score_counts_KS[1].tolist()
    assert [0, 0, 0, 0, 0, 0, 0, 0, 0, 2] == made.score_counts_KS[2].tolist()
    assert {3: 1, 30: 1} == {
        size: int(made.length_counts_L[bins(np.array([[size]]), LENGTH_EDGES)[0, 0]]) for size in (3, 30)
    }
    assert made.unknown_rate == 1 / 33


def test_tokens_that_the_vocabulary_lacks_are_counted() -> None:
    first, second = Tokens(tiny_tokenizer(), max_tokens=8)(["joy ☃ ☃", "joy"])
    assert (2, 0) == (first.unknown, second.unknown)


def test_an_artifact_keeps_it_and_a_tagger_has_it(tiny_artifact: Callable[[], Artifact], tmp_path: Path) -> None:
    artifact.save(replace(tiny_artifact(), reference=reference()), tmp_path, card="")
    kept = artifact.load(tmp_path).reference
    assert kept is not None
    assert reference().written() == kept.written()
    assert artifact.REFERENCE in artifact.files(tmp_path)
    assert EmotionTagger.load(tmp_path, on="cpu", engine="openvino", precision="fp32").reference is not None


def test_the_model_that_ships_has_one_of_its_own_labels_and_window() -> None:
    shipped = artifact.load(artifact.DEFAULT)
    assert shipped.reference is not None
    assert list(shipped.config.labels) == list(shipped.reference.label_rates)
    assert shipped.config.max_tokens == max(shipped.reference.length_edges) + 1


def test_an_artifact_without_one_is_served_and_leaves_none_of_an_older_one(
    tiny_artifact: Callable[[], Artifact], tmp_path: Path
) -> None:
    artifact.save(replace(tiny_artifact(), reference=reference()), tmp_path, card="")
    version = artifact.load(tmp_path).version
    artifact.save(tiny_artifact(), tmp_path, card="")
    assert artifact.load(tmp_path).reference is None
    assert version == artifact.load(tmp_path).version


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"texts": 3}, "do not add up"),
        ({"label_rates": {"joy": 1}}, "labels are not the model's"),
        ({"scores": {"edges": [0.5, 0.1], "counts": {label: [1, 0, 1] for label in LABELS}}}, "do not rise"),
        ({"scores": {"edges": [0.5], "counts": {label: [3, -1] for label in LABELS}}}, "do not add up"),
        ({"scores": {"edges": [0.5], "counts": {label: [1, 0, 1] for label in LABELS}}}, "one fewer"),
        ({"tokens": {"counts": [1]}}, "'edges' is missing"),
        ({"unknown_rate": 1.5}, "no share"),
        ({"unknown_rate": None}, "NoneType"),
        ({"scores": []}, "indices"),
    ],
)
def test_a_reference_that_is_none_is_refused_by_name(
    tiny_artifact: Callable[[], Artifact], tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    artifact.save(replace(tiny_artifact(), reference=reference()), tmp_path, card="")
    values = {**reference().written(), **change}
    (tmp_path / artifact.REFERENCE).write_text(json.dumps(values), encoding="utf-8")
    artifact._write_sums(tmp_path)
    with pytest.raises(ArtifactError, match=why) as caught:
        artifact.load(tmp_path)
    assert artifact.REFERENCE in str(caught.value)


def test_a_reference_that_was_changed_is_noticed(tiny_artifact: Callable[[], Artifact], tmp_path: Path) -> None:
    artifact.save(replace(tiny_artifact(), reference=reference()), tmp_path, card="")
    file = tmp_path / artifact.REFERENCE
    file.write_text(file.read_text().replace('"texts": 2', '"texts": 3'))
    with pytest.raises(ArtifactError, match="SHA256SUMS"):
        artifact.load(tmp_path)
