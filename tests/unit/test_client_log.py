"""The Kafka clients' own lines, among ours."""

import logging
from collections.abc import Iterator

import pytest

from worker import telemetry
from worker.settings import LogSettings
from worker.telemetry import CLIENT_LINES_S, CLIENT_LOG, configure_logging


class Clock:
    """The time that a test says it is."""

    def __init__(self) -> None:
        self.now_s = 1.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Logging as a worker configures it, and undone after."""
    root, client = logging.getLogger(), logging.getLogger(CLIENT_LOG)
    before = root.handlers, root.level, client.level, client.filters
    monkeypatch.setattr(telemetry, "time", clock := Clock())
    yield clock
    root.handlers, client.filters = before[0], before[3]
    root.setLevel(before[1])
    client.setLevel(before[2])


def say(facility: str, client: str, what: str) -> None:
    logging.getLogger(CLIENT_LOG).log(logging.ERROR, "%s [%s] %s", facility, client, what)


def test_a_clients_lines_of_one_kind_are_logged_once_in_a_while(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brokers that are gone give twenty a second, among which no other line would be seen."""
    configure_logging(LogSettings(format="json"))
    for second in range(round(2 * CLIENT_LINES_S)):
        clock.now_s = 1.0 + second
        for _ in range(20):
            say("FAIL", "consumer-1", f"refused at {second}")
            say("FAIL", "producer-2", f"refused at {second}")
    say("OFFSET", "consumer-1", "out of range")
    logged = capsys.readouterr().err
    assert 5 == len(logged.splitlines())
    assert 2 == logged.count("refused at 0")
    assert 2 == logged.count(f"refused at {CLIENT_LINES_S:g}")
    assert "out of range" in logged


def test_where_all_is_asked_for_all_is_logged(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(level="debug", format="json"))
    for _ in range(20):
        say("CONNECT", "consumer-1", f"connecting at {clock.now_s}")
    assert 20 == len(capsys.readouterr().err.splitlines())
