"""The output of `emotag demo`: a line for each record, the proof at the end, and the next commands."""

import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from emotag_schemas.labels import SENTIMENT
from emotag_worker.terminal.tables import COLOURS, count, shorten

from .demo_records import DemoRecord, Tally

COLOUR_OF = {label: COLOURS[group] for group, labels in SENTIMENT.items() for label in labels}
WIDEST, PIPED = 120, 100
"""Columns of the widest line, and of a line if the output is not a terminal."""
MARK, LABEL, BAR = 2, 14, 8
FIRST = LABEL + 1 + BAR + 6
"""Columns of an emotion with its bar."""
MANY = 100
"""A median over fewer records is that of the first ones, for which the engine is not warm yet."""
PATIENT_S = 4
"""A start that takes longer than this gets an explanation."""

GUIDE = Path(__file__).parents[3] / "docs" / "README.md"
"""Exists if emotag is installed from a clone, in place."""


class DemoView:
    """Prints a run of the demo.

    Args:
        silent: print nothing; used if stdout must contain only JSON.
    """

    def __init__(self, *, silent: bool) -> None:
        self._out = Console(highlight=False, quiet=silent, width=None if sys.stdout.isatty() else PIPED)
        self._err = Console(highlight=False, quiet=silent, stderr=True)
        self._width = min(self._out.width, WIDEST)
        self._emotions_width = FIRST + (21 if self._width >= 100 else 13)

    def show_header(self, records: int, rate: float | None) -> None:
        """Explain the lines that follow."""
        pace = f", {rate:g} per second" if rate else ""
        self._out.print(
            "\n[bold]Each line is a text sent to Kafka, and the emotions that a consumer reads back.[/bold]\n"
            f"{records} records{pace}.  "
            "[cyan]↻[/cyan] repeated text  [red]✗[/red] broken record: dead letter\n"
        )

    def show_result(self, record: DemoRecord, result: Mapping[str, Any]) -> None:
        """Print a text and its emotions: the strongest with a bar, then as many others as the line has room for."""
        parts = [Text("no emotion over its threshold", style="dim")]
        if emotions := result["emotions"]:
            first, *others = emotions
            parts = [render_emotion(first), *(render_short(emotion) for emotion in others)]
        line = Text.assemble(parts[0])
        for left, part in zip(range(len(parts) - 1, 0, -1), parts[1:], strict=True):
            more = f"  +{left}"  # must still fit after this part if others follow
            if line.cell_len + 2 + part.cell_len + (len(more) if left > 1 else 0) > self._emotions_width:
                line.append(more, style="dim")
                break
            line.append("  ").append(part)
        self._show(record, Text("↻" if record.repeated else "", style="cyan"), line)

    def show_dead_letter(self, record: DemoRecord, reason: str) -> None:
        """Print a record that became a dead letter, and the reason in its headers."""
        self._show(record, Text("✗", style="red"), Text(reason, style="red"))

    def _show(self, record: DemoRecord, mark: Text, outcome: Text) -> None:
        text = Text(shorten(record.text, self._width))
        text.truncate(self._width - MARK - 2 - self._emotions_width, overflow="ellipsis", pad=True)
        mark.pad_right(MARK - mark.cell_len)
        line = Text.assemble(mark, text, "  ", outcome)  # unlike +, it keeps the style of each part to itself
        self._out.print(line, width=self._width, no_wrap=True, overflow="ellipsis")

    def show_proof(self, tally: Tally, *, paced: bool) -> None:
        """Print the counts and what they prove.

        Args:
            paced: the demo waited between records. Otherwise most of a record's latency is the wait in the topic.
        """
        figures = tally.summarize()
        arrived = f"{count(figures['out'], 'result')}, {count(figures['dead_lettered'], 'dead letter')}"
        wrong = f"{figures['lost']} lost, {figures['duplicated']} duplicated"
        lines = [f"[bold]{count(figures['in'], 'record')} in: {arrived}, {wrong}.[/bold]"]
        if tally.exactly_once:
            broken = ", every broken record one dead letter" if tally.broken else ""
            lines.append(f"[green]✓[/green] Every text has exactly one result{broken}.")
        else:
            lines.append("[red]✗ Not every text has exactly one result.[/red]")
        if tally.repeated:
            # Repeats within a batch are computed once, without the cache.
            cached = f"; {count(figures['cached'], 'result')} came from the cache" if figures["cached"] else ""
            lines.append(f"[cyan]↻[/cyan] {count(tally.repeated, 'text')} repeated an earlier one{cached}.")
        if not paced:
            lines.append(f"  {figures['seconds']} s from sending the first record to reading the last result.")
        elif len(tally.sent) >= MANY:
            lines.append(f"  Median time from sending a text to reading its committed result: {figures['p50_ms']} ms.")
        self._out.print("\n" + "\n".join(lines))

    def show_next_commands(self) -> None:
        """Print three commands to try next."""
        emotag = name_command()
        commands = {
            f'{emotag} tag "Thank you so much!"': "tag a sentence without Kafka",
            f"{emotag} local": "run this Kafka and Valkey",
        }
        if GUIDE.is_file():
            commands[f"less {name_path(GUIDE)}"] = "how to send, use, run and train"
        else:
            commands[f"{emotag} --help"] = "all commands"
        widest = max(map(len, commands))
        self._out.print("\n[bold]Next[/bold]")
        for command, purpose in commands.items():
            self._out.print(
                Text(f"  {command:<{widest}}", style="cyan").append(f"   {purpose}", style="dim"), soft_wrap=True
            )

    def read_text(self) -> str:
        """Return a text that the user types; an empty string ends."""
        given = self._out.input("› ").strip()
        return given.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def show_prompt(self) -> None:
        """Invite the user to type."""
        self._out.print("\n[bold]Your turn:[/bold] type a text and press Enter. An empty line ends the demo.")

    def show_note(self, note: str) -> None:
        """Print a line on stderr."""
        self._err.print(note, soft_wrap=True)

    @contextlib.contextmanager
    def show_duration(self, what: str, *, hint: str) -> Iterator[None]:
        """Show that *what* is starting, with the seconds so far on a terminal, and finally how long it took.

        Args:
            hint: explanation that appears if the start takes long.
        """
        began = time.monotonic()
        waiting = Progress(
            SpinnerColumn(), TextColumn("{task.description} …"), _Elapsed(hint), console=self._err, transient=True
        )
        if not self._err.is_terminal:
            self._err.print(f"starting {what} …", end=" ")
            waiting.disable = True
        try:
            with waiting:
                waiting.add_task(f"starting {what}", total=None)
                yield
        except BaseException:
            self._err.print()  # the error starts on a new line
            raise
        started = f"{time.monotonic() - began:.1f} s"
        self._err.print(f"starting {what} … {started}" if self._err.is_terminal else started)


