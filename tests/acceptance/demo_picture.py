"""`make demo-svg`: run the demo in a terminal, and draw its output as docs/demo.svg.

All figures are those of the run. Of the records, the picture shows the part with the most repeats and dead letters.
"""

import argparse
import fcntl
import io
import os
import pty
import re
import selectors
import struct
import subprocess
import termios
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[2]
COMMAND = "make demo"
COLUMNS, RECORDS = 100, 13
FONTS = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'

THEME = TerminalTheme(
    background=(22, 27, 34),
    foreground=(208, 215, 222),
    normal=[
        (22, 27, 34),
        (255, 123, 114),
        (86, 211, 100),
        (227, 179, 65),
        (121, 192, 255),
        (210, 168, 255),
        (86, 212, 221),
        (208, 215, 222),
    ],
    bright=[(139, 148, 158)],
)
"""A dark window: readable on light and on dark pages."""


def main() -> None:
    """Record the demo and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    lines = select_lines(record_demo().splitlines())
    given.picture.write_text(draw([f"\x1b[1m$ {COMMAND}\x1b[0m", *lines]), encoding="utf-8")


def record_demo() -> str:
    """Return what the demo printed, with its colours.

    stdout is a terminal. stderr is a pipe, so that the demo prints when each server has started instead of a spinner.

    Raises:
        subprocess.CalledProcessError: the demo failed.
    """
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    command = [*COMMAND.split(), "--no-print-directory", "ARGS=--no-input"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**environment, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=inside,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(inside)
        assert process.stderr is not None
        printed = read_all([terminal, process.stderr.fileno()])
    os.close(terminal)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, printed)
    return printed.decode().replace("\r\n", "\n")


def read_all(files: list[int]) -> bytes:
    """Return everything that is written to some files, in the order of arrival."""
    printed = b""
    with selectors.DefaultSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                try:
                    read = os.read(key.fd, 65536)
                except OSError:  # the terminal's other side is closed
                    read = b""
                printed += read
                if not read:
                    selector.unregister(key.fd)
    return printed


def select_lines(lines: list[str]) -> list[str]:
    """Return the lines of the picture: all, except that the longest block, the records, is cut to a part of it."""
    blocks = [list(block) for filled, block in groupby(lines, key=lambda line: bool(line.strip())) if filled]
    records = max(blocks, key=len)
    starts = range(max(1, len(records) - RECORDS + 1))
    start = max(starts, key=lambda first: sum("↻" in line or "✗" in line for line in records[first:][:RECORDS]))
    shown = records[start : start + RECORDS]
    before, after = ["  ⋮"] * (start > 0), ["  ⋮"] * (start + RECORDS < len(records))
    chosen = [[*before, *shown, *after] if block is records else block for block in blocks]
    return [line for block in chosen for line in (*block, "")][:-1]


def draw(lines: list[str]) -> str:
    """Return an SVG of a terminal. It loads no fonts from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for line in [*lines, ""]:
        console.print(Text.from_ansi(line), no_wrap=True, overflow="ellipsis", highlight=False)
    drawn = console.export_svg(title=COMMAND, theme=THEME, unique_id="demo")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code, monospace", FONTS)
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


if __name__ == "__main__":
    main()
