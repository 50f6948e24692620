"""Packages import in one direction, pure modules stay pure, and importing has no side effects."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "emotag_schemas": {"emotag_schemas"},
    "emotag_model": {"emotag_model"},
    "emotag_worker": {"emotag_worker", "emotag_model", "emotag_schemas"},
    "emotag_training": {"emotag_training", "emotag_model", "emotag_schemas.labels"},
}
FOLDER = {package: ROOT / package.removeprefix("emotag_") / package for package in MAY_IMPORT}

PURE = (
    "emotag_worker.batch_results",
    "emotag_worker.wire",
    "emotag_worker.batch",
    "emotag_worker.batch_budget",
    "emotag_worker.cache.entry",
    "emotag_worker.cache.fingerprint",
    "emotag_worker.errors",
    "emotag_worker.kafka.input.gap",
    "emotag_worker.kafka.properties",
    "emotag_worker.observability.drift",
    "emotag_worker.protocols",
    "emotag_worker.dlq.refusal_limit",
    "emotag_worker.settings.fields",
    "emotag_worker.settings.machine",
    "emotag_worker.settings.reference",
    "emotag_worker.settings.sections",
    "emotag_worker.settings.stream",
    "emotag_worker.settings.times",
)
"""Modules, and packages with all their modules, that reach no client, clock, environment or logger."""
IMPURE = frozenset(("confluent_kafka", "redis", "structlog", "logging", "os", "time", "socket"))

IMPORT_AND_WATCH = """
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
# Other libraries may read the environment on their first import: only ours are imported a second time.
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
if read := {name for name in read if not name.startswith("PYDANTIC_")}:  # read by pydantic's models
    sys.exit(f"read from the environment: {read}")
"""


def module_path(name: str) -> Path | None:
    """Return the file of one of emotag's modules or packages; None for any other name."""
    folder = FOLDER.get(name.partition(".")[0])
    if folder is None:
        return None
    base = folder.joinpath(*name.split(".")[1:])
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def module_names(package: str) -> list[str]:
    """Return the names of a package and of every module in it."""
    folder = FOLDER[package]
    names = [".".join((package, *path.relative_to(folder).with_suffix("").parts)) for path in folder.rglob("*.py")]
    return sorted(name.removesuffix(".__init__") for name in names)


def imported_names(source: str, package: str) -> set[str]:
    """Return the full names of everything that a module of *package* imports: modules, or names in them."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, node.module or ""]).strip(".")
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def forbidden_imports(source: str, package: str) -> set[str]:
    """Return emotag's names that a module of *package* imports against the direction."""
    allowed = MAY_IMPORT[package.split(".")[0]]
    ours = {name for name in imported_names(source, package) if name.split(".")[0] in MAY_IMPORT}
    return {name for name in ours if not any(name == each or name.startswith(each + ".") for each in allowed)}


@cache
def direct_imports(module: str) -> frozenset[str]:
    """Return the imports of an emotag module: emotag's modules by full names, others by top-level names."""
    path = module_path(module)
    assert path is not None, module
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for name in imported_names(path.read_text(encoding="utf-8"), package):
        if name.partition(".")[0] not in FOLDER:
            found.add(name.partition(".")[0])
        else:
            found.add(name if module_path(name) else name.rpartition(".")[0])
    return frozenset(found)


def impure_imports(module: str) -> Iterator[str]:
    """Yield each path of imports from *module* to something impure, through emotag's modules."""
    waiting, seen = [(module, module)], {module}
    while waiting:
        name, way = waiting.pop()
        for imported in sorted(direct_imports(name)):
            if imported in IMPURE:
                yield f"{way} -> {imported}"
            elif module_path(imported) and imported not in seen:
                seen.add(imported)
                waiting.append((imported, f"{way} -> {imported}"))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_packages_upstream_of_it(package: str) -> None:
    """schemas ← worker → model ← training, and training may also read the labels."""
    names = module_names(package)
    assert package in names
    for name in names:
        path = module_path(name)
        assert path is not None
        parent = name if path.name == "__init__.py" else name.rpartition(".")[0]
        assert set() == forbidden_imports(path.read_text(encoding="utf-8"), parent), path


def test_the_stream_imports_nothing_of_the_terminal() -> None:
    """Commands and their output use the clients of Kafka and Redis, never the reverse."""
    stream = ("kafka", "cache", "wire", "observability")
    for name in module_names("emotag_worker"):
        if name.split(".")[1:2] and name.split(".")[1] in stream:
            assert [] == [each for each in direct_imports(name) if each.split(".")[1:2] in (["cli"], ["terminal"])], (
                name
            )


@pytest.mark.parametrize(
    ("package", "source", "found"),
    [
        ("emotag_worker", "import emotag_training", "emotag_training"),
        ("emotag_worker.local", "import emotag_training.loop.fit as fit", "emotag_training.loop.fit"),
        ("emotag_worker", "from emotag_training import run", "emotag_training.run"),
        ("emotag_model", "def late():\n    import emotag_worker", "emotag_worker"),
        ("emotag_schemas", "import json, emotag_model", "emotag_model"),
        ("emotag_training", "import emotag_schemas", "emotag_schemas"),
        ("emotag_training", "from emotag_schemas import result", "emotag_schemas.result"),
        ("emotag_training", "from emotag_schemas import *", "emotag_schemas.*"),
    ],
)
def test_an_import_against_the_direction_is_found(package: str, source: str, found: str) -> None:
    assert {found} == forbidden_imports(source, package)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("emotag_worker", "import emotag_model, emotag_schemas, emotag_trainingwheels"),
        ("emotag_worker.local", "from .. import settings\nfrom ..kafka.sink import Sink\nfrom . import kafka"),
        ("emotag_training", "from emotag_schemas import labels\nfrom emotag_schemas.labels import LABELS"),
    ],
)
def test_an_import_in_the_direction_is_allowed(package: str, source: str) -> None:
    assert set() == forbidden_imports(source, package)


@pytest.mark.parametrize(
    "module", [name for name in module_names("emotag_worker") if any(f"{name}.".startswith(f"{p}.") for p in PURE)]
)
def test_a_pure_module_reaches_nothing_outside(module: str) -> None:
    """Neither directly nor through emotag's modules: no client, no clock, no environment, no logger."""
    assert [] == list(impure_imports(module))


def test_every_pure_name_exists() -> None:
    assert [] == [name for name in PURE if module_path(name) is None]


def test_an_impure_import_is_found_through_other_modules() -> None:
    assert any(way.endswith("-> redis") for way in impure_imports("emotag_worker.service"))


def effects_of_importing(modules: list[str], folder: Path) -> str:
    """Import *modules* in a new process in *folder*; return its complaints: threads, a device, the environment read."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_AND_WATCH, *modules], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else ""  # another library may write warnings


def test_importing_every_module_starts_nothing() -> None:
    """No thread, no device, no environment read: importing has no side effects."""
    modules = [name for package in MAY_IMPORT for name in module_names(package)]
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
        "import sys, emotag_schemas.documents\n"
        "assert not {'torch', 'confluent_kafka', 'redis', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
