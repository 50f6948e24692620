"""Log lines: their form, and the rate of the Kafka clients' lines."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from emotag_worker.observability import logs
from emotag_worker.observability.logs import CLIENT_LINES_S, CLIENT_LOG, configure_logging
from emotag_worker.settings import LogSettings


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Restore the configuration of logging after a test, and replace the clock."""
    root, client = logging.getLogger(), logging.getLogger(CLIENT_LOG)
    before = root.handlers, root.level, client.level, client.filters
    monkeypatch.setattr(logs, "time", clock := Clock())
    yield clock
    root.handlers, client.filters = before[0], before[3]
    root.setLevel(before[1])
    client.setLevel(before[2])


def say(facility: str, client: str, what: str) -> None:
    logging.getLogger(CLIENT_LOG).log(logging.ERROR, "%s [%s] %s", facility, client, what)


def test_client_lines_of_one_kind_are_rate_limited(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Unreachable brokers cause twenty lines a second, which would hide all other lines."""
    configure_logging(LogSettings(format="json"))
    for second in range(round(2 * CLIENT_LINES_S)):
        clock.now_s = 1.0 + second
        for _ in range(20):
            say("REQTMOUT", "consumer-1", f"refused at {second}")
            say("REQTMOUT", "producer-2", f"refused at {second}")
    say("OFFSET", "consumer-1", "out of range")
    logged = capsys.readouterr().err
    assert 5 == len(logged.splitlines())
    assert 2 == logged.count("refused at 0")
    assert 2 == logged.count(f"refused at {CLIENT_LINES_S:g}")
    assert "out of range" in logged


@pytest.mark.parametrize(("level", "lines"), [("info", 0), ("debug", 1)])
def test_a_client_line_about_a_failed_connection_is_logged_only_at_level_debug(
    level: Literal["info", "debug"], lines: int, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """The event `broker_error_seen` reports the same failure, with its remedy."""
    configure_logging(LogSettings(level=level, format="json"))
    say("FAIL", "consumer-1", "Connection refused")
    assert lines == len(capsys.readouterr().err.splitlines())


def test_at_level_debug_every_line_is_logged(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(level="debug", format="json"))
    for _ in range(20):
        say("CONNECT", "consumer-1", f"connecting at {clock.now_s}")
    assert 20 == len(capsys.readouterr().err.splitlines())


def test_a_line_is_json_in_the_same_form_for_events_and_libraries(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(LogSettings(format="json"))
    structlog.get_logger("emotag").info("batch_committed", records=3, ms=1.5)
    logging.getLogger("library").warning("%d retries", 2)
    event, foreign = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert event.pop("timestamp").endswith("Z")
    assert foreign.pop("timestamp").endswith("Z")
    assert {"level": "info", "event": "batch_committed", "records": 3, "ms": 1.5} == event
    assert {"level": "warning", "event": "2 retries", "logger": "library"} == foreign


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_keys_of_a_line_begin_with_timestamp_level_and_event(
    log_format: Literal["json", "console"], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then come the fields in the order of the call, and last a library's logger or a traceback."""
    configure_logging(LogSettings(format=log_format))
    structlog.get_logger("emotag").info("batch_committed", records=3, ms=1.5)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logging.getLogger("library").exception("failed")
    text = capsys.readouterr().err
    if log_format == "json":
        keys = [list(json.loads(line)) for line in text.splitlines()]
        first = ["timestamp", "level", "event"]
        assert [[*first, "records", "ms"], [*first, "logger", "exception"]] == keys
    else:
        colourless = re.sub(r"\x1b\[[\d;]*m", "", text)
        assert re.match(r"\S+Z \[info +\] batch_committed +records=3 ms=1.5\n\S+Z \[error +\] failed", colourless)


def test_lines_below_the_level_are_left_out(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(level="warning", format="json"))
    structlog.get_logger("emotag").info("batch_committed")
    structlog.get_logger("emotag").warning("batch_aborted")
    assert ["batch_aborted"] == [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]


def test_the_console_format_is_for_people(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="console"))
    structlog.get_logger("emotag").info("batch_committed", records=3)
    line = capsys.readouterr().err
    assert "batch_committed" in line
    assert not line.startswith("{")


def test_a_more_severe_line_of_the_same_kind_passes_at_once(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json"))
    for level in (logging.WARNING, logging.WARNING, logging.ERROR):
        logging.getLogger(CLIENT_LOG).log(level, "%s [%s] refused", "REQTMOUT", "consumer-1")
    assert ["warning", "error"] == [json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize("process", [0, 1, None])
def test_each_line_of_one_of_several_workers_has_its_number(
    process: int | None, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of libraries too; without a supervisor, no line has one."""
    configure_logging(LogSettings(format="json"), process=process)
    structlog.get_logger("emotag").info("worker_started", group="g")
    say("REQTMOUT", "consumer-1", "refused")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [process, process] == [line.get("process") for line in lines]
    own = [] if process is None else ["process"]
    assert ["timestamp", "level", "event", *own, "group"] == list(lines[0])
