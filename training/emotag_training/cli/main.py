"""Run a command, and print an error that a user can fix as one line."""

import os
import sys

import typer
from typer.exceptions import TyperException

from emotag_model.errors import DeviceFailed, ModelError, explain_install
from emotag_training.errors import Interrupted, TrainingError, Unreachable

from .app import app

INTERRUPTED = 130
"""The exit code that a shell reports for a process ended by Ctrl-C."""


def main() -> None:
    """Run a command.

    Errors of emotag, and files that cannot be read or written, are one line on stderr. The exit code is 1 for a failure
    outside (a download or the device: trying again can help) and 2 for a mistake that a person must fix. Any other
    exception is a bug and keeps its traceback.
    """
    try:
        code = app(standalone_mode=False) or 0
        if code == INTERRUPTED:  # typer's code for Ctrl-C
            _complain("interrupted")
        sys.exit(code)
    except Interrupted as interrupted:
        if os.environ.get("RANK", "0") == "0":  # under torchrun, one process speaks for all
            _complain(str(interrupted))
        sys.exit(INTERRUPTED)
    except TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # a bare emotag-train
            typer.echo(message)
        else:
            _complain(message)
    except (DeviceFailed, Unreachable) as error:
        _complain(str(error))
        sys.exit(1)
    except (ModelError, TrainingError) as error:
        _complain(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _complain(f"{error.filename}: {error.strerror}")
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package.startswith("emotag"):
            raise
        _complain(f"{package} is not installed; {explain_install('train')}")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    sys.exit(2)


def _complain(message: str) -> None:
    print(f"emotag-train: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
