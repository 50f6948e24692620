"""Help, exit codes, and messages of errors."""

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from confluent_kafka import KafkaError, KafkaException

import emotag_worker.cli.commands  # noqa: F401  (registers the commands)
from emotag_model.errors import ArtifactError, DeviceFailed, DeviceUnknown
from emotag_worker.cli.app import app, describe_error, find_exit_code, print_error
from emotag_worker.errors import BrokerUnavailable, LocalError, LocalServerFailed, SettingsError, TopicMissing

from .conftest import Command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("x"), 2),
        (TopicMissing({"texts": ""}, "localhost:9092"), 2),
        (BrokerUnavailable("localhost:9092", "refused", "Start it"), 1),
        (DeviceUnknown("tpu"), 2),
        (ArtifactError(Path("/m"), "x"), 2),
        (LocalError("no Java"), 2),
        (LocalServerFailed("no answer"), 1),
        (DeviceFailed("x"), 1),
        (OSError("disk full"), 1),
        (FileNotFoundError(2, "No such file or directory", "a.toml"), 2),
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), 1),
        (ValueError("a bug"), None),
        (KeyError("a bug"), None),
    ],
)
def test_an_error_has_an_exit_code_and_a_bug_has_none(error: Exception, code: int | None) -> None:
    """One table for all commands."""
    assert code == find_exit_code(error)


def test_a_file_is_named_without_the_number_of_the_error() -> None:
    error = FileNotFoundError(2, "No such file or directory", "a.toml")
    assert "a.toml: No such file or directory" == describe_error(error)
    assert "disk full" == describe_error(OSError("disk full"))


def test_an_error_of_the_kafka_client_has_no_code_in_it() -> None:
    assert "Kafka: broker down" == describe_error(KafkaException(KafkaError(KafkaError._TRANSPORT, "broker down")))


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("first\n  second")
    assert "emotag: first second\n" == capsys.readouterr().err


def test_an_error_controls_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Its text can be that of a broker."""
    print_error("\x1b[2J\x9b\u202ebroker")
    assert "emotag:  [2J  broker\n" == capsys.readouterr().err


def list_commands(parent: typer.Typer, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, for example ("dlq", "list")."""
    for command in parent.registered_commands:
        yield (*path, str(command.name or getattr(command.callback, "__name__", "")))
    for group in parent.registered_groups:
        assert group.typer_instance
        yield from list_commands(group.typer_instance, *path, str(group.name))


NAMES = ["run", "tag", "demo", "local", "produce", "tail", "lag", "topics create", "dlq list", "dlq replay"]
NAMES += ["config list", "config check", "config show", "config example", "schemas export", "model info"]
NAMES += ["offsets show", "offsets reset"]
COMMANDS = [tuple(name.split()) for name in NAMES]
GROUPS = sorted({command[:-1] for command in COMMANDS})


def test_the_help_of_every_command_is_tested(emotag: Command) -> None:
    emotag("--help")  # registers the commands, if no other test did
    assert sorted(COMMANDS) == sorted(list_commands(app))


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPS], ids=" ".join)
def test_help_fits_80_columns_and_shows_flags_as_flags(
    command: tuple[str, ...], emotag: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = emotag(*command, "--help")
    assert (0, "") == (code, err)
    assert out.startswith(" ".join(["Usage: emotag", *command]))
    assert [] == [line for line in out.splitlines() if len(line) > 80]
    assert not [word for word in ("<bool>", "BOOLEAN", "\b") if word in out]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_ends_with_examples_that_can_be_copied(
    command: tuple[str, ...], emotag: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each example is one line, even in a narrow terminal."""
    monkeypatch.setenv("COLUMNS", "40")
    _, _, examples = emotag(*command, "--help").out.partition("\n  Examples:\n")
    lines = examples.splitlines()
    assert lines
    assert [] == [line for line in lines if not line.strip().startswith(" ".join(["emotag", *command]))]


@pytest.mark.parametrize("group", GROUPS, ids=" ".join)
def test_summaries_are_sentences_that_are_not_cut_off(
    group: tuple[str, ...], emotag: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, _, summaries = emotag(*group, "--help").out.partition("Commands:\n")
    assert summaries
    assert [] == [line for line in summaries.splitlines() if not line.endswith(".") or line.endswith("...")]


def test_the_version_has_the_name_of_the_program(emotag: Command) -> None:
    assert (0, f"emotag {importlib.metadata.version('emotag')}\n", "") == emotag("--version")


def test_a_shell_can_complete_commands() -> None:
    """The name of the variable is the one in the script that `--show-completion` prints."""
    variables = {"_EMOTAG_COMPLETE": "complete_bash", "COMP_WORDS": "emotag dlq re", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "emotag_worker"], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert ("replay\n", "") == (done.stdout, done.stderr)
    assert (
        "--install-completion"
        in subprocess.run(
            [sys.executable, "-m", "emotag_worker", "--help"], capture_output=True, text=True, check=True
        ).stdout
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tag", "--top", "0"], "Invalid value for '--top': must be greater than or equal to 1"),
        (["tag", "--top", "x"], "Invalid value for '--top': must be a valid integer"),
        (["tag", "--engine", "onnx"], "Invalid value for '--engine': 'onnx' is not one of 'auto', 'native'"),
        (["dlq", "lst"], "No such command 'lst'"),
    ],
)
def test_a_mistake_in_the_arguments_is_one_line(arguments: list[str], message: str, emotag: Command) -> None:
    code, out, err = emotag(*arguments)
    assert (2, "", 1) == (code, out, err.count("\n"))
    assert err.startswith(f"emotag: {message}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["config", "check", "cache.hash_secret=hunter2"], "unexpected extra argument(s) (cache.hash_secret=…)"),
        (["config", "check", "cache.hash_secret=hunter2's\n= (hunter2"], "extra argument(s) (cache.hash_secret=…)"),
        (["cache.url=redis://:hunter2@host"], "No such command 'cache.url=…'"),
    ],
)
def test_a_setting_without_its_flag_is_refused_without_its_value(
    arguments: list[str], message: str, emotag: Command
) -> None:
    code, out, err = emotag(*arguments)
    assert (2, "", 1) == (code, out, err.count("\n"))
    assert message in err
    assert "hunter2" not in err
