"""Run the code blocks of a page of the documentation, in order, as its reader would.

The info string of a fenced block decides what happens to the block:

| info string | what happens |
|---|---|
| `python` | runs as a program; the exit code must be 0 |
| `python NAME`, `toml NAME`, … | is saved as NAME, which contains a dot; a later block uses the file: `$ python NAME` |
| `console` | runs each `$ command` in bash; the exit code must be 0, and the lines below a command are its output |
| `console background` | starts its command, waits for the output below it, and presses Ctrl-C at the end of the page |
| `console no-run` | is not run; the test must list its commands, so that none is left out by accident |
| `json`, `toml`, `yaml`, `text`, `java`, … | is not run |

A block without an info string is an error, and so is a command in a block that is not run. In a console block:

- `> ` begins a further line of the command above. A backslash or `|` at the end of a line continues the command, too.
- `export` and `cd` last until the end of the page. If a command in the background prints `export NAME=value`, as
  `emotag local` does, later blocks have the variable: the page asks its reader to copy the line.
- A command without output below it may print anything.
- A command in the background must not print a traceback.
- Output that starts in another terminal or ends later: use `console background`, for example for `emotag run`.

The output must match word by word; the amount of white space does not matter. These differences are allowed:

- `…` matches anything within a line. A line with nothing but `…` or `⋮` matches any number of lines.
- Numbers with a decimal point may differ: by 3 before a percent sign, otherwise by 0.03. Before `s`, `ms` or a rate
  such as `messages/s` they may be anything.
- A date with a time matches any other.

`emotag`, `emotag-train` and `python` are those of the Python that runs the tests, wherever it is installed.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

COMMAND_S = 120.0
"""Longest run of one command, and longest wait for the output of a command in the background. On a loaded machine a
worker needs up to half a minute to start."""
STOP_S = 40.0
"""Longest wait for a command in the background to end after Ctrl-C. Longer than a worker's shutdown timeout."""

TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?"
DECIMAL = r"\d[\d,]*\.\d+"
SPECIAL = re.compile(rf"(?P<lines>(?<=\n)[ \t]*[…⋮][ \t]*\n)|(?P<time>{TIME})|(?P<number>{DECIMAL})|(?P<any>…)")
MEASUREMENT = re.compile(r"\s*(?:m?s\b|\w+/s\b)")

# Saves the environment and the folder for the next command, whatever the command did.
WRAPPER = """
{command}
status=$?; env -0 > {environment}; pwd > {folder}; exit $status
"""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Attributes:
        place: page and line, for messages.
        words: the info string.
    """

    place: str
    words: tuple[str, ...]
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console block, each with its expected output."""
        found: list[tuple[list[str], list[str]]] = []
        for line in self.text.splitlines():
            command, output = found[-1] if found else ([], [])
            if line.startswith("$ "):
                found.append(([line[2:]], []))
            elif command and not output and (line.startswith("> ") or command[-1].endswith(("\\", "|"))):
                command.append(line.removeprefix("> "))
            else:
                assert found, f"{self.place}: a console block begins with '$ '"
                output.append(line)
        return [("\n".join(command), "\n".join(output).strip()) for command, output in found]


