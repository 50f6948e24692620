"""The command `fit`: its lines on the terminal."""

from pathlib import Path

import pytest

from emotag_training import run
from emotag_training.cli.fit import fit


def test_the_name_of_a_file_is_printed_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets in it are no markup."""
    rows = "".join(f"text {row},{'joy' if row % 2 else 'anger'}\n" for row in range(40))
    (tmp_path / "so [").mkdir()
    (tmp_path / "so [" / "bold] mine[copy].csv").write_text(f"text,labels\n{rows}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "train", lambda *_, **__: None)
    fit(Path("out"), data_="so [/bold] mine[copy].csv")
    assert "reading so [/bold] mine[copy].csv\n" == capsys.readouterr().err
