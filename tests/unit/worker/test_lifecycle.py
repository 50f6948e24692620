"""The life of the process: real signals to a separate process, and the state that probes report."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from emotag_worker.lifecycle import SHUTDOWN_FAILED, Lifecycle
from emotag_worker.observability.telemetry import Telemetry

PROGRAM = """
import ctypes, time
from emotag_worker.lifecycle import Lifecycle

class Telemetry:
    def report_shutdown(self, name, timeout_s):
        print("shutdown", name, timeout_s, flush=True)

    def report_shutdown_timeout(self, timeout_s):
        print("timeout", timeout_s, flush=True)

lifecycle = Lifecycle(shutdown_timeout_s={timeout_s}, telemetry=Telemetry())
lifecycle.watch_signals()
print("watching", flush=True)
{then}
"""
STOP = "lifecycle.stop.wait(); print('stopped', flush=True)"
HANG = "time.sleep(60)"
HANG_IN_C = (
    "lock = ctypes.CDLL(None).pthread_mutex_lock; mutex = ctypes.create_string_buffer(64); lock(mutex); lock(mutex)"
)
"""A mutex that is locked twice: no signal interrupts the second call, and no Python handler runs."""


@contextmanager
def process(*then: str, timeout_s: float = 60) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process that watches signals."""
    program = PROGRAM.format(timeout_s=timeout_s, then="\n".join(then))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        try:
            assert "watching\n" == started.stdout.readline()
            yield started, started.stdout
        finally:
            started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_the_worker_to_stop(number: signal.Signals) -> None:
    with process(STOP) as (worker, lines):
        worker.send_signal(number)
        assert f"shutdown {number.name} 60\n" == lines.readline()
        assert "stopped\n" == lines.readline()
        assert 0 == worker.wait(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    """With the code that a shell reports for this signal."""
    with process(STOP, HANG) as (worker, lines):
        worker.send_signal(signal.SIGTERM)
        assert ["shutdown SIGTERM 60\n", "stopped\n"] == [lines.readline(), lines.readline()]
        worker.send_signal(number)
        assert 128 + number == worker.wait(10)


def test_signals_are_heard_while_the_main_thread_does_not_return_from_c() -> None:
    """As from librdkafka or torch, where a Python handler would never run."""
    with process(HANG_IN_C) as (worker, lines):
        worker.send_signal(signal.SIGTERM)
        assert "shutdown SIGTERM 60\n" == lines.readline()
        worker.send_signal(signal.SIGTERM)
        assert 128 + signal.SIGTERM == worker.wait(10)


def test_a_shutdown_that_takes_too_long_ends_with_1() -> None:
    with process(STOP, HANG, timeout_s=0.1) as (worker, lines):
        worker.send_signal(signal.SIGTERM)
        assert SHUTDOWN_FAILED == worker.wait(10)
        assert ["shutdown SIGTERM 0.1", "stopped", "timeout 0.1"] == lines.read().splitlines()


def test_a_supervisor_and_a_signal_are_one_shutdown() -> None:
    """A terminal sends Ctrl-C to the supervisor and to each worker: the worker still has the time to commit."""
    with process("lifecycle.shut_down('supervisor')", STOP, "time.sleep(1)", "print('ended', flush=True)") as (
        worker,
        lines,
    ):
        assert "shutdown supervisor 60\n" == lines.readline()
        assert "stopped\n" == lines.readline()
        worker.send_signal(signal.SIGINT)
        assert "ended\n" == lines.readline()
        assert 0 == worker.wait(10)


class Clock:
    """The time, set by a test."""

    def __init__(self) -> None:
        self.now_s = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", lambda: clock.now_s)
    return clock


def probes(lifecycle: Lifecycle) -> dict[str, bool | None]:
    return {path: lifecycle.probe(f"/{path}") for path in ("startupz", "readyz", "livez")}


@pytest.fixture
def lifecycle(clock: Clock) -> Lifecycle:
    return Lifecycle(shutdown_timeout_s=25, telemetry=Telemetry())


def test_a_worker_that_starts_is_alive_however_long_it_takes(lifecycle: Lifecycle, clock: Clock) -> None:
    """A large model, or brokers that come late: its own deadlines end it, and not the probe."""
    clock.now_s += 3600
    assert {"startupz": False, "readyz": False, "livez": True} == probes(lifecycle)


def test_a_started_worker_is_ready_while_its_source_is(lifecycle: Lifecycle) -> None:
    ready = True
    lifecycle.mark_started(is_ready=lambda: ready, stuck_s=145)
    assert {"startupz": True, "readyz": True, "livez": True} == probes(lifecycle)
    ready = False
    assert {"startupz": True, "readyz": False, "livez": True} == probes(lifecycle)


def test_a_worker_that_shuts_down_is_alive_and_not_ready(lifecycle: Lifecycle) -> None:
    lifecycle.mark_started(is_ready=lambda: True, stuck_s=145)
    lifecycle.stop.set()
    assert {"startupz": True, "readyz": False, "livez": True} == probes(lifecycle)


@pytest.mark.parametrize("started", [True, False])
def test_a_held_worker_is_alive_and_started_and_not_ready(started: bool, lifecycle: Lifecycle, clock: Clock) -> None:
    """However long it waits for a person: a probe that failed would restart it."""
    if started:
        lifecycle.mark_started(is_ready=lambda: True, stuck_s=60.0)
    lifecycle.stop.set()  # the signal that ends the wait
    lifecycle.hold()
    lifecycle.stop.clear()
    clock.now_s += 3600
    assert {"startupz": True, "readyz": False, "livez": True} == probes(lifecycle)


def test_a_held_worker_counts_as_started_for_its_supervisor(lifecycle: Lifecycle) -> None:
    """Otherwise the other processes would never start, and the startup probe would end the pod."""
    events: list[str] = []
    lifecycle.on_started = lambda: events.append("started")
    lifecycle.stop.set()  # the signal that ends the wait
    lifecycle.hold()
    assert ["started"] == events


def test_a_round_that_takes_too_long_is_not_alive_until_the_next_one_ends(lifecycle: Lifecycle, clock: Clock) -> None:
    lifecycle.mark_started(is_ready=lambda: True, stuck_s=145)
    clock.now_s += 144
    assert lifecycle.probe("/livez")
    clock.now_s += 1
    assert not lifecycle.probe("/livez")
    lifecycle.mark_alive()
    assert lifecycle.probe("/livez")


def test_the_first_round_counts_from_the_start(lifecycle: Lifecycle, clock: Clock) -> None:
    """Not from the beginning of the process: loading the model may take longer than a round."""
    clock.now_s += 3600
    lifecycle.mark_started(is_ready=lambda: True, stuck_s=145)
    assert lifecycle.probe("/livez")


def test_the_start_is_reported_once_complete(lifecycle: Lifecycle) -> None:
    started: list[bool | None] = []
    lifecycle.on_started = lambda: started.append(lifecycle.probe("/startupz"))
    lifecycle.mark_started(is_ready=lambda: True, stuck_s=145)
    assert [True] == started


def test_there_is_no_other_probe(lifecycle: Lifecycle) -> None:
    assert lifecycle.probe("/healthz") is None
