"""The tree of manifests, rendered as an operator renders it."""

import functools
import shutil
import subprocess
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RENDER_S = 60
"""kubectl reads some files and asks nobody: seconds, on a machine that does other things too."""

SHIPPED = ("overlays/cpu", "overlays/gpu", "overlays/static", "overlays/next")
"""Overlays that come with emotag for a cluster of somebody's; another is somebody's own."""

POD_OWNERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")

Object = dict[str, Any]


class Skipped(Exception):
    """A check that cannot be made here, and why."""


@dataclass(frozen=True)
class Workload:
    """What makes pods.

    Attributes:
        where: overlay, kind and name, for a person to find it.
        beside: all that is applied with it.
    """

    where: str
    object: Object
    pod: Object
    beside: list[Object]

    @property
    def containers(self) -> list[Object]:
        return [*self.pod.get("initContainers", []), *self.pod.get("containers", [])]


class Tree:
    """`deploy/` and what is made of it.

    Args:
        root: the folder that `deploy/` is in.
        only: of `deploy/kubernetes`, the folders to render; all if none is named.
    """

    def __init__(self, root: Path, *, only: Collection[str] = ()) -> None:
        self.root = root
        self._only = only
        self.deploy = root / "deploy"

    @functools.cached_property
    def _renderings(self) -> dict[str, subprocess.CompletedProcess[str]]:
        """{folder: what `kubectl kustomize` said of it}, for everything that can be applied.

        Raises:
            Skipped: there is no kubectl.
        """
        if shutil.which("kubectl") is None:
            raise Skipped("kubectl is not installed")
        kubernetes = self.deploy / "kubernetes"
        names = [
            file.parent.relative_to(kubernetes).as_posix()
            for file in sorted(kubernetes.rglob("kustomization.yaml"))
            if yaml.safe_load(file.read_text(encoding="utf-8")).get("kind") != "Component"
        ]
        chosen = [name for name in names if not self._only or name in self._only]
        with ThreadPoolExecutor(max_workers=2) as pool:
            done = pool.map(lambda name: _render(kubernetes / name), chosen)
        return dict(zip(chosen, done, strict=True))

    @property
    def rendered(self) -> dict[str, str]:
        """{folder: its manifests}, of those that can be rendered."""
        return {name: done.stdout for name, done in self._renderings.items() if done.returncode == 0}

    @property
    def complaints(self) -> list[str]:
        """What is said of those that cannot be rendered."""
        return [f"{name}: {done.stderr.strip()}" for name, done in self._renderings.items() if done.returncode]

    @functools.cached_property
    def objects(self) -> dict[str, list[Object]]:
        """The same, as objects."""
        return {name: list(filter(None, yaml.safe_load_all(text))) for name, text in self.rendered.items()}

    def of_kind(self, kind: str) -> Iterator[tuple[str, Object]]:
        """All objects of *kind*, each with where it is."""
        for name, objects in self.objects.items():
            for each in objects:
                if each["kind"] == kind:
                    yield place(name, each), each

    def workloads(self) -> Iterator[Workload]:
        """All that makes pods."""
        for name, objects in self.objects.items():
            for each in objects:
                if each["kind"] in POD_OWNERS:
                    yield Workload(place(name, each), each, _pod(each), objects)


def place(overlay: str, given: Object) -> str:
    """Where an object is, for a person to find it."""
    return f"{overlay}: {given['kind']}/{given['metadata']['name']}"


def _pod(owner: Object) -> Object:
    """The pod's spec within its owner's."""
    spec = owner["spec"]
    if owner["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    found: Object = spec if owner["kind"] == "Pod" else spec["template"]["spec"]
    return found


def _render(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=RENDER_S)
