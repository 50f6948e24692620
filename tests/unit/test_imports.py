"""The rooms depend on one another in one direction."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "schemas": {"schemas"},
    "model": {"model"},
    "worker": {"worker", "model", "schemas"},
    "training": {"training", "model", "schemas.labels"},
}
PURE = (
    "batching",
    "decode",
    "drift",
    "encode",
    "entry",
    "errors",
    "fingerprint",
    "offsets",
    "properties",
    "record",
    "step",
    "traceparent",
)
CLIENTS = ("confluent_kafka", "redis", "structlog", "logging", "os", "time", "socket")

IMPORTING = """
import importlib, os, sys, threading

read = set()

class Watched(type(os.environ)):
    def __getitem__(self, name):
        read.add(name)
        return super().__getitem__(name)

    def __iter__(self):
        read.add("all of it")
        return super().__iter__()

names = sys.argv[1:]
for name in names:
    importlib.import_module(name)
# What others read when they are first imported is their own business: only ours are imported a second time.
for name in names:
    sys.modules.pop(name, None)
os.environ.__class__ = Watched
for name in names:
    importlib.import_module(name)
os.environ.__class__ = Watched.__base__
if threads := threading.enumerate()[1:]:
    sys.exit(f"threads: {threads}")
if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
    sys.exit("a device is in use")
if read := {name for name in read if not name.startswith("PYDANTIC_")}:  # its models ask for it as they are defined
    sys.exit(f"read from the environment: {read}")
"""


def imported(source: str, package: str) -> set[str]:
    """Full names of all that a module of *package* imports, wherever in it: modules, or names in them."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, node.module or ""]).strip(".")
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def forbidden(source: str, package: str) -> set[str]:
    """What of ours a module of *package* imports though its room may not."""
    allowed = MAY_IMPORT[package.split(".")[0]]
    ours = {name for name in imported(source, package) if name.split(".")[0] in MAY_IMPORT}
    return {name for name in ours if not any(name == room or name.startswith(room + ".") for room in allowed)}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_rooms_upstream_of_it(room: str) -> None:
    """schemas ← worker → model ← training, and training may also read the labels."""
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        package = ".".join(path.relative_to(ROOT).parts[:-1])
        assert set() == forbidden(path.read_text(encoding="utf-8"), package), path


@pytest.mark.parametrize(
    ("package", "source", "found"),
    [
        ("worker", "import training", "training"),
        ("worker.local", "import training.fit as fit", "training.fit"),
        ("worker", "from training import fit", "training.fit"),
        ("model", "def late():\n    import worker", "worker"),
        ("schemas", "import json, model", "model"),
        ("training", "import schemas", "schemas"),
        ("training", "from schemas import result", "schemas.result"),
        ("training", "from schemas import *", "schemas.*"),
    ],
)
def test_an_import_of_a_room_that_is_not_upstream_is_found(package: str, source: str, found: str) -> None:
    assert {found} == forbidden(source, package)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("worker", "import model, schemas, trainingwheels"),
        ("worker.local", "from .. import clients\nfrom ..sink import Sink\nfrom . import kafka"),
        ("training", "from schemas import labels\nfrom schemas.labels import LABELS\nimport schemas.labels"),
    ],
)
def test_an_import_of_a_room_upstream_is_allowed(package: str, source: str) -> None:
    assert set() == forbidden(source, package)


@pytest.mark.parametrize("name", PURE)
def test_a_pure_room_of_the_worker_touches_nothing_outside(name: str) -> None:
    """No client, no clock, no environment, no logger."""
    source = (ROOT / "worker" / f"{name}.py").read_text(encoding="utf-8")
    found = {module.split(".")[0] for module in imported(source, "worker")}
    assert not found & set(CLIENTS)


def effects_of_importing(modules: list[str], folder: Path) -> str:
    """What a process that imports *modules* of *folder* complains of: threads, a device, the environment read."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING, *modules], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else ""  # another library may grumble at whatever it finds


def test_importing_every_module_starts_nothing() -> None:
    """No thread, no device, no environment read: importing is free of effects."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for room in MAY_IMPORT
        for path in (ROOT / room).rglob("*.py")
    ]
    assert "" == effects_of_importing(modules, ROOT)


@pytest.mark.parametrize(
    ("source", "effect"),
    [
        ("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()", "threads"),
        ("import os\nHOME = os.environ.get('HOME')", "HOME"),
        ("from os import environ\nHOME = 'HOME' in environ", "HOME"),
        ("import os\nNOTHING = os.getenv('NO_SUCH_NAME')", "NO_SUCH_NAME"),
        ("import os\nALL = dict(os.environ)", "all of it"),
        ("from pathlib import Path\nHOME = Path.home()", "HOME"),
    ],
)
def test_an_effect_of_importing_is_found(source: str, effect: str, tmp_path: Path) -> None:
    (tmp_path / "guilty.py").write_text(source, encoding="utf-8")
    assert effect in effects_of_importing(["guilty"], tmp_path)


def test_schemas_need_neither_torch_nor_kafka() -> None:
    """A consumer of the output topic installs pydantic alone."""
    program = (
        "import sys, schemas.documents\n"
        "assert not {'torch', 'confluent_kafka', 'redis', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
