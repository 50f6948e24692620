"""The application, the options that several commands share, and the exit codes of errors."""

import importlib.metadata
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from emotag_worker.settings import Settings

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Read settings from a TOML file. EMOTAG_… variables override them."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set one setting, for example kafka.group_id=mine. Overrides everything else. Repeatable.",
    ),
]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
"""Help is plain text: it appears sooner than in rich's boxes, and its examples can be copied."""


def add_group(parent: typer.Typer, name: str, text: str) -> typer.Typer:
    """Add a group of commands, `emotag NAME …`."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=text)
    parent.add_typer(group, name=name)
    return group


def format_examples(*commands: str) -> str:
    """Return the end of a command's help: examples that are not wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"emotag {read_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Read texts from a Kafka topic and write their emotions to another topic, exactly once."""


def load_settings(config: Path | None, flags: Sequence[str] | None, *, warn: bool = True) -> "Settings":
    """Read the settings for a command.

    Args:
        warn: print a warning about unknown variables. False in commands that report these variables themselves.

    Raises:
        SettingsError: a setting cannot be used.
    """
    from emotag_worker.settings import loader

    settings = loader.load(config, loader.parse_flags(flags or ()))
    if warn:
        warn_about_variables()
    return settings


def warn_about_variables() -> None:
    """Print a warning for each `EMOTAG_…` variable that is not a setting: its default applies instead."""
    from emotag_worker.settings.loader import find_unknown_variables

    for line in find_unknown_variables(os.environ):
        print_note(f"emotag: warning: {line}")


def find_exit_code(error: Exception) -> int | None:
    """Return the exit code for an error that has a message for the user; None for a bug.

    Every command obeys this table: `RESTART` for a failure outside (brokers, device, network), where the same command
    may succeed later; `PERSON_NEEDED` for a mistake in the configuration, the arguments or a file.
    """
    # Imported only now, so that a command that succeeds does not wait for these modules.
    from confluent_kafka import KafkaException

    from emotag_model.errors import DeviceFailed, ModelError
    from emotag_worker.errors import PERSON_NEEDED, RESTART, WorkerError

    match error:
        case WorkerError():
            return error.exit_code
        case DeviceFailed() | KafkaException():
            return RESTART
        case OSError():  # only an error about a file has a name in it
            return RESTART if error.filename is None else PERSON_NEEDED
        case ModelError():
            return PERSON_NEEDED
        case _:
            return None


def was_interrupted(error: BaseException | None) -> bool:
    """Return True if Ctrl-C caused the error: while OpenVINO is imported, Ctrl-C becomes an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def describe_error(error: Exception) -> str:
    """Return the message of an error for the user."""
    from confluent_kafka import KafkaException

    match error:
        case OSError(filename=str(name), strerror=str(why)):  # without the number of the error
            return f"{name}: {why}"
        case KafkaException(args=[reason, *_]):  # without the names of librdkafka
            return f"Kafka: {reason.str()}"
    return str(error)


def print_error(message: str) -> None:
    """Print an error as one line on stderr. Brokers choose parts of some errors, so control characters are removed."""
    from emotag_worker.terminal.tables import remove_controls

    print_note(f"emotag: {remove_controls(' '.join(message.split()))}")


def print_usage_error(error: TyperException) -> None:
    """Print a mistake in the arguments as one line; for a group without a command, print its help."""
    message = error.format_message()
    if message.startswith("Usage:"):
        typer.echo(message)
        return
    message = message.replace("Value error, ", "").replace("Input should", "must")
    # Without its --set, `cache.hash_secret=…` is an unknown command or argument. So all that follows a = is hidden.
    print_error(re.sub(r"=.*?(?=['.)]*$)", "=…", message, flags=re.DOTALL))


def print_note(message: str) -> None:
    """Print a message for people on stderr: stdout has only the command's results."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201


def invite_typing() -> None:
    """Print how to type texts if stdin is a terminal, where the command would otherwise wait in silence."""
    if sys.stdin and sys.stdin.isatty():
        print_note("type one text per line; Ctrl-D ends")


def read_version() -> str:
    """Return the installed version of emotag."""
    return importlib.metadata.version("emotag")
