"""A worker process and its supervisor: the pause before a restart, reports, and identities."""

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from emotag_worker.kafka.properties import find_identity, make_transactional_id
from emotag_worker.settings import Settings
from emotag_worker.supervisor.child import FIRST_PAUSE_S, LONGEST_PAUSE_S, WELL_S, Backoff, Child, End, Link
from emotag_worker.supervisor.child import adapt_settings as adapt

PROGRAM = """
import sys, os
from emotag_worker.supervisor.child import Link
link = Link(sys.argv[-1])
{then}
"""
WAIT = "import threading; ended = threading.Event(); link.watch(ended.set); ended.wait()"


def test_the_pause_doubles_up_to_a_cap() -> None:
    backoff = Backoff()
    pauses = [backoff.take_pause_s(ran_s=0) for _ in range(8)]
    assert [FIRST_PAUSE_S * 2**n for n in range(5)] == pauses[:5]
    assert {LONGEST_PAUSE_S} == set(pauses[5:])


def test_the_pause_is_short_again_after_a_worker_has_run_well() -> None:
    backoff = Backoff()
    for _ in range(8):
        backoff.take_pause_s(ran_s=WELL_S - 1)
    assert [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S] == [backoff.take_pause_s(ran_s=WELL_S), backoff.take_pause_s(ran_s=0)]


@contextmanager
def run(then: str, *, number: int = 0, cores: list[int] | None = None) -> Iterator[Child]:
    """A child whose program is not a worker."""
    child = Child(number, [sys.executable, "-c", PROGRAM.format(then=then)], cores or [])
    child.start()
    try:
        yield child
    finally:
        if child.is_running:
            child.kill()
            await_end(child)


def await_report(child: Child) -> None:
    assert child.link is not None
    assert select.select([child.link], [], [], 30)[0]
    child.read_reports()


def await_end(child: Child) -> End:
    handle = os.pidfd_open(child.pid)
    assert select.select([handle], [], [], 30)[0]
    os.close(handle)
    end = child.take_end()
    assert end is not None
    assert not child.is_running
    return end


def test_a_child_reports_its_port_and_its_start() -> None:
    with run(f"link.report(port=80 + link.number); link.report(started=True); {WAIT}", number=3) as child:
        while not child.has_started:
            await_report(child)
        assert 83 == child.port
        assert child.ran_s > 0
        assert child.take_end() is None
        child.shut_down()
        child.shut_down()
        assert End(0, "ended with exit code 0", is_done=False) == await_end(child)
        assert child.port is None


@pytest.mark.parametrize(
    ("then", "end"),
    [
        ("link.report(reason='no topic', done=False); sys.exit(2)", End(2, "no topic", is_done=False)),
        ("link.report(reason='the range is done', done=True)", End(0, "the range is done", is_done=True)),
        ("os.kill(os.getpid(), 9)", End(137, "ended by SIGKILL", is_done=False)),
        ("sys.exit(1)", End(1, "ended with exit code 1", is_done=False)),
    ],
)
def test_the_end_of_a_child_has_a_code_and_a_reason(then: str, end: End) -> None:
    with run(then) as child:
        assert end == await_end(child)


def test_a_child_starts_again_with_a_new_link() -> None:
    with run("link.report(reason='first', done=False)") as child:
        assert "first" == await_end(child).reason
        child.start()
        assert 2 == child.starts
        assert "first" == await_end(child).reason


def test_a_child_has_its_cores_and_the_supervisor_keeps_all() -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    with run(f"sys.exit(os.sched_getaffinity(0) == {{{core}}})", cores=[core]) as child:
        assert before == os.sched_getaffinity(0)
        assert 1 == await_end(child).code


SUPERVISOR = f"""
import select, sys
from emotag_worker.supervisor.child import Child
program = {PROGRAM.format(then="link.report(port=1); " + WAIT)!r}
children = [Child(number, [sys.executable, "-c", program], []) for number in range(2)]
for child in children:
    child.start()
    select.select([child.link], [], [])  # the report stays unread
print(*(child.pid for child in children), flush=True)
sys.stdin.read()
"""


def test_children_notice_that_their_supervisor_was_killed() -> None:
    """Each of them, although the second started while the first one's link was open, and nobody read their reports."""
    reading, writing = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", SUPERVISOR],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)],
    )
    os.close(writing)
    with os.fdopen(reading) as lines:
        handles = [os.pidfd_open(int(each)) for each in lines.readline().split()]
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for handle in handles:
            assert select.select([handle], [], [], 30)[0]
            os.close(handle)
    assert 2 == len(handles)


def test_a_program_that_cannot_start_is_an_error() -> None:
    child = Child(0, ["/no/such/program"], [])
    with pytest.raises(OSError, match="No such file"):
        child.start()
    assert not child.is_running
    assert child.link is None


def test_without_an_argument_there_is_no_link() -> None:
    assert Link.open(None) is None


def test_a_report_to_a_supervisor_that_is_gone_is_dropped() -> None:
    ours, theirs = socket.socketpair()
    link = Link(f"4:{theirs.detach()}")
    ours.close()
    closed = threading.Event()
    link.watch(closed.set)
    assert closed.wait(30)
    link.report(port=1)
    assert 4 == link.number
    link._socket.close()


@pytest.mark.parametrize("kafka", [{"identity": "worker"}, {"properties": {"group.instance.id": "worker"}}])
def test_each_process_has_an_identity_of_its_own(kafka: dict[str, object]) -> None:
    """Otherwise they would fence one another again and again."""
    settings = Settings.model_validate({"kafka": kafka})
    identities = [find_identity(adapt(settings, number)) for number in range(2)]
    assert ["worker-0", "worker-1"] == identities
    assert "emotag-worker-1" == make_transactional_id(adapt(settings, 1))


def test_without_an_identity_processes_have_none_either() -> None:
    assert find_identity(adapt(Settings(), 1)) is None


def test_a_process_has_a_free_port_on_loopback() -> None:
    admin = adapt(Settings.model_validate({"admin": {"host": "*", "port": 8080}}), 0).admin
    assert ("127.0.0.1", 0) == (admin.host, admin.port)
