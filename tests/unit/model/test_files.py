"""The cache folder follows the platform's rules, and mistakes in a TOML file name the file."""

from pathlib import Path

import pytest

from emotag_model.files import NO_HOME, find_cache_folder, read_toml


def test_the_cache_is_below_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in ("", None):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        if unset is not None:
            monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert find_cache_folder() == tmp_path / ".cache" / "emotag"


def test_the_variable_has_priority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_cache_folder() == tmp_path / "emotag"
    assert not (tmp_path / "emotag").exists()  # the first write creates it


def test_a_user_without_a_home_folder_still_gets_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_cache_path", fail)
    assert find_cache_folder() == NO_HOME


def test_a_toml_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[kafka]\ngroup_id = 'ü'\n", encoding="utf-8")
    assert {"kafka": {"group_id": "ü"}} == read_toml(file, error=KeyError)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), (b"a = ", "not TOML"), (b"a = '\xff'", "not TOML")]
)
def test_a_file_that_is_not_toml_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(LookupError, match=rf"a\.toml: {message}"):
        read_toml(file, error=LookupError)
