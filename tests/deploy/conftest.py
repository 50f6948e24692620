"""The manifests, rendered once, and copies with a defect."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.check.__main__ import ROOT, SHARED, TOOLS
from deploy.check.manifests import Object, Skipped, Tree
from deploy.check.programs import Programs

Spoil = Callable[[Object], None]


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Return the programs of `make deploy-check`, which `make test` installs."""
    return Programs(tools=TOOLS, shared=SHARED)


@pytest.fixture(scope="session")
def tree() -> Tree:
    """Return the project's own manifests."""
    tree = Tree(ROOT)
    try:
        assert tree.rendered
    except Skipped as reason:
        pytest.skip(str(reason))
    return tree


@pytest.fixture
def spoilt(tree: Tree) -> Callable[[str, Spoil], Tree]:
    """Return a function that changes the first object of a kind in a copy of overlays/cpu and kafka."""

    def spoil(kind: str, change: Spoil) -> Tree:
        changed = Tree(ROOT)
        changed.objects = {name: copy.deepcopy(tree.objects[name]) for name in ("overlays/cpu", "kafka")}
        found, *_ = [each for objects in changed.objects.values() for each in objects if each["kind"] == kind]
        change(found)
        return changed

    return spoil


@pytest.fixture
def own_deploy(tmp_path: Path) -> Path:
    """Return a folder that contains a copy of `deploy/`."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / "deploy" / "observe").mkdir(exist_ok=True)
    for name in (".yamllint.yaml", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path
