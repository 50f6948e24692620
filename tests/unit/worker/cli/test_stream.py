"""Commands that use Kafka, between scripted clients and the terminal."""

import contextlib
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from confluent_kafka.cimpl import NewTopic

from emotag_worker.kafka import clients, topics
from emotag_worker.terminal import produce, tail

from .conftest import Command, Terminal

RESULT = json.dumps({"id": "1", "emotions": [{"label": "joy", "score": 0.9}], "source": {"partition": 0, "offset": 7}})


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "create_reader", lambda settings: SimpleNamespace(close=lambda: None))


def message(value: bytes) -> SimpleNamespace:
    return SimpleNamespace(value=lambda: value, topic=lambda: "emotions", partition=lambda: 3, offset=lambda: 5)


def test_tail_prints_results_and_names_what_is_not_one(monkeypatch: pytest.MonkeyPatch, emotag: Command) -> None:
    monkeypatch.setattr(tail, "follow", lambda *_, **__: iter([None, message(RESULT.encode()), message(b"{}")]))
    first, second = emotag("tail").out.splitlines()
    assert "joy" in first
    assert "emotions-3@5  not a result of emotag" == second


def test_tail_as_json_prints_each_value_as_it_is(monkeypatch: pytest.MonkeyPatch, emotag: Command) -> None:
    monkeypatch.setattr(tail, "follow", lambda *_, **__: iter([message(RESULT.encode()), None]))
    assert (0, RESULT + "\n", "") == emotag("tail", "--json")


@pytest.mark.parametrize(
    ("options", "messages", "note"),
    [
        ([], [None], "no result in 2 s; to find the cause: emotag lag, emotag dlq list; earlier results: …"),
        (["--from-beginning"], [None], "no result in 2 s; to find the cause: emotag lag, emotag dlq list"),
        ([], [message(RESULT.encode())], ""),
    ],
)
def test_tail_that_ends_without_a_result_names_the_next_commands(
    options: list[str], messages: list[object], note: str, monkeypatch: pytest.MonkeyPatch, emotag: Command
) -> None:
    monkeypatch.setattr(tail, "follow", lambda *_, **__: iter(messages))
    done = emotag("tail", "--idle-s", "2", *options)
    assert (0, note) == (done.code, done.err.strip().replace("emotag tail --from-beginning", "…"))


def test_ctrl_c_is_the_usual_end_of_tail(monkeypatch: pytest.MonkeyPatch, emotag: Command) -> None:
    def follow(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield message(RESULT.encode())
        raise KeyboardInterrupt

    monkeypatch.setattr(tail, "follow", follow)
    assert (0, RESULT + "\n", "") == emotag("tail", "--json")


def test_ctrl_c_before_a_result_is_no_idle_end(monkeypatch: pytest.MonkeyPatch, emotag: Command) -> None:
    def follow(*_: object, **__: object) -> Iterator[None]:
        yield None
        raise KeyboardInterrupt

    monkeypatch.setattr(tail, "follow", follow)
    assert (0, "", "") == emotag("tail", "--idle-s", "60")


def test_topics_create_passes_numbers_on_and_prints_each_topic(
    monkeypatch: pytest.MonkeyPatch, emotag: Command
) -> None:
    planned = []

    def create(admin: object, plan: list[NewTopic], *, report: Callable[[str, str], None]) -> None:
        planned.extend(plan)
        for topic in plan:
            report(topic.topic, "created")

    monkeypatch.setattr(clients, "create_admin", lambda settings, polled: contextlib.nullcontext())
    monkeypatch.setattr(topics, "create_topics", create)
    done = emotag("topics", "create", "--partitions", "16", "--replication", "3")
    assert [("texts", 16, 3), ("emotions", 16, 3), ("texts.dlq", 16, 3)] == [
        (topic.topic, topic.num_partitions, topic.replication_factor) for topic in planned
    ]
    assert "texts: created" in done.out.splitlines()


@pytest.mark.parametrize("terminal", [True, False])
def test_produce_on_a_terminal_explains_itself_and_counts_the_records_at_ctrl_c(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, emotag: Command
) -> None:
    def interrupt(*_: object) -> int:
        raise produce.ProduceInterrupted(2)

    monkeypatch.setattr(clients, "create_plain_producer", lambda *_: None)
    monkeypatch.setattr(topics, "await_topics", lambda *_: None)
    monkeypatch.setattr(produce, "produce_lines", interrupt)
    prompt = "type one text per line; Ctrl-D ends\n" if terminal else ""
    assert (130, "", f"{prompt}interrupted: sent 2 records to texts\n") == emotag(
        "produce", "-", stdin=Terminal() if terminal else b""
    )
