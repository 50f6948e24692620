"""The command line: quick to start, one line for a user's mistake, a traceback for a bug."""

import subprocess
import sys
from typing import Any

import pytest

from emotag_model.errors import DeviceUnknown
from emotag_training.cli import main
from emotag_training.errors import DataError, Interrupted, TrainingError

HEAVY = ("torch", "transformers", "numpy", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib", "tokenizers", "onnx")
COMMANDS = ("fit", "audit", "evaluate", "tune", "distill", "average", "plot", "export", "compare")


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Run a command in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["emotag-train", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def raise_from_evaluate(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("emotag_model.artifact.load", fail)


@pytest.mark.parametrize("command", [(), ("fit",), ("evaluate",)])
def test_help_imports_no_heavy_library(command: tuple[str, ...]) -> None:
    program = (
        "import sys\nfrom emotag_training.cli import app\n"
        f"app(sys.argv[1:], standalone_mode=False)\nprint([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command, "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Usage" in done.stdout
    assert "[]" == done.stdout.splitlines()[-1]


def test_help_lists_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_main(monkeypatch, "--help")
    shown = capsys.readouterr().out
    assert not [command for command in COMMANDS if command not in shown]


@pytest.mark.parametrize("command", ["evaluate", "compare", "distill", "average", "tune", "plot"])
def test_every_command_that_measures_takes_a_device(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == run_main(monkeypatch, command, "--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "--device NAME auto, cpu, cuda or cuda:N. Everywhere in fp32" in shown


def test_without_a_command_it_prints_its_help_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == run_main(monkeypatch)
    shown = capsys.readouterr()
    assert "Usage" in shown.out
    assert "" == shown.err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("no such\ntexts"), "no such texts"),
        (TrainingError("of no other kind"), "of no other kind"),
        (DeviceUnknown("no such device"), "no such device"),
        (FileNotFoundError(2, "No such file or directory", "weights"), "weights: No such file or directory"),
        (ModuleNotFoundError("No module named 'torch.x'", name="torch.x"), "torch is not installed; in the clone"),
    ],
)
def test_a_mistake_of_the_user_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    raise_from_evaluate(monkeypatch, error)
    assert 2 == run_main(monkeypatch, "evaluate", "--data", "anywhere")
    told = capsys.readouterr().err
    assert told.startswith(f"emotag-train: {line}")
    assert 1 == len(told.splitlines())


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        OSError("of no file"),
        ModuleNotFoundError("No module named 'emotag_training.x'", name="emotag_training.x"),
    ],
)
def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A bug in emotag must not look like the user's mistake."""
    raise_from_evaluate(monkeypatch, error)
    monkeypatch.setattr(sys, "argv", ["emotag-train", "evaluate", "--data", "anywhere"])
    with pytest.raises(type(error)) as raised:
        main()
    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "rank", "told"),
    [
        (Interrupted("stopped"), "0", "emotag-train: stopped\n"),
        (Interrupted("stopped"), "1", ""),
        (KeyboardInterrupt(), "0", "emotag-train: interrupted\n"),
    ],
)
def test_an_interrupted_run_ends_with_130_and_one_process_reports_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, rank: str, told: str
) -> None:
    monkeypatch.setenv("RANK", rank)
    raise_from_evaluate(monkeypatch, error)
    assert (130, told) == (run_main(monkeypatch, "evaluate", "--data", "anywhere"), capsys.readouterr().err)
