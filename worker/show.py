"""How emotions look on a terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

COLOURS = {"positive": "green", "negative": "red", "ambiguous": "yellow", "neutral": "bright_black"}


def percent(score: float) -> str:
    """A probability as people read it: `91.2 %`."""
    return f"{100 * score:.1f} %"


def emotions_line(emotions: Iterable[Mapping[str, Any]]) -> str:
    """`excitement 91.2 %, joy 44.7 %`; says so where there is none."""
    return ", ".join(f"{e['label']} {percent(e['score'])}" for e in emotions) or "no emotion over its threshold"


def coloured(result: Mapping[str, Any]) -> Text:
    """A result's emotions, in the colour of its sentiment."""
    return Text(emotions_line(result["emotions"]), style=COLOURS[result["sentiment"]])


def shortened(text: str, width: int) -> str:
    """One line of at most *width* characters; control characters of a stranger's text do not reach the terminal."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= width else line[: width - 1] + "…"
