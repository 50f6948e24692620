"""The supervisor in its own process, with children whose program is not a worker."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

import emotag_worker.supervisor.child
from emotag_worker.supervisor import supervisor as supervisor_
from emotag_worker.supervisor.child import Child, End
from emotag_worker.supervisor.supervisor import Supervisor

SUPERVISOR = """
import sys
from emotag_worker.observability.logs import configure_logging
from emotag_worker.settings import LogSettings
from emotag_worker.supervisor import child, supervisor
child.FIRST_PAUSE_S, supervisor.LATE_S = 0.05, 0.2
configure_logging(LogSettings(format="json"))
children = [child.Child(number, [sys.executable, "-c", sys.argv[1]], []) for number in range(2)]
sys.exit(supervisor.Supervisor(children, shutdown_timeout_s=float(sys.argv[2])).run("localhost", 80))
"""

CHILD = """
import os, signal, sys, threading
from emotag_worker.supervisor.child import Link
link, ended = Link(sys.argv[-1]), threading.Event()
link.watch(ended.set)
def start():
    link.report(started=True)
    print("started", link.number, file=sys.stderr, flush=True)
{then}
"""
RUN = "start(); ended.wait()"
FIRST_FAILS = """
start()
if link.number == 0:
    {how}
ended.wait()
"""

Event = dict[str, Any]


class Running:
    """A supervisor process, and the lines of its stderr."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.events: list[Event] = []

    def read_line(self) -> str:
        assert self.process.stderr is not None
        line = self.process.stderr.readline().rstrip("\n")
        assert line, self.events
        if line.startswith("{"):
            self.events.append(json.loads(line))
        return line

    def await_line(self, expected: str, times: int = 1) -> None:
        """Read until a line has been there some times."""
        while times:
            times -= expected in self.read_line()

    def wait(self) -> int:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{"):
                self.events.append(json.loads(line))
        return self.process.wait(30)

    def find(self, name: str) -> list[Event]:
        return [event for event in self.events if event["event"] == name]


@contextmanager
def supervise(then: str, *, timeout_s: float = 30) -> Iterator[Running]:
    command = [sys.executable, "-c", SUPERVISOR, CHILD.format(then=then), str(timeout_s)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_ends_all(number: signal.Signals) -> None:
    with supervise(RUN) as running:
        running.await_line("started ", 2)
        running.process.send_signal(number)
        assert 0 == running.wait()
        assert [0, 0] == [event["exit_code"] for event in running.find("process_ended")]
        assert [number.name] == [event["signal"] for event in running.find("shutdown_started")]
        (stopped,) = running.find("supervisor_stopped")
        assert (number.name, 0, "info") == (stopped["reason"], stopped["exit_code"], stopped["level"])


def test_the_second_starts_after_the_first_has_started() -> None:
    with supervise(RUN) as running:
        running.await_line("started ", 2)
        assert [0, 1] == [event["process"] for event in running.find("process_started")]
        lines = [event["event"] for event in running.events]
        assert ["supervisor_started", "admin_server_started", "process_started", "process_started"] == lines


def test_a_second_signal_ends_all_at_once() -> None:
    with supervise("start(); threading.Event().wait()") as running:
        running.await_line("started ", 2)
        handles = [os.pidfd_open(event["pid"]) for event in running.find("process_started")]
        running.process.send_signal(signal.SIGTERM)
        running.await_line("shutdown_started")
        running.process.send_signal(signal.SIGTERM)
        assert 128 + signal.SIGTERM == running.wait()
        for handle in handles:
            assert select.select([handle], [], [], 30)[0]
            os.close(handle)


def test_a_child_that_does_not_end_in_time_is_killed() -> None:
    with supervise("start(); threading.Event().wait()", timeout_s=0.1) as running:
        running.await_line("started ", 2)
        running.process.send_signal(signal.SIGTERM)
        assert 1 == running.wait()
        assert ["ended by SIGKILL"] * 2 == [event["reason"] for event in running.find("process_ended")]
        assert 1 == len(running.find("shutdown_timed_out"))


@pytest.mark.parametrize(
    ("how", "code", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "ended by SIGKILL"),
        ("link.report(reason='no broker', done=False); sys.exit(1)", 1, "no broker"),
        ("sys.exit(0)", 0, "ended with exit code 0"),  # somebody sent the signal to this process alone
    ],
)
def test_a_child_that_fails_outside_is_restarted_with_growing_pauses(how: str, code: int, reason: str) -> None:
    with supervise(FIRST_FAILS.format(how=how)) as running:
        running.await_line("process_ended", 3)
        running.process.send_signal(signal.SIGTERM)
        assert 0 == running.wait()
        ended = [event for event in running.find("process_ended") if event["process"] == 0][:3]
        assert [(code, reason)] * 3 == [(event["exit_code"], event["reason"]) for event in ended]
        assert [0.05, 0.1, 0.2] == [event["restart_in_s"] for event in ended]
        restarts = [event["restarts"] for event in running.find("process_started") if event["process"] == 0]
        assert list(range(len(restarts))) == restarts
        assert [0] == [event["restarts"] for event in running.find("process_started") if event["process"] == 1]


def test_a_mistake_ends_all() -> None:
    with supervise(FIRST_FAILS.format(how="link.report(reason='bad model', done=False); sys.exit(2)")) as running:
        assert 2 == running.wait()
        (stopped,) = running.find("supervisor_stopped")
        assert ("bad model", 2, "error") == (stopped["reason"], stopped["exit_code"], stopped["level"])


def test_children_that_are_done_are_not_restarted() -> None:
    with supervise("start(); link.report(reason='done', done=True)") as running:
        assert 0 == running.wait()
        assert [0, 1] == sorted(event["process"] for event in running.find("process_ended"))
        assert "all processes are done" == running.find("supervisor_stopped")[0]["reason"]


def test_the_others_do_not_start_before_the_first_has() -> None:
    """A failure that all would have is reported once."""
    with supervise("sys.exit(1)") as running:
        running.await_line("process_ended", 3)
        running.process.send_signal(signal.SIGTERM)
        assert 0 == running.wait()
        assert {0} == {event["process"] for event in running.find("process_started")}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0], 0), ([0, 1], 1), ([2, 1], 2), ([1, 2], 2), ([128 + 15, 0], 0), ([128 + 9, 0], 1)],
)
def test_the_exit_code_is_the_one_that_matters_most(codes: list[int], expected: int) -> None:
    ended = Supervisor([Child(0, [], [])], shutdown_timeout_s=1)
    for code in codes:
        ended._note_code(End(code, f"ended with {code}", is_done=False))
    assert expected == ended._code


def test_a_supervisor_that_cannot_run_reports_why() -> None:
    with capture_logs() as logged:
        assert 1 == Supervisor([Child(0, [], [])], shutdown_timeout_s=1).fail("the port is in use", 1)
    event = {"event": "supervisor_stopped", "log_level": "error", "reason": "the port is in use", "exit_code": 1}
    assert [event] == logged


def test_the_supervisor_imports_neither_the_model_nor_a_client() -> None:
    names = [emotag_worker.supervisor.child.__name__, supervisor_.__name__, "emotag_worker.supervisor.exposition"]
    names += ["emotag_worker.supervisor.shares", "emotag_worker.observability.admin_server", "emotag_worker.cli.run"]
    heavy = {"numpy", "torch", "openvino", "confluent_kafka", "redis", "tokenizers"}
    program = f"import sys, {', '.join(names)}; sys.exit(str({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "set()" == done.stderr.strip()
