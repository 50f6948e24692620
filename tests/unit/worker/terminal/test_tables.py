"""Results as lines and as JSON."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast, get_args

import pytest
import typer

from emotag_model.reasons.spans import ReasonSpan
from emotag_schemas.result import Scope
from emotag_worker.terminal.tables import (
    describe_scope,
    escape_controls,
    format_percent,
    render_emotions,
    render_result,
    render_tagging_lines,
    render_tagging_object,
    shorten,
)

if TYPE_CHECKING:
    from emotag_model.tagging import TaggedPart, Tagging


class Emotion:
    def __init__(self, label: str, score: float) -> None:
        self.label, self.score = label, score


class Scored:
    """A tagging with fear over its threshold, and joy with a higher score but below its own."""

    emotions = (Emotion("fear", 0.61234),)
    scores: Mapping[str, float] = {"joy": 0.7, "fear": 0.61234, "love": 0.00004}
    truncated = False
    scope, language = "ok", "en"
    parts: tuple["TaggedPart", ...] | None = None
    reasons: Mapping[str, tuple[ReasonSpan, ...]] = {}

    def top(self, number: int) -> list[Emotion]:
        return [Emotion(label, score) for label, score in list(self.scores.items())[:number]]


TAGGING = cast("Tagging", Scored())


def test_a_result_is_a_line() -> None:
    emotions = [{"label": "joy", "score": 0.912}, {"label": "love", "score": 0.5}]
    assert "42  joy 91.2 %, love 50.0 %" == render_result(json.dumps({"id": "42", "emotions": emotions}))


@pytest.mark.parametrize("value", ["", "null", "[]", "3", "{}", "no JSON", '{"id": "1", "emotions": 3}'])
def test_what_is_no_result_is_no_line_and_no_traceback(value: str) -> None:
    """Anyone may write to a topic."""
    assert "" == render_result(value)


def test_a_result_without_emotions_says_so() -> None:
    assert "no emotion over its threshold" == render_emotions([])


def test_percentages_have_one_digit() -> None:
    assert ["0.0 %", "44.7 %"] == [format_percent(0.0004), format_percent(0.447)]


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\r\x00"
"""Sets the title of the terminal, clears it, colours it, and reverses the direction of text."""


def test_the_id_of_a_result_controls_no_terminal() -> None:
    line = render_result(json.dumps({"id": f"a{HOSTILE}z", "emotions": [{"label": HOSTILE, "score": 0.5}]}))
    assert line.isprintable()
    assert line.startswith("a ]0;owned")


def test_a_result_as_json_controls_no_terminal_and_has_the_same_values() -> None:
    """Also if somebody wrote it without the escapes of JSON."""
    value = json.dumps({"id": f"a{HOSTILE}ä😀"}, ensure_ascii=False)
    assert escape_controls(value).isprintable()
    assert json.loads(value) == json.loads(escape_controls(value))
    assert "\\u001b[2J" == escape_controls("\x1b[2J")
    assert '{"id": "ä😀"}' == escape_controls('{"id": "ä😀"}')


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_value_cannot_forge_a_second_line(end: str) -> None:
    """`--json` prints one object for each line; between two fields, JSON allows the end of a line."""
    assert 1 == len(escape_controls(f'{{"id":"a"}}{end}{{"id":"forged"}}').splitlines())
    assert {"id": "a"} == json.loads(escape_controls('{\n"id":\r\n"a"\n}'))


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "a [31mb c" == shorten("a\x1b[31mb\nc", 20)


def test_a_long_line_is_cut() -> None:
    assert ["abc", "ab…"] == [shorten("abc", 3), shorten("abcd", 3)]


def test_json_has_the_emotions_over_their_thresholds() -> None:
    found = render_tagging_object("t", TAGGING, top=None, every=False)
    assert [{"label": "fear", "score": 0.6123}] == found["emotions"]
    assert ("t", "negative", ["fear"], False) == (
        found["text"],
        found["sentiment"],
        found["ekman"],
        found["truncated"],
    )
    assert "scores" not in found


def test_the_strongest_labels_do_not_change_the_sentiment() -> None:
    """The sentiment is the result's, whatever is shown of it."""
    found = render_tagging_object("t", TAGGING, top=2, every=True)
    assert ["joy", "fear"] == [emotion["label"] for emotion in found["emotions"]]
    assert "negative" == found["sentiment"]
    assert {"joy": 0.7, "fear": 0.6123, "love": 0.0} == found["scores"]


