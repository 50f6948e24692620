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
PURE = ("decode", "fingerprint", "entry", "offsets", "encode", "record", "errors", "properties")
CLIENTS = ("confluent_kafka", "redis", "structlog", "logging", "os", "time", "socket")


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, wherever in it."""
    package = ".".join(path.relative_to(ROOT).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, node.module or ""]).strip(".")
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_rooms_upstream_of_it(room: str) -> None:
    """schemas ← worker → model ← training, and training may also read the labels."""
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            if name.split(".")[0] in MAY_IMPORT and name not in MAY_IMPORT:
                allowed = MAY_IMPORT[room]
                assert any(name == a or name.startswith(a + ".") for a in allowed), f"{path} imports {name}"


@pytest.mark.parametrize("name", PURE)
def test_a_pure_room_of_the_worker_touches_nothing_outside(name: str) -> None:
    """No client, no clock, no environment, no logger."""
    found = {module.split(".")[0] for module in imported(ROOT / "worker" / f"{name}.py")}
    assert not found & set(CLIENTS)


def test_importing_every_module_starts_nothing() -> None:
    """No thread, no device, no client, no environment read: importing is free of effects."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for room in MAY_IMPORT
        for path in (ROOT / room).rglob("*.py")
    ]
    program = (
        "import importlib, sys, threading\n"
        f"for name in {modules!r}:\n    importlib.import_module(name)\n"
        "import torch\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not torch.cuda.is_initialized()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr


def test_schemas_need_neither_torch_nor_kafka() -> None:
    """A consumer of the output topic installs pydantic alone."""
    program = (
        "import sys, schemas.documents\n"
        "assert not {'torch', 'confluent_kafka', 'redis', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
