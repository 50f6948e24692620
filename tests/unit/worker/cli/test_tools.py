"""Commands without Kafka, between a scripted model and a real stdin."""

import json
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from emotag_model.engines.choice import Choice
from emotag_model.tagger import EmotionTagger
from emotag_model.tagging import ScoredLabel, Tagging
from emotag_worker.errors import LocalError

from .conftest import Command, Done

SCORES = {"joy": 0.9, "anger": 0.6, "fear": 0.1}


def objects(done: Done) -> list[Any]:
    assert (0, "") == (done.code, done.err)
    return [json.loads(line) for line in done.out.splitlines()]


class Tagger:
    """Finds joy and anger in every text."""

    def __init__(self) -> None:
        self.engine, self.precision = "openvino", "int8"
        self.choice = Choice("openvino", "int8", {}, "remembered")

    def tag(self, texts: Sequence[str]) -> list[Tagging]:
        return [Tagging((ScoredLabel("joy", 0.9), ScoredLabel("anger", 0.6)), SCORES, truncated=False)] * len(texts)


@pytest.fixture
def tagger(monkeypatch: pytest.MonkeyPatch) -> Tagger:
    tagger = Tagger()
    monkeypatch.setattr(EmotionTagger, "load", lambda *_, **__: tagger)
    return tagger


@pytest.fixture
def without_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmotionTagger, "load", lambda *_, **__: pytest.fail("the model was loaded"))


def test_texts_are_arguments_or_lines_without_blank_ones(tagger: Tagger, emotag: Command) -> None:
    assert ["a", "b"] == [each["text"] for each in objects(emotag("tag", "--json", "a", "b", stdin=b"not read\n"))]
    assert ["c", "d"] == [each["text"] for each in objects(emotag("tag", "--json", stdin=b"c\n\n \nd\n"))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "text 1 of 1 is empty"),
        (["a", " \n"], "text 2 of 2 is empty"),
        (["a", "--all", "--top", "3"], "leave out --top; or add --json"),
    ],
)
def test_a_mistake_is_refused_before_the_model_is_loaded(
    without_model: None, emotag: Command, arguments: list[str], message: str
) -> None:
    done = emotag("tag", *arguments)
    assert (2, "") == (done.code, done.out)
    assert message in done.err


@pytest.mark.parametrize("stdin", [b"", b"\n \n"])
def test_stdin_without_a_text_ends_with_a_note_and_code_0(without_model: None, emotag: Command, stdin: bytes) -> None:
    """As filters do: an empty input is no mistake. The note explains why there is no output."""
    assert (0, "", "emotag: stdin has no text, so nothing was tagged\n") == emotag("tag", stdin=stdin)


def test_ctrl_c_while_the_model_computes_ends_the_process_at_once(
    tagger: Tagger, emotag: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During the interpreter's shutdown, a computing thread of OpenVINO would abort it with a message."""

    def interrupt(_: Sequence[str]) -> list[Tagging]:
        raise KeyboardInterrupt

    monkeypatch.setattr(tagger, "tag", interrupt)
    monkeypatch.setattr("os._exit", lambda code: sys.exit(f"at once with {code}"))
    assert ("at once with 130", "", "") == emotag("tag", "a")


def test_ctrl_c_while_an_engine_is_imported_prints_no_traceback(
    emotag: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO's modules in C++ turn it into an ImportError."""

    def load(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt

    monkeypatch.setattr(EmotionTagger, "load", load)
    assert (130, "", "") == emotag("tag", "a")


def test_a_choice_that_was_not_measured_is_explained_on_stderr(tagger: Tagger, emotag: Command) -> None:
    tagger.choice = Choice("openvino", "int8", {}, "default", "set engine and precision")
    done = emotag("tag", "a", "--json")
    assert "note: the texts are tagged with engine openvino, precision int8: set engine and precision\n" == done.err
    assert "a" == json.loads(done.out)["text"]


def test_bytes_that_are_not_utf_8_are_replaced(tagger: Tagger, emotag: Command) -> None:
    """In an argument Python stores them as surrogates, which no tokenizer accepts."""
    for done in (emotag("tag", "--json", "so \udcff"), emotag("tag", "--json", stdin=b"so \xff\n")):
        assert ["so \ufffd"] == [each["text"] for each in objects(done)]


def test_a_text_as_json_controls_no_terminal(tagger: Tagger, emotag: Command) -> None:
    """A file of texts can be somebody else's."""
    done = emotag("tag", "--json", "so \x9b31m\u202e")
    assert done.out.rstrip("\n").isprintable()
    assert ["so \x9b31m\u202e"] == [each["text"] for each in objects(done)]


@pytest.mark.parametrize(
    ("options", "labels", "scores"),
    [
        ([], ["joy", "anger"], None),
        (["--top", "1"], ["joy"], None),
        (["--top", "3"], ["joy", "anger", "fear"], None),
        (["--all"], ["joy", "anger"], SCORES),
    ],
    ids=["over their thresholds", "the strongest", "more than are over", "and all scores"],
)
def test_options_choose_the_labels(
    options: list[str], labels: list[str], scores: dict[str, float] | None, tagger: Tagger, emotag: Command
) -> None:
    (answer,) = objects(emotag("tag", "a", "--json", *options))
    assert labels == [emotion["label"] for emotion in answer["emotions"]]
    assert scores == answer.get("scores")


def test_without_json_all_means_a_line_for_every_label(tagger: Tagger, emotag: Command) -> None:
    shown = emotag("tag", "a", "--all").out
    assert ["a", "joy", "anger", "fear"] == [line.split()[0] for line in shown.splitlines()]


@pytest.mark.parametrize(
    ("code", "terminal", "options", "expected"),
    [
        (0, False, [], {"messages": 200, "rate": None, "as_json": False}),
        (1, False, ["--messages", "5", "--rate", "2"], {"messages": 5, "rate": 2.0, "as_json": False}),
        (0, True, [], {"messages": 200, "rate": 20.0, "as_json": False}),
        (0, True, ["--json"], {"messages": 200, "rate": None, "as_json": True}),
    ],
)
def test_the_demo_is_slow_enough_to_read_on_a_terminal_and_its_code_is_the_commands(
    code: int,
    terminal: bool,
    options: list[str],
    expected: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    emotag: Command,
) -> None:
    given: list[dict[str, object]] = []

    def build(**keywords: object) -> SimpleNamespace:
        given.append(keywords)
        return SimpleNamespace(run=lambda ask: code)

    monkeypatch.setattr("emotag_worker.local.demo.Demo", build)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("EMOTAG_INPUT_TOPIC", "mine")
    done = emotag("demo", *options)
    assert (code, 1) == (done.code, done.err.count("emotag: warning: EMOTAG_INPUT_TOPIC is not a setting"))
    assert [expected] == given


@pytest.mark.parametrize("needed", [True, False])
def test_local_announces_a_download_only_if_there_is_one(
    needed: bool, monkeypatch: pytest.MonkeyPatch, emotag: Command
) -> None:
    def run_kafka() -> None:
        raise LocalError("no Java")

    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("emotag_worker.local.kafka.needs_download", lambda: needed)
    monkeypatch.setattr("emotag_worker.local.run_kafka", run_kafka)
    done = emotag("local")
    assert 2 == done.code
    assert needed == ("45 MB" in done.err)
