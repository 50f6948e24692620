"""The compiled library, and the choice of its path."""

from pathlib import Path

import pytest

from emotag_model.engines.native import library
from emotag_model.errors import DeviceUnknown


def test_it_is_compiled_in_this_installation_and_the_portable_path_is_the_last_resort() -> None:
    assert library.is_compiled()
    assert "portable" == library.list_paths()[-1].contents.name.decode()


def test_a_path_can_be_named() -> None:
    assert b"portable" == library.choose_path("portable").contents.name


def test_a_path_that_this_processor_cannot_run_is_refused_with_those_that_it_can() -> None:
    with pytest.raises(DeviceUnknown, match=r"EMOTAG_NATIVE_PATH='avx1024' is not possible .*; use .*portable"):
        library.choose_path("avx1024")


@pytest.mark.parametrize("content", [None, b"not a library"])
def test_without_a_usable_file_it_is_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """No compiler, or a file for another processor."""
    if content is not None:
        (tmp_path / "library.so").write_bytes(content)
    load = library.load
    monkeypatch.setattr(library, "load", lambda: load(tmp_path / "library.so"))
    assert not library.is_compiled()
    assert not library.is_fast()
