"""The lines of the demo."""

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from emotag_worker.local.demo_records import DemoRecord, Tally
from emotag_worker.local.demo_view import GUIDE, DemoView, name_command, render_emotion

JOY, GRATITUDE, LONG = (
    {"label": label, "score": score} for label, score in (("joy", 0.91), ("gratitude", 0.3), ("disappointment", 0.2))
)
View = Callable[[int], DemoView]


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> View:
    """Return a function that creates a view of so many columns."""

    def create(columns: int) -> DemoView:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        return DemoView(silent=False)

    return create


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_a_line_never_wraps_and_its_columns_are_aligned(
    columns: int, view: View, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = view(columns)
    shown.show_result(DemoRecord("short"), {"emotions": [JOY, GRATITUDE, LONG]})
    shown.show_result(DemoRecord("long " * 99, repeated=True), {"emotions": []})
    shown.show_result(DemoRecord("日本語" * 50), {"emotions": [JOY]})
    shown.show_dead_letter(DemoRecord("{", broken=b"{"), "NotJson: " + "because " * 30)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert 4 == len(lines)
    assert ["  short", "↻ long ", "  日本語日本", "✗ {    "] == [line[:7] for line in lines]
    place = lines[0].index("joy")
    assert place == lines[1].index("no emotion") == lines[3].index("NotJson")
    assert max(map(cell_len, lines)) <= min(columns, 120)


def test_only_the_mark_and_the_bar_of_a_repeat_are_coloured(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output = io.StringIO()
    output.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", output)
    DemoView(silent=False).show_result(DemoRecord("a text", repeated=True), {"emotions": [JOY]})
    printed = output.getvalue()
    assert ["\x1b[36m↻ \x1b[0m", "\x1b[32m━━━━━━━╸\x1b[0m"] == re.findall(r"\x1b\[3\dm.*?\x1b\[0m", printed)
    assert 4 == printed.count("\x1b")


def test_emotions_without_room_are_counted(view: View, capsys: pytest.CaptureFixture[str]) -> None:
    for columns, emotions in ((80, [JOY, LONG, GRATITUDE]), (120, [JOY, GRATITUDE, LONG]), (120, [JOY, LONG])):
        view(columns).show_result(DemoRecord("a"), {"emotions": emotions})
    narrow, wide, full = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert narrow.endswith("91 %  +2")
    assert wide.endswith("91 %  gratitude 30 %  +1")
    assert full.endswith("91 %  disappointment 20 %")


@pytest.mark.parametrize(
    ("score", "bar"), [(1.0, "━━━━━━━━"), (0.5, "━━━━    "), (0.56, "━━━━╸   "), (0.0, "        ")]
)
def test_the_bar_has_the_length_of_the_score(score: float, bar: str) -> None:
    assert f"joy            {bar} {100 * score:3.0f} %" == render_emotion({"label": "joy", "score": score}).plain


@pytest.mark.parametrize(("paced", "shown"), [(True, "Median time"), (False, "first record")])
def test_a_paced_demo_shows_its_latency_and_another_one_its_duration(
    paced: bool, shown: str, view: View, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally(sent={f"{number}": 1.0 for number in range(100)}, repeated=1)
    for name in tally.sent:
        tally.count_arrival(name, dead=False, cached=name == "7")
    view(100).show_proof(tally, paced=paced)
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "100 records in: 100 results, 0 dead letters, 0 lost, 0 duplicated." in out
    assert "1 text repeated an earlier one; 1 result came from the cache." in out
    assert [shown] == [each for each in ("Median time", "first record", "messages/s") if each in out]


def test_without_a_terminal_a_start_is_one_line_and_an_error_begins_its_own(
    view: View, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = view(80)
    with shown.show_duration("Kafka", hint="slow"):
        pass
    with pytest.raises(OSError, match="no port"), shown.show_duration("Valkey", hint=""):
        raise OSError("no port")
    assert re.fullmatch(r"starting Kafka … 0\.\d s\nstarting Valkey … \n", capsys.readouterr().err)


@pytest.mark.parametrize("on_path", [True, False])
def test_the_next_commands_can_be_pasted(on_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "a folder" / "emotag"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/bin" if on_path else "/bin")
    assert ("emotag" if on_path else "'a folder/emotag'") == name_command()
    assert 0 == subprocess.run(["/bin/sh", "-c", name_command()], check=False).returncode


def test_another_emotag_on_the_path_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("mine", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "emotag").write_text("#!/bin/sh\n")
        (tmp_path / folder / "emotag").chmod(0o755)
    monkeypatch.chdir("/")
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "mine" / "emotag")])
    assert str(tmp_path / "mine" / "emotag").removeprefix("/") == name_command()


def test_without_a_program_the_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/emotag_worker/__main__.py"])
    assert [sys.executable, "-m", "emotag_worker"] == shlex.split(name_command())


def test_the_guide_is_in_the_docs_of_the_clone() -> None:
    assert Path(__file__).parents[4] / "docs" / "README.md" == GUIDE


def test_the_last_lines_are_three_commands(view: View, capsys: pytest.CaptureFixture[str]) -> None:
    view(200).show_next_commands()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert ["", "Next"] == lines[:2]
    assert [" tag ", " local ", "docs/README.md " if GUIDE.is_file() else " --help "] == [
        next(word for word in (" tag ", " local ", "docs/README.md ", " --help ") if word in line) for line in lines[2:]
    ]
