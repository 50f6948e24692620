"""Render emotions for a terminal, and for `--json`."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, assert_never

import typer

if TYPE_CHECKING:  # at run time this would import torch into commands that do not need it
    from emotag_model.reasons.spans import ReasonSpan
    from emotag_model.tagging import ScoredLabel, Tagging
    from emotag_schemas.result import Scope

COLOURS = {"positive": "green", "negative": "red", "ambiguous": "yellow", "neutral": "bright_black"}


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 record`, `2 records`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_percent(score: float) -> str:
    """Format a probability for people: `91.2 %`."""
    return f"{100 * score:.1f} %"


def render_emotions(emotions: Iterable[Mapping[str, Any]]) -> str:
    """Return the emotions of a result in one line: `excitement 91.2 %, joy 44.7 %`."""
    return ", ".join(f"{e['label']} {format_percent(e['score'])}" for e in emotions) or "no emotion over its threshold"


def render_result(value: str) -> str:
    """Return a result in one line; an empty string if *value* is not a result."""
    try:
        result = json.loads(value)
        scope = result.get("scope", "ok")
        line = f"{result['id']}  {render_emotions(result['emotions'])}{'' if scope == 'ok' else f'  [{scope}]'}"
    except (ValueError, TypeError, LookupError, AttributeError):
        line = ""
    return remove_controls(line)


def remove_controls(text: str) -> str:
    """Return *text* with spaces instead of control characters.

    Any producer of a topic can send them. Escape sequences change the terminal, its title and its clipboard, and
    characters that reverse the direction of text show you another text than the real one.
    """
    return "".join(character if character.isprintable() else " " for character in text)


def escape_controls(line: str) -> str:
    """Return JSON as one line with control characters as `\\u` escapes: a program reads the same values."""
    kept = line.replace("\r", " ").replace("\n", " ")  # in JSON, only possible between two values
    return "".join(each if each.isprintable() or each == "\t" else json.dumps(each)[1:-1] for each in kept)


def shorten(text: str, width: int) -> str:
    """Return *text* as one line of at most *width* characters, without control characters, which may be malicious."""
    line = remove_controls(text)
    return line if len(line) <= width else line[: width - 1] + "…"


def render_tagging_object(text: str, tagging: "Tagging", *, top: int | None, every: bool) -> dict[str, Any]:
    """Return the object of one text in `emotag tag --json`.

    Args:
        top: return this many strongest labels instead of those over their thresholds.
        every: add the scores of all labels.
    """
    # Imported only now: lines need neither pydantic nor the modules of a worker.
    from emotag_schemas.labels import derive_ekman, derive_sentiment
    from emotag_worker.wire.encode import list_emotions, list_reasons, round_scores

    over = {emotion.label: emotion.score for emotion in tagging.emotions}
    shown = tagging.top(top) if top else tagging.emotions
    emotions = list_emotions((emotion.label, emotion.score) for emotion in shown)
    if tagging.reasons:
        for emotion in emotions:
            emotion["reasons"] = list_reasons(tagging.reasons[emotion["label"]])
    found: dict[str, Any] = {
        "text": text,
        "emotions": emotions,
        "sentiment": derive_sentiment(over),
        "ekman": derive_ekman(over),
        "parts": None
        if tagging.parts is None
        else [{**part._asdict(), "emotions": list_emotions(part.emotions)} for part in tagging.parts],
        "truncated": tagging.truncated,
        "scope": tagging.scope,
        "language": tagging.language,
    }
    if every:
        found["scores"] = round_scores(tagging.scores)
    return found


def render_tagging_lines(text: str, tagging: "Tagging", *, top: int | None) -> str:
    """Return the lines of one text in `emotag tag`: the text, a note if it is out of scope, a line for each emotion.

    A line for each part of a long text follows.
    """
    shown = tagging.top(top) if top else tagging.emotions
    lines = []
    for emotion in shown:
        lines.append(f"  {emotion.label:<16}{format_percent(emotion.score):>8}")
        lines += [_render_reason(text, reason) for reason in tagging.reasons.get(emotion.label, ())]
    note = describe_scope(tagging.scope, tagging.language)
    notes = [f"  do not trust these emotions: {note}"] if note else []
    parts = [
        f"  part {number}, characters {part.start} to {part.end}: {render_emotions(map(_to_mapping, part.emotions))}"
        for number, part in enumerate(tagging.parts or (), 1)
    ]
    return "\n".join([shorten(text, 100), *notes, *(lines or ["  no emotion over its threshold"]), *parts])


def _render_reason(text: str, reason: "ReasonSpan") -> str:
    """Return the line of a reason: its share, and its words. `echo` removes the color if stdout is no terminal."""
    words = typer.style(f"“{shorten(text[reason.start : reason.end], 70)}”", fg="cyan", bold=True)
    return f"      {100 * reason.share:>3.0f} %  {words}"


def _to_mapping(emotion: "ScoredLabel") -> Mapping[str, Any]:
    return emotion._asdict()


def describe_scope(scope: "Scope", language: str | None) -> str:
    """Return why the emotions of a text cannot be trusted; an empty string if they can be."""
    match scope:
        case "ok":
            return ""
        case "other_language":
            return f"the model does not know the language of the text ({language})"
        case "unreadable":
            return "the model does not know most of the words of the text"
        case "too_short":
            return "the text has no words"
    assert_never(scope)