class Foreign(Scored):
    """The same for a text in Korean."""

    scope, language = "other_language", "ko"


def test_a_text_out_of_scope_says_so_before_its_emotions() -> None:
    foreign = cast("Tagging", Foreign())
    lines = render_tagging_lines("t", foreign, top=None).split("\n")
    assert "  do not trust these emotions: the model does not know the language of the text (ko)" == lines[1]
    found = render_tagging_object("t", foreign, top=None, every=False)
    assert ("other_language", "ko") == (found["scope"], found["language"])
    value = {"id": "42", "emotions": [], "scope": "unreadable"}
    assert "42  no emotion over its threshold  [unreadable]" == render_result(json.dumps(value))


@pytest.mark.parametrize("scope", get_args(Scope))
def test_every_scope_but_ok_is_described(scope: Scope) -> None:
    assert (scope == "ok") == (describe_scope(scope, "ko") == "")


def test_lines_are_the_text_and_its_emotions() -> None:
    assert ["t", "fear 61.2 %"] == [
        " ".join(li.split()) for li in render_tagging_lines("t", TAGGING, top=0).split("\n")
    ]
    assert 3 == len(render_tagging_lines("t", TAGGING, top=2).split("\n"))


def test_each_part_of_a_long_text_has_a_line_and_an_object() -> None:
    from emotag_model.tagging import ScoredLabel, TaggedPart

    class Long(Scored):
        parts = (TaggedPart(0, 9, (ScoredLabel("fear", 0.61234),)), TaggedPart(7, 20, ()))

    long = cast("Tagging", Long())
    lines = render_tagging_lines("t", long, top=None).split("\n")
    assert "  part 1, characters 0 to 9: fear 61.2 %" == lines[-2]
    assert "  part 2, characters 7 to 20: no emotion over its threshold" == lines[-1]
    found = render_tagging_object("t", long, top=None, every=False)
    assert {"start": 0, "end": 9, "emotions": [{"label": "fear", "score": 0.6123}]} == found["parts"][0]
    assert render_tagging_object("t", TAGGING, top=None, every=False)["parts"] is None


class Explained(Scored):
    """The same with a reason for fear."""

    reasons: Mapping[str, tuple[ReasonSpan, ...]] = {"fear": (ReasonSpan(4, 13, 0.71239),)}


def test_reasons_are_words_with_their_share_readable_without_color(capsys: pytest.CaptureFixture[str]) -> None:
    typer.echo(render_tagging_lines("I am so\nscared!", cast("Tagging", Explained()), top=None), color=False)
    assert ["I am so scared!", "fear 61.2 %", "71 % “ so scare”"] == [
        " ".join(line.split()) for line in capsys.readouterr().out.splitlines()
    ]
    typer.echo(render_tagging_lines("I am so\nscared!", cast("Tagging", Explained()), top=None), color=True)
    assert "\x1b[1m“ so scare”\x1b[0m" in capsys.readouterr().out.replace("\x1b[36m", "")


def test_json_has_the_reasons_of_each_emotion() -> None:
    found = render_tagging_object("I am so scared!", cast("Tagging", Explained()), top=None, every=False)
    reason = {"start": 4, "end": 13, "share": 0.7124}
    assert [{"label": "fear", "score": 0.6123, "reasons": [reason]}] == found["emotions"]
