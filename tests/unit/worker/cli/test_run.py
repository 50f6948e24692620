"""`emotag run`: its exit codes, its last line in the log, and the order of its start."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException

from emotag_model.errors import ArtifactError
from emotag_worker import cli
from emotag_worker.cli import run as run_
from emotag_worker.cli.app import describe_error
from emotag_worker.errors import BrokerUnavailable, TooManyDeadLetters, TopicMissing
from emotag_worker.lifecycle import Lifecycle
from emotag_worker.observability import logs
from emotag_worker.settings import Settings
from emotag_worker.supervisor.child import Child, Link
from emotag_worker.supervisor.supervisor import Supervisor

Events = list[dict[str, object]]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    """The log events of a run, without signal handlers and without the worker's logging."""
    monkeypatch.setattr(Lifecycle, "watch_signals", lambda _: None)
    monkeypatch.setattr(logs, "configure_logging", lambda *_, **__: None)
    recorded: Events = []
    monkeypatch.setattr("structlog.get_logger", lambda *_: structlog.wrap_logger(None, [keep(recorded)]))
    return recorded


def keep(recorded: Events) -> structlog.types.Processor:
    def note(_: object, level: str, event: structlog.types.EventDict) -> str:
        recorded.append({"level": level, **event})
        raise structlog.DropEvent

    return note


def run(monkeypatch: pytest.MonkeyPatch, error: Exception | None, *arguments: str) -> object:
    """Its exit code where its service ends with *error*."""

    def serve(*_: object, **__: object) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(run_, "_serve", serve)
    monkeypatch.setattr(sys, "argv", ["emotag", "run", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TooManyDeadLetters(9), 2),
        (ArtifactError(Path("/m"), "no weights"), 2),
        (BrokerUnavailable("localhost:9092", "refused", "Start it"), 1),
        (KafkaException(KafkaError(KafkaError._TRANSPORT, "broker down")), 1),
        (FileNotFoundError(2, "No such file or directory", "/m/config.json"), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_supervisor_may_restart_after_a_failure_outside_and_not_after_a_mistake(
    error: Exception, code: int, events: Events, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line of the log has the reason, in the words of every other command, and nothing else is printed."""
    assert code == run(monkeypatch, error)
    assert {"level": "error", "event": "worker_stopped", "reason": describe_error(error), "exit_code": code} == events[
        -1
    ]
    assert ("", "") == capsys.readouterr()


@pytest.mark.parametrize(
    ("error", "code", "held"),
    [
        (TooManyDeadLetters(9), 2, True),
        (ArtifactError(Path("/m"), "no weights"), 2, True),
        (BrokerUnavailable("localhost:9092", "refused", "Start it"), 1, False),
        (TopicMissing({"texts": ""}, "localhost:9092"), 2, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_worker_that_holds_waits_for_a_signal_only_after_a_mistake(
    error: Exception, code: int, held: bool, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor's restart can help after a failure outside, and if somebody creates the topics."""

    def serve(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("emotag_worker.service.serve", serve)
    monkeypatch.setattr(Lifecycle, "hold", lambda _: events.append({"event": "waited"}))
    monkeypatch.setattr(sys, "argv", ["emotag", "run", "--set", "on_mistake=hold", "--set", "admin.port=0"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert code == ended.value.code
    expected = ["worker_held", "waited"] if held else []
    assert ["admin_server_started", *expected, "worker_stopped"] == [event["event"] for event in events]


def test_several_processes_need_a_file_of_settings_that_each_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first process would empty a pipe, and the others would run with the defaults."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(run_, "load_settings", lambda *_, **__: Settings(processes=2))
    monkeypatch.setattr(sys, "argv", ["emotag", "run", "--config", str(tmp_path / "pipe")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert 2 == ended.value.code
    assert "pipe is not a file: each of the 2 processes has to read it" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="a bug"):
        run(monkeypatch, ValueError("a bug"))
    assert [] == events


def test_a_worker_that_was_told_to_stop_ends_with_0(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 == run(monkeypatch, None)
    assert {"level": "info", "event": "worker_stopped", "reason": "signal", "exit_code": 0} == events[-1]


def test_doubtful_settings_are_logged_and_stop_nothing(
    events: Events, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMOTAG_SHUTDOWN_TIMEOUT", "3")
    monkeypatch.setenv("EMOTAG_DRAIN_S", "3")
    assert 0 == run(monkeypatch, None, "--set", "cache.url=redis://:hunter2@r")
    ignored, also_ignored, *others = events
    assert "EMOTAG_DRAIN_S is not a setting" in str(ignored["reason"])
    assert "did you mean EMOTAG_SHUTDOWN_TIMEOUT_S?" in str(also_ignored["reason"])
    assert ["setting_ignored"] * 2 == [event["event"] for event in (ignored, also_ignored)]
    assert ["cache_opened_without_secret", "setting_insecure", "worker_stopped"] == [event["event"] for event in others]
    assert "" == capsys.readouterr().err  # the log has these warnings already


def test_a_wrong_setting_ends_before_anything_starts(
    events: Events, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == run(monkeypatch, None, "--set", "admin.port=ninety")
    assert [] == events
    assert "EMOTAG_ADMIN__PORT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        (["--processes", "3", "--set", "model.device=cpu"], [0, 1, 2]),
        (["--set", "processes=2"], [0, 1]),
        (["--processes", "2", "--set", "processes=3"], [0, 1]),
    ],
)
def test_several_processes_run_under_a_supervisor(
    arguments: list[str], numbers: list[int], events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each child gets the arguments of the command."""
    seen: list[Child] = []

    def supervise(self: Supervisor, host: str, port: int) -> int:
        seen.extend(self._children)
        return 1

    monkeypatch.setattr(Supervisor, "run", supervise)
    assert 1 == run(monkeypatch, AssertionError("no worker in this process"), "--set", "admin.port=0", *arguments)
    assert numbers == [child.number for child in seen]
    assert ["run", "--set", "admin.port=0", *arguments] == list(seen[0]._command)[-len(arguments) - 3 :]
    assert [] == events


@pytest.mark.parametrize("arguments", [["--processes", "1"], ["--set", "processes=1"], []])
def test_one_process_is_the_worker_itself(
    arguments: list[str], events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Supervisor, "run")
    assert 0 == run(monkeypatch, None, *arguments)
    assert ["worker_stopped"] == [event["event"] for event in events]


def test_a_port_in_use_ends_the_supervisor_before_it_starts_a_worker(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = ["--set", "admin.host=127.0.0.1", "--set", f"admin.port={port}"]
        assert 1 == run(monkeypatch, None, "--processes", "2", *settings)
    (stopped,) = events
    assert ("supervisor_stopped", 1) == (stopped["event"], stopped["exit_code"])
    assert "EMOTAG_ADMIN__PORT" in str(stopped["reason"])


def test_a_child_reports_to_its_supervisor(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    links: list[Link] = []
    monkeypatch.setattr(Link, "watch", lambda link, _: links.append(link))  # a shutdown would end this process
    with ours:
        argument = f"1:{theirs.detach()}"
        assert 2 == run(monkeypatch, TooManyDeadLetters(9), "--processes", "2", "--child", argument)
        report = json.loads(ours.recv(65536))
        links[0]._socket.close()
    assert {"reason": str(events[-1]["reason"]), "done": False} == report
