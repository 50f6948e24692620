"""The map for contributors is true: its files exist, and each change stays within the places that it names."""

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from emotag_model.engines import choice
from emotag_training.data.split import Split
from emotag_training.encoders.names import FETCHED, ORIGINS, PACKAGES
from emotag_training.evaluation.thresholds import POLICIES, choose_thresholds
from emotag_worker.settings import ModelSettings

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "contributing" / "map.md").read_text(encoding="utf-8")
CHANGES = [line for line in MAP[MAP.index("## Ten changes") :].splitlines() if re.match(r"\| an? |\| another ", line)]
OURS = ("schemas", "model", "worker", "training")
MAY_USE_KAFKA = ("kafka", "dlq", "terminal", "local", "cli")
"""Folders of the worker. The stream uses Kafka's client in the first one alone, the command line only its exception."""


def paths(text: str) -> list[str]:
    """Return the paths that a part of the map names, from the root of the checkout."""
    return [name for name in re.findall(r"`([\w./-]+/[\w./-]+)`", text) if (ROOT / name.partition("/")[0]).is_dir()]


def test_every_file_of_the_map_exists() -> None:
    named = paths(MAP)
    assert len(named) > 40
    assert [] == [name for name in named if not (ROOT / name).exists()]


def test_ten_changes_are_on_the_map() -> None:
    assert 10 == len(CHANGES)


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row.split("|")[1].strip())
def test_a_change_begins_in_one_place_and_touches_at_most_two_packages(row: str) -> None:
    _, _, place, follows, tests, _ = row.split("|")
    assert 1 == len(paths(place))
    assert len({name.partition("/")[0] for name in paths(place + follows)} & set(OURS)) <= 2
    assert any(name.startswith("tests/") for name in paths(tests))


def test_the_worker_takes_every_precision_that_the_model_has() -> None:
    allowed = get_args(ModelSettings.model_fields["precision"].annotation)
    assert {"auto", *vars(choice)["PRECISIONS"]} == set(allowed)


@pytest.mark.parametrize("form", re.split(", | or ", POLICIES.partition(", P and")[0]))
def test_thresholds_are_chosen_by_the_policy_that_is_named(form: str) -> None:
    """A letter is a placeholder for a number. A policy that is only half added must not fall back on another one."""
    policy = re.sub(r"[A-Z]$", "0.8", form)
    probabilities_NK = np.array([[0.9, 0.1], [0.2, 0.7], [0.6, 0.4]], np.float32)
    dev = Split(("a", "b", "c"), np.round(probabilities_NK), ("joy", "anger"), "0" * 64)
    assert policy == choose_thresholds(probabilities_NK, dev, policy).policy


def test_every_encoder_with_a_short_name_has_an_origin_and_a_make_target() -> None:
    assert {*PACKAGES, *FETCHED} == set(ORIGINS)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {command.removeprefix("make ") for command in FETCHED.values()} <= targets


def test_kafkas_client_is_imported_in_few_folders() -> None:
    """Another broker is a change to these folders, and to `service.py`, which builds the parts."""
    package = ROOT / "worker" / "emotag_worker"
    users = {
        path.relative_to(package).as_posix()
        for folder in (package, ROOT / "model", ROOT / "schemas", ROOT / "training")
        for path in folder.rglob("*.py")
        if re.search(r"^\s*(from|import) confluent_kafka\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert "kafka/input/source.py" in users
    assert set() == {path for path in users if not path.startswith(tuple(f"{name}/" for name in MAY_USE_KAFKA))}


def test_every_make_target_that_a_text_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    texts = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/contributing/*.md"),
        *ROOT.glob("*/README.md"),
    ]
    named = {
        (path.name, target)
        for path in texts
        for target in re.findall(r"(?:`|^)make ([a-z]+(?:-[a-z]+)*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 5
    assert set() == {(name, target) for name, target in named if target not in targets}
