"""Settings from the files that variables name."""

from pathlib import Path

import pytest

from emotag_worker.errors import SettingsError
from emotag_worker.settings import loader
from emotag_worker.settings.loader import find_source, find_unknown_variables, read_sources, validate

PASSWORD = "EMOTAG_KAFKA__PROPERTIES__sasl.password_FILE"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "secret"
    made.write_text("hunter2 \n", encoding="utf-8")
    return made


def test_a_setting_and_a_property_can_come_from_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newline at the end is left out: a space can belong to a password."""
    monkeypatch.setenv("EMOTAG_CACHE__HASH_SECRET_FILE", str(file))
    monkeypatch.setenv("emotag_kafka__group_id_file", str(file))
    monkeypatch.setenv(PASSWORD, str(file))
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES__client.rack", "a")
    settings = loader.load()
    assert settings.cache.hash_secret is not None
    assert "hunter2 " == settings.cache.hash_secret.get_secret_value() == settings.kafka.group_id
    assert {"sasl.password": "hunter2 ", "client.rack": "a"} == settings.kafka.properties
    assert [] == find_unknown_variables({PASSWORD: "", "EMOTAG_CACHE__URL_FILE": ""})


def test_all_properties_can_come_from_one_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('{"sasl.password": "hunter2"}', encoding="utf-8")
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES_FILE", str(file))
    assert {"sasl.password": "hunter2"} == loader.load().kafka.properties


def test_the_source_of_the_value_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTAG_CACHE__HASH_SECRET_FILE", str(file))
    monkeypatch.setenv("EMOTAG_LOG__LEVEL_FILE", str(file))
    sources = read_sources()
    assert "_FILE" == find_source(sources, "cache.hash_secret")
    with pytest.raises(SettingsError, match=r"log.level \(EMOTAG_LOG__LEVEL, from the file of a variable that ends"):
        validate(sources)


def test_a_flag_is_over_the_file_of_a_variable_and_that_over_a_toml_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = tmp_path / "emotag.toml"
    toml.write_text('[kafka]\ngroup_id = "toml"\n', encoding="utf-8")
    monkeypatch.setenv("EMOTAG_KAFKA__GROUP_ID_FILE", str(file))
    assert "hunter2 " == loader.load(toml).kafka.group_id
    assert "flag" == loader.load(toml, {"kafka": {"group_id": "flag"}}).kafka.group_id


@pytest.mark.parametrize("other", ["EMOTAG_CACHE__URL", "emotag_cache__url"])
def test_a_variable_and_its_file_are_refused_together(other: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(other, "redis://:hunter2@cache")
    monkeypatch.setenv("EMOTAG_CACHE__URL_FILE", str(file))
    with pytest.raises(SettingsError) as caught:
        loader.load()
    assert "EMOTAG_CACHE__URL and EMOTAG_CACHE__URL_FILE are both set: keep one of the two" == str(caught.value)


@pytest.mark.parametrize(
    ("content", "cause"),
    [(None, "no such file or directory"), (b"\xff", "not UTF-8"), (b"x" * 1_048_577, "more than 1 MiB")],
)
def test_a_file_that_cannot_be_used_is_named_with_its_variable(
    content: bytes | None, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("EMOTAG_CACHE__URL_FILE", str(path))
    with pytest.raises(SettingsError, match=cause) as caught:
        loader.load()
    assert str(caught.value).startswith(f"cannot read {path} (EMOTAG_CACHE__URL_FILE, from the environment): ")


def test_a_mistyped_name_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTAG_CACHE__SECRET_FILE", str(file))
    with pytest.raises(SettingsError, match="EMOTAG_CACHE__SECRET_FILE is not a setting"):
        loader.load()
