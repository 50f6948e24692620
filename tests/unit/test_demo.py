"""What the demo says of its own run."""

import contextlib
from typing import Any
from unittest.mock import Mock

import pytest

from worker import clients
from worker.demo import Demo, Tally

ONCE = [("a", False), ("b", False)]
LOST = [("a", False)]
TWICE = [*ONCE, ("b", False)]
DEAD = [("a", False), ("b", True)]
DEAD_TOO = [*ONCE, ("b", True)]
WRONG = [LOST, TWICE, DEAD, DEAD_TOO]
NAMES = ["lost", "twice", "dead", "dead too"]


def receive(tally: Tally, arrivals: list[tuple[str, bool]]) -> None:
    tally.sent |= {"a": 1.0, "b": 2.0}
    for name, dead in arrivals:
        tally.arrived(name, dead=dead, cached=False)


@pytest.mark.parametrize("arrivals", [ONCE, *WRONG], ids=["once", *NAMES])
def test_the_verdict_and_the_figures_agree(arrivals: list[tuple[str, bool]]) -> None:
    tally = Tally()
    receive(tally, arrivals)
    summary = tally.summary()
    assert tally.exactly_once == (summary["lost"] == summary["duplicated"] == summary["dead_lettered"] == 0)
    assert tally.exactly_once == (arrivals is ONCE)


@pytest.mark.parametrize(
    ("arrivals", "code", "verdict"),
    [
        pytest.param(ONCE, 0, "\nevery text came out exactly once", id="once"),
        *(pytest.param(wrong, 1, "\nnot every text", id=name) for wrong, name in zip(WRONG, NAMES, strict=True)),
    ],
)
def test_only_a_result_for_each_text_is_a_success(
    arrivals: list[tuple[str, bool]],
    code: int,
    verdict: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A dead letter was answered, but it is no emotion that came out."""

    class Served(Demo):
        def _servers(self) -> Any:
            return contextlib.nullcontext()

        def _reader(self, _: object) -> Any:
            return Mock()

        def _send_samples(self) -> None:
            receive(self._tally, arrivals)

    monkeypatch.setattr(clients, "plain_producer", Mock())
    assert code == Served(messages=2, rate=None, as_json=False).run(ask=False)
    assert verdict in capsys.readouterr().out
