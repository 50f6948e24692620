"""The commands' frame: fast help, one line for an expected error, a traceback for a bug, and Ctrl-C at any moment."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from emotag_model.errors import ArtifactError
from emotag_worker import cli
from emotag_worker.cli.app import app
from emotag_worker.errors import BrokerUnavailable, SettingsError
from emotag_worker.settings import loader

from .conftest import Command, Done

IMPORTED_BY = """
import sys
from emotag_worker.cli import main

sys.argv = ["emotag", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(*sys.modules, sep="\\n", file=sys.stderr)
"""
HEAVY = {"torch", "openvino", "confluent_kafka", "numpy", "redis", "tokenizers", "rich"}
OF_WORKERS = {
    "confluent_kafka",
    "redis",
    "structlog",
    "prometheus_client",
    "opentelemetry",
    "msgspec",
    "emotag_schemas",
}
OTHER_ENGINES = {"torch", "openvino", "emotag_model.engines.torch_engine", "emotag_model.engines.openvino_engine"}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["dlq", "replay", "--help"], ["--version"]])
def test_help_imports_nothing_that_takes_long(arguments: list[str]) -> None:
    """It is to be there in well under a second."""
    imported = find_imported(*arguments)
    assert "typer" in imported
    assert set() == HEAVY & imported


def test_tagging_with_the_native_engine_imports_no_other_engine_and_no_part_of_a_worker() -> None:
    """It takes half a second, and importing one of these as long again. (typer itself imports pydantic.)"""
    imported = find_imported("tag", "--engine", "native", "Thank you!")
    assert {"numpy", "tokenizers", "emotag_model.engines.native.engine"} <= imported
    assert set() == (OF_WORKERS | OTHER_ENGINES | {"rich"}) & imported


@pytest.mark.parametrize(("own", "found"), [("", "1"), ("7", "7")])
def test_numpy_starts_no_threads_unless_the_user_asks_for_them(
    own: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", own)
    if not own:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    monkeypatch.setattr(sys, "argv", ["emotag", "--version"])
    with pytest.raises(SystemExit):
        cli.main()
    assert found == os.environ["OPENBLAS_NUM_THREADS"]


def find_imported(*arguments: str) -> set[str]:
    """Return the modules that a successful command has imported at its end."""
    done = subprocess.run([sys.executable, "-c", IMPORTED_BY, *arguments], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [[], ["config"], ["dlq"], ["model"], ["schemas"], ["topics"]])
def test_a_command_without_its_subcommand_prints_its_help_and_nothing_else(
    emotag: Command, arguments: list[str]
) -> None:
    """Exit code 2, because the command is incomplete."""
    done = emotag(*arguments)
    assert (2, "") == (done.code, done.err)
    assert done.out.startswith(" ".join(["Usage: emotag", *arguments, "[OPTIONS] COMMAND"]))
    assert done.out == emotag(*arguments, "--help").out


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch, emotag: Command) -> Callable[[BaseException], Done]:
    """Run `emotag config show`, in which an error is raised."""

    def run(error: BaseException) -> Done:
        def load(*_: object) -> None:
            raise error

        monkeypatch.setattr(loader, "load", load)
        return emotag("config", "show")

    return run


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (SettingsError("a.b takes a number"), 2, "a.b takes a number"),
        (
            BrokerUnavailable("localhost:9092", "refused", "Start it"),
            1,
            "cannot reach Kafka at localhost:9092: refused. Start it",
        ),
        (ArtifactError(Path("/m"), "no weights"), 2, "/m: no weights"),
        (FileNotFoundError(2, "No such file or directory", "/nowhere"), 2, "/nowhere: No such file or directory"),
        (KafkaException(KafkaError(KafkaError._TRANSPORT, "broker down")), 1, "broker down"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_expected_error_is_one_line_and_its_exit_code(
    error: Exception, code: int, part: str, fail: Callable[[BaseException], Done]
) -> None:
    found, out, err = fail(error)
    assert (code, "", 1) == (found, out, err.count("\n"))
    assert err.startswith("emotag: ")
    assert part in err


@pytest.mark.parametrize("kind", [ValueError, RuntimeError])
def test_a_bug_keeps_its_traceback(
    kind: type[Exception], fail: Callable[[BaseException], Done], capsys: pytest.CaptureFixture[str]
) -> None:
    """As one line it would look like the user's mistake, and nobody could find the bug."""
    with pytest.raises(kind, match="a bug"):
        fail(kind("a bug"))
    assert ("", "") == capsys.readouterr()


def test_ctrl_c_ends_with_the_code_of_its_signal(fail: Callable[[BaseException], Done]) -> None:
    assert (130, "", "") == fail(KeyboardInterrupt())


def test_a_mistyped_option_is_one_line(emotag: Command) -> None:
    code, _, err = emotag("tag", "--topp", "3")
    assert (2, 1) == (code, err.count("\n"))
    assert "--topp" in err


def test_a_reader_that_closes_the_pipe_ends_the_command_quietly() -> None:
    """`emotag tail | head`: typer ends it with 1, and prints nothing."""
    command = f"{sys.executable} -m emotag_worker config show | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (1, "") == (done.returncode, done.stderr)


def test_every_command_is_registered() -> None:
    import emotag_worker.cli.commands  # noqa: F401  (registers them)

    commands = {each.callback.__name__ for each in app.registered_commands if each.callback}
    assert {"run", "tag", "demo", "local", "produce", "tail", "lag"} == commands
    assert {"config", "schemas", "model", "topics", "dlq", "offsets"} == {group.name for group in app.registered_groups}


def test_ctrl_c_during_the_imports_prints_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "emotag_worker.cli.commands":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "emotag_worker.cli.commands", raising=False)
    monkeypatch.delattr(cli, "commands", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (130, ("", "")) == (ended.value.code, capsys.readouterr())
