"""Commands in this process."""

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from emotag_worker import cli


class Done(NamedTuple):
    """The output and exit code of a command."""

    code: object
    out: str
    err: str


Command = Callable[..., Done]


class Terminal(io.BytesIO):
    """Stdin of a user who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def emotag(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command to its end."""

    def run(*arguments: str, stdin: bytes | io.BytesIO = b"") -> Done:
        file = io.BytesIO(stdin) if isinstance(stdin, bytes) else stdin
        monkeypatch.setattr(sys, "argv", ["emotag", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Done(ended.value.code, *capsys.readouterr())

    return run
