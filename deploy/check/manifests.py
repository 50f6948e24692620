"""The manifests in `deploy/`, rendered like an operator renders them."""

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
"""Longest rendering. kubectl reads a few files and uses no network: seconds, even on a busy machine."""

SHIPPED = ("overlays/cpu", "overlays/gpu", "overlays/static", "overlays/next")
"""Overlays that emotag ships as examples. All others belong to the user."""

POD_OWNERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")

Object = dict[str, Any]


class Skipped(Exception):
    """Raised by a check that cannot run here, with the reason."""


@dataclass(frozen=True)
class Workload:
    """An object that creates pods.

    Attributes:
        where: overlay, kind and name, for messages.
        siblings: all objects that are applied with it.
    """

    where: str
    object: Object
    pod: Object
    siblings: list[Object]

    @property
    def containers(self) -> list[Object]:
        return [*self.pod.get("initContainers", []), *self.pod.get("containers", [])]


class Tree:
    """The folder `deploy/` and its rendered manifests.

    Args:
        root: the folder that contains `deploy/`.
        only: the folders of `deploy/kubernetes` to render. By default, all.
    """

    def __init__(self, root: Path, *, only: Collection[str] = ()) -> None:
        self.root = root
        self._only = only
        self.deploy = root / "deploy"

    @functools.cached_property
    def _renderings(self) -> dict[str, subprocess.CompletedProcess[str]]:
        """Output of `kubectl kustomize` by folder, for each folder that can be applied.

        Raises:
            Skipped: kubectl is not installed.
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
        """Manifests by folder, for the folders that can be rendered."""
        return {name: done.stdout for name, done in self._renderings.items() if done.returncode == 0}

    @property
    def errors(self) -> list[str]:
        """Messages for the folders that cannot be rendered."""
        return [f"{name}: {done.stderr.strip()}" for name, done in self._renderings.items() if done.returncode]

    @functools.cached_property
    def objects(self) -> dict[str, list[Object]]:
        """Manifests by folder, as objects."""
        return {name: list(filter(None, yaml.safe_load_all(text))) for name, text in self.rendered.items()}

    def iterate_kind(self, kind: str) -> Iterator[tuple[str, Object]]:
        """Yield all objects of *kind*, each with its place."""
        for name, objects in self.objects.items():
            for each in objects:
                if each["kind"] == kind:
                    yield format_place(name, each), each

    def iterate_workloads(self) -> Iterator[Workload]:
        """Yield all objects that create pods."""
        for name, objects in self.objects.items():
            for each in objects:
                if each["kind"] in POD_OWNERS:
                    yield Workload(format_place(name, each), each, _find_pod(each), objects)


def format_place(overlay: str, given: Object) -> str:
    """Return overlay, kind and name of an object, for messages."""
    return f"{overlay}: {given['kind']}/{given['metadata']['name']}"


def _find_pod(owner: Object) -> Object:
    """Return the pod's spec in its owner's spec."""
    spec = owner["spec"]
    if owner["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    found: Object = spec if owner["kind"] == "Pod" else spec["template"]["spec"]
    return found


def _render(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=RENDER_S)