def read_blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order; blocks inside a list may be indented."""
    pattern = re.compile(r"^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
    page = path.read_text(encoding="utf-8")
    blocks = []
    for match in pattern.finditer(page):
        place = f"{path.name}:{page.count(chr(10), 0, match.start()) + 1}"
        assert match["info"].strip(), f"{place}: a block has an info string: console, python, json, text, …"
        text = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        blocks.append(Block(place, tuple(match["info"].split()), text))
    return blocks


def run_page(path: Path, environment: Mapping[str, str], *, folder: Path, not_run: Sequence[str] = ()) -> None:
    """Run the blocks of a page; fail at the first one that does not do what the page says.

    Args:
        environment: variables for every block, for example `topics.environment(bootstrap_servers)`.
        folder: the folder to run in; files of `python NAME` and similar blocks are saved there.
        not_run: the commands of the page's `console no-run` blocks.
    """
    with ExitStack() as stack:
        shell = Shell(dict(os.environ) | dict(environment), folder)
        shell.environment["PATH"] = f"{stack.enter_context(installed())}:{os.environ['PATH']}"
        left_out: list[str] = []
        for block in read_blocks(path):
            match block.words:
                case ("python",):
                    (folder / "block.py").write_text(block.text, encoding="utf-8")
                    shell.run(block.place, "python block.py", "")
                case (_, name) if "." in name:
                    (folder / name).write_text(block.text, encoding="utf-8")
                case ("console",):
                    for command, output in block.commands:
                        shell.run(block.place, command, output)
                case ("console", "background"):
                    ((command, output),) = block.commands
                    stack.enter_context(shell.start(block.place, command, output))
                case ("console", "no-run"):
                    left_out += [command for command, _ in block.commands]
                case _:
                    is_command = re.search(r"^\$ ", block.text, re.MULTILINE)
                    assert not is_command, f"{block.place}: the commands of this block are not run"
        assert list(not_run) == left_out, f"{path.name}: the test lists the commands that are not run"


@contextmanager
def installed() -> Iterator[str]:
    """A folder with the programs that a reader has: those of the Python that runs the tests."""
    programs = {
        "python": '"$@"',
        "python3": '"$@"',
        "emotag": '-P -m emotag_worker "$@"',
        "emotag-train": '-P -m emotag_training "$@"',
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in programs.items():
            path = Path(folder) / name
            path.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments}\n")
            path.chmod(0o755)
        yield folder


@dataclass
class Shell:
    """A terminal: commands run one after the other, and exported variables stay."""

    environment: dict[str, str]
    folder: Path
    started: int = field(default=0)

    def run(self, place: str, command: str, output: str) -> None:
        """Run a command to its end; *output* is what it should print, or empty."""
        with tempfile.TemporaryDirectory() as scratch:
            state = [Path(scratch) / name for name in ("environment", "folder")]
            script = WRAPPER.format(
                command=command, environment=shlex.quote(str(state[0])), folder=shlex.quote(str(state[1]))
            )
            done = subprocess.run(
                ["bash", "-c", script],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                check=False,
                timeout=COMMAND_S,
            )
            assert 0 == done.returncode, f"{place}: `{command}` failed with {done.returncode}:\n{done.stdout}"
            if output:
                assert agrees(output, done.stdout), f"{place}: `{command}` printed\n{done.stdout}\ninstead of\n{output}"
            variables = state[0].read_text(encoding="utf-8").split("\0")
            self.environment = dict(line.split("=", 1) for line in variables if "=" in line)
            self.folder = Path(state[1].read_text(encoding="utf-8").strip())

    @contextmanager
    def start(self, place: str, command: str, output: str) -> Iterator[None]:
        """Start a command, wait until it has printed *output*, and press Ctrl-C at the end."""
        with tempfile.TemporaryFile("w+b") as log:

            def printed() -> str:
                return os.pread(log.fileno(), 10_000_000, 0).decode("utf-8", "replace")

            process = subprocess.Popen(
                ["bash", "-c", command],
                env=self.environment | {"PYTHONUNBUFFERED": "1"},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                give_up_at = time.monotonic() + COMMAND_S
                while not agrees(output, printed(), whole=False):
                    is_late = time.monotonic() > give_up_at or process.poll() is not None
                    assert not is_late, f"{place}: `{command}` printed\n{printed()}\ninstead of\n{output}"
                    time.sleep(0.05)
                self.environment |= dict(re.findall(r"^export (\w+)=(\S+)$", printed(), flags=re.MULTILINE))
                yield
                assert process.poll() is None, f"{place}: `{command}` ended by itself:\n{printed()}"
            finally:
                end(process)
            assert "Traceback" not in printed(), f"{place}: Ctrl-C in `{command}` printed\n{printed()}"


def end(process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C in the terminal of *process*; a program that ignores this is killed, and is an error."""
    try:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def agrees(expected: str, actual: str, *, whole: bool = True) -> bool:
    """Return whether *actual* is the output on the page, with the differences that the module's docstring allows.

    Args:
        whole: False if *actual* may have more lines before and after.
    """
    pattern, numbers, position = "", [], 0
    expected = f"\n{expected.strip()}\n"
    for match in SPECIAL.finditer(expected):
        pattern += _literal(expected[position : match.start()])
        position = match.end()
        if match["lines"] is not None:
            pattern += r"(?:[^\n]*\n)*?"
        elif match["time"]:
            pattern += TIME
        elif match["any"]:
            pattern += r"[^\n]*?"
        else:
            pattern += f"({DECIMAL})"
            numbers.append((float(match["number"].replace(",", "")), _tolerance(expected[match.end() :])))
    pattern += _literal(expected[position:])
    actual = f"\n{actual.strip()}\n"
    found = (re.fullmatch if whole else re.search)(pattern, actual)
    return found is not None and all(
        abs(number - float(text.replace(",", ""))) <= tolerance
        for (number, tolerance), text in zip(numbers, found.groups(), strict=True)
    )


def _literal(text: str) -> str:
    """Return a pattern for *text* in which the amount of white space does not matter."""
    parts = re.split(r"(\s+)", text)
    spaces = {part: r"\s*\n\s*" if "\n" in part else r"[ \t]+" for part in parts if part.isspace()}
    return "".join(spaces.get(part) or re.escape(part) for part in parts)


def _tolerance(after: str) -> float:
    if MEASUREMENT.match(after):
        return float("inf")
    return 3.0 if after.lstrip().startswith("%") else 0.03
