"""The reference of drift: counted, saved in the artifact, and refused if it is invalid."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.errors import ArtifactError
from emotag_model.reference_stats import LENGTH_EDGES, ReferenceStats, assign_bins
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds, Tokens
from tests.numerics.conftest import LABELS, tiny_tokenizer

RATES = {"anger": 0.25, "joy": 0.5, "neutral": 0.5}


def reference() -> ReferenceStats:
    scores_NK = np.array([[0.005, 0.5, 0.95], [0.01, 0.51, 1.0]], np.float32)
    return ReferenceStats.of(scores_NK, [TokenIds((2, 1, 3), False, 1), TokenIds((2,) * 30, True)], RATES)


def test_each_value_is_counted_in_the_bin_that_ends_at_or_above_it() -> None:
    """Like in Prometheus: a score of exactly 0.01 or 0.5 is in the bin that ends there."""
    made = reference()
    assert [2, 0, 0, 0, 0, 0, 0, 0, 0, 0] == made.score_counts_KE[0].tolist()
    assert [0, 0, 0, 0, 0, 0, 1, 1, 0, 0] == made.score_counts_KE[1].tolist()
    assert [0, 0, 0, 0, 0, 0, 0, 0, 0, 2] == made.score_counts_KE[2].tolist()
    assert {3: 1, 30: 1} == {
        size: int(made.length_counts_E[assign_bins(np.array([[size]]), LENGTH_EDGES)[0, 0]]) for size in (3, 30)
    }
    assert made.unknown_rate == 1 / 33


def test_tokens_that_the_vocabulary_lacks_are_counted() -> None:
    first, second = Tokens(tiny_tokenizer(), max_tokens=8)(["joy ☃ ☃", "joy"])
    assert (2, 0) == (first.unknown, second.unknown)


def test_an_artifact_keeps_it_and_a_tagger_has_it(tiny_artifact: Callable[[], Artifact], tmp_path: Path) -> None:
    artifact.save(replace(tiny_artifact(), reference_stats=reference()), tmp_path, card="")
    kept = artifact.load(tmp_path).reference_stats
    assert kept is not None
    assert reference().to_json() == kept.to_json()
    assert artifact.REFERENCE in artifact.files(tmp_path)
    assert EmotionTagger.load(tmp_path, on="cpu", engine="openvino", precision="fp32").reference_stats is not None


def test_the_model_that_ships_has_one_of_its_own_labels_and_window() -> None:
    shipped = artifact.load(artifact.DEFAULT)
    assert shipped.reference_stats is not None
    assert list(shipped.config.labels) == list(shipped.reference_stats.label_rates)
    assert shipped.config.max_tokens == max(shipped.reference_stats.length_edges) + 1


def test_an_artifact_without_one_is_served_and_leaves_none_of_an_older_one(
    tiny_artifact: Callable[[], Artifact], tmp_path: Path
) -> None:
    artifact.save(replace(tiny_artifact(), reference_stats=reference()), tmp_path, card="")
    version = artifact.load(tmp_path).version
    artifact.save(tiny_artifact(), tmp_path, card="")
    assert artifact.load(tmp_path).reference_stats is None
    assert version == artifact.load(tmp_path).version


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"texts": 3}, "do not add up"),
        ({"label_rates": {"joy": 1}}, "labels are not those of the model"),
        ({"scores": {"edges": [0.5, 0.1], "counts": {label: [1, 0, 1] for label in LABELS}}}, "do not rise"),
        ({"scores": {"edges": [0.5], "counts": {label: [3, -1] for label in LABELS}}}, "do not add up"),
        ({"scores": {"edges": [0.5], "counts": {label: [1, 0, 1] for label in LABELS}}}, "one fewer edge"),
        ({"tokens": {"counts": [1]}}, "'edges' is missing"),
        ({"unknown_rate": 1.5}, "not within"),
        ({"unknown_rate": None}, "NoneType"),
        ({"scores": []}, "indices"),
    ],
)
def test_a_reference_that_is_none_is_refused_by_name(
    tiny_artifact: Callable[[], Artifact], tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    artifact.save(replace(tiny_artifact(), reference_stats=reference()), tmp_path, card="")
    values = {**reference().to_json(), **change}
    (tmp_path / artifact.REFERENCE).write_text(json.dumps(values), encoding="utf-8")
    artifact._write_sums(tmp_path)
    with pytest.raises(ArtifactError, match=why) as caught:
        artifact.load(tmp_path)
    assert artifact.REFERENCE in str(caught.value)