class _Elapsed(ProgressColumn):
    """Seconds so far, and after a while an explanation."""

    def __init__(self, hint: str) -> None:
        super().__init__()
        self._hint = hint

    def render(self, task: Task) -> Text:
        seconds = task.elapsed or 0.0
        return Text(f"{seconds:.0f} s").append(f"  {self._hint}" if seconds > PATIENT_S else "", style="dim")


def render_emotion(emotion: Mapping[str, Any]) -> Text:
    """Return an emotion with a bar, in the colour of its sentiment."""
    halves = round(2 * BAR * emotion["score"])
    bar = "━" * (halves // 2) + "╸" * (halves % 2)
    style = COLOUR_OF.get(emotion["label"], "default")
    line = Text(f"{emotion['label']:<{LABEL}} ").append(f"{bar:<{BAR}}", style=style)
    return line.append(f" {100 * emotion['score']:3.0f} %")


def render_short(emotion: Mapping[str, Any]) -> Text:
    """Return an emotion without a bar."""
    return Text(f"{emotion['label']} ", style=COLOUR_OF.get(emotion["label"], "default")).append(
        f"{100 * emotion['score']:.0f} %"
    )


def name_command() -> str:
    """Return how to start emotag from the current folder: `emotag` if the shell finds this one, else its path."""
    program = Path(sys.argv[0])
    if program.name != "emotag" or not program.is_file():
        return f"{shlex.quote(sys.executable)} -m emotag_worker"
    found = shutil.which("emotag")
    return "emotag" if found and Path(found).samefile(program) else name_path(program)


def name_path(path: Path) -> str:
    """Return a path for a shell, relative to the current folder if it is in there."""
    absolute = path.absolute()
    if absolute.parent == Path.cwd():
        return shlex.quote(f"./{path.name}")  # the shell looks for a bare name on its PATH
    return shlex.quote(str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute))
