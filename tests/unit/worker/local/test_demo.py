"""A run of the demo: its exit code, and what stdout contains."""

import contextlib
import json
from typing import Any
from unittest.mock import Mock

import pytest

from emotag_worker.errors import LocalError
from emotag_worker.kafka import clients
from emotag_worker.local import demo as demo_
from emotag_worker.local.demo import Demo
from emotag_worker.local.demo_view import DemoView

ONCE = [("a", False), ("b", False), ("broken", True)]
WRONG = {
    "lost": ONCE[1:],
    "twice": [*ONCE, ("b", False)],
    "dead": [("a", False), ("b", True), ("broken", True)],
    "dead too": [*ONCE, ("b", True)],
    "dead letter lost": ONCE[:2],
    "dead letter twice": [*ONCE, ("broken", True)],
    "broken has a result": [*ONCE[:2], ("broken", False)],
}


def run(monkeypatch: pytest.MonkeyPatch, arrivals: list[tuple[str, bool]], *, as_json: bool) -> tuple[int, Demo]:
    """Run the demo without servers: the arrivals are (id, whether it is a dead letter)."""

    class Served(Demo):
        def _run_servers(self) -> Any:
            return contextlib.nullcontext()

        def _open_consumer(self, _: object) -> Any:
            return Mock()

        def _send_records(self) -> None:
            self._tally.sent |= {"a": 1.0, "b": 2.0, "broken": 3.0}
            self._tally.broken.add("broken")
            for name, dead in arrivals:
                self._tally.count_arrival(name, dead=dead, cached=False)

    monkeypatch.setattr(clients, "create_plain_producer", Mock())
    demo = Served(messages=2, rate=None, as_json=as_json)
    return demo.run(ask=False), demo


@pytest.mark.parametrize(
    ("arrivals", "code", "verdict"),
    [
        pytest.param(ONCE, 0, "✓ Every text has exactly one result", id="once"),
        *(pytest.param(wrong, 1, "✗ Not every", id=name) for name, wrong in WRONG.items()),
    ],
)
def test_only_one_result_per_text_and_one_dead_letter_per_broken_record_is_a_success(
    arrivals: list[tuple[str, bool]],
    code: int,
    verdict: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert code == run(monkeypatch, arrivals, as_json=False)[0]
    assert verdict in capsys.readouterr().out


def test_a_typed_text_is_sent_as_a_repeat_if_it_is_one_and_its_loss_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["again", "again", ""])

    class Typed(Demo):
        def _run_servers(self) -> Any:
            return contextlib.nullcontext(Mock())

        def _open_consumer(self, _: object) -> Any:
            return Mock()

        def _send_records(self) -> None:
            pass

        def _await_all(self) -> None:
            if "demo-1" not in self._sent:
                self._tally.count_arrival("demo-0", dead=False, cached=False)

    monkeypatch.setattr(clients, "create_plain_producer", Mock())
    monkeypatch.setattr(DemoView, "read_text", lambda _: next(typed))
    demo = Typed(messages=1, rate=20.0, as_json=False)
    assert 1 == demo.run(ask=True)
    assert [False, True] == [record.repeated for record in demo._sent.values()]
    assert "2 records in: 1 result, 0 dead letters, 1 lost" in capsys.readouterr().out


def test_json_is_the_only_line_on_stdout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, demo = run(monkeypatch, ONCE, as_json=True)
    captured = capsys.readouterr()
    assert (0, demo._tally.summarize(), "") == (code, json.loads(captured.out), captured.err)


@pytest.mark.parametrize("needed", [True, False])
def test_a_download_is_announced_before_it_begins(
    needed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a line by itself: without a terminal, a line without an end may stay invisible for the whole download."""
    announced: list[str] = []

    def run_kafka() -> None:
        announced.extend(capsys.readouterr().err.splitlines())
        raise LocalError("no Java")

    monkeypatch.delenv("EMOTAG_KAFKA__BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setattr(demo_, "needs_download", lambda: needed)
    monkeypatch.setattr(demo_, "run_kafka", run_kafka)
    with pytest.raises(LocalError):
        Demo(messages=2, rate=None, as_json=False).run(ask=False)
    note = "downloading Apache Kafka (45 MB) from Maven Central, once …"
    assert [*[note] * needed, "starting Apache Kafka … "] == announced
