"""How emotions look on a terminal."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from schemas.labels import ekman_of, sentiment_of

if TYPE_CHECKING:  # at run time it would bring torch into commands that need none
    from model.tagger import Tagging

COLOURS = {"positive": "green", "negative": "red", "ambiguous": "yellow", "neutral": "bright_black"}


def percent(score: float) -> str:
    """A probability as people read it: `91.2 %`."""
    return f"{100 * score:.1f} %"


def emotions_line(emotions: Iterable[Mapping[str, Any]]) -> str:
    """`excitement 91.2 %, joy 44.7 %`; says so where there is none."""
    return ", ".join(f"{e['label']} {percent(e['score'])}" for e in emotions) or "no emotion over its threshold"


def result_line(value: str) -> str:
    """A result as it came, for people; nothing where it is none."""
    try:
        result = json.loads(value)
        line = f"{result['id']}  {emotions_line(result['emotions'])}"
    except (ValueError, TypeError, LookupError, AttributeError):
        line = ""
    return line


def coloured(result: Mapping[str, Any]) -> Text:
    """A result's emotions, in the colour of its sentiment."""
    return Text(emotions_line(result["emotions"]), style=COLOURS[result["sentiment"]])


def shortened(text: str, width: int) -> str:
    """One line of at most *width* characters; control characters of a stranger's text do not reach the terminal."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= width else line[: width - 1] + "…"


def tagging_object(text: str, tagging: "Tagging", *, top: int | None, every: bool) -> dict[str, Any]:
    """What `emotag tag --json` says of one text.

    Args:
        top: the strongest so many labels instead of those over their thresholds.
        every: the scores of all labels too.
    """
    given = {emotion.label: emotion.score for emotion in tagging.emotions}
    shown = tagging.top(top) if top else tagging.emotions
    answer: dict[str, Any] = {
        "text": text,
        "emotions": [{"label": emotion.label, "score": round(emotion.score, 4)} for emotion in shown],
        "sentiment": sentiment_of(given),
        "ekman": ekman_of(given),
        "truncated": tagging.truncated,
    }
    if every:
        answer["scores"] = {label: round(score, 4) for label, score in tagging.scores.items()}
    return answer


def tagging_lines(text: str, tagging: "Tagging", *, top: int | None) -> str:
    """The same for people: the text, and a line for each emotion."""
    shown = tagging.top(top) if top else tagging.emotions
    lines = [f"  {emotion.label:<16}{percent(emotion.score):>8}" for emotion in shown]
    return "\n".join([shortened(text, 100), *(lines or ["  no emotion over its threshold"])])
