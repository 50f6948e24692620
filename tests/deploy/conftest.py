"""The tree of manifests, rendered once, and copies of it to spoil."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .__main__ import ROOT, SHARED, TOOLS
from .manifests import Object, Skipped, Tree
from .programs import Programs

Spoil = Callable[[Object], None]


@pytest.fixture(scope="session")
def programs() -> Programs:
    """What `make deploy-check` runs; `make test` has installed it."""
    return Programs(tools=TOOLS, shared=SHARED)


@pytest.fixture(scope="session")
def tree() -> Tree:
    """The project's own, all of it."""
    tree = Tree(ROOT)
    try:
        assert tree.rendered
    except Skipped as why:
        pytest.skip(str(why))
    return tree


@pytest.fixture
def spoilt(tree: Tree) -> Callable[[str, Spoil], Tree]:
    """The tree after the first object of a kind was changed, in overlays/cpu or kafka."""

    def spoil(kind: str, change: Spoil) -> Tree:
        changed = Tree(ROOT)
        changed.objects = {name: copy.deepcopy(tree.objects[name]) for name in ("overlays/cpu", "kafka")}
        found, *_ = [each for objects in changed.objects.values() for each in objects if each["kind"] == kind]
        change(found)
        return changed

    return spoil


@pytest.fixture
def own_deploy(tmp_path: Path) -> Path:
    """A folder with a copy of `deploy/` in it."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / "deploy" / "observe").mkdir(exist_ok=True)
    for name in (".yamllint.yaml", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path
