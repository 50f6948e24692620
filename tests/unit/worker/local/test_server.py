"""A server process starts, stops, and never outlives its owner."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from emotag_worker.errors import LocalError, LocalServerFailed
from emotag_worker.local import server
from emotag_worker.local.server import LocalServer, find_free_ports, is_listening, run_server, watch_servers

LISTEN = """
import signal, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    listener.accept()[0].close()
"""


class Listener(LocalServer):
    """A server that accepts connections on a port."""

    name = "listener"

    def __init__(self, folder: Path | None = None, *, program: str = LISTEN, arguments: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self.program, self.arguments = program, arguments
        (self.port,) = find_free_ports(1)

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-c", self.program, str(self.port), *self.arguments]

    def move(self) -> None:
        (self.port,) = find_free_ports(1)

    def is_ready(self) -> bool:
        return is_listening(self.port)


def test_a_server_is_ready_inside_the_block_and_gone_with_its_folder_after() -> None:
    listener = Listener()
    with run_server(listener):
        assert is_listening(listener.port)
        assert listener.log_path.is_file()
    assert not is_listening(listener.port)
    assert not listener.folder.exists()


def test_a_folder_of_the_callers_is_kept(tmp_path: Path) -> None:
    with run_server(Listener(tmp_path / "data")):
        pass
    assert (tmp_path / "data" / "listener.log").is_file()


def test_a_server_restarts_on_the_same_port(tmp_path: Path) -> None:
    listener = Listener(tmp_path)
    with run_server(listener):
        first = listener.pid
        listener.stop()
        assert not is_listening(listener.port)
        listener.start()
        assert first != listener.pid
        assert is_listening(listener.port)


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STOP_S", 0.2)
    listener = Listener(tmp_path, arguments=["stubborn"])
    with run_server(listener):
        listener.stop()
        assert listener._process is not None
        assert -signal.SIGKILL == listener._process.returncode


def test_a_paused_server_can_be_stopped(tmp_path: Path) -> None:
    listener = Listener(tmp_path)
    with run_server(listener):
        listener.pause()
        listener.stop()
        assert not is_listening(listener.port)


def test_an_early_end_is_an_error_with_the_log(tmp_path: Path) -> None:
    failing = Listener(tmp_path, program="import sys; sys.exit('no such file')")
    with pytest.raises(LocalError, match=r"(?s)listener ended with code 1.*no such file"), run_server(failing):
        pass


def test_a_server_that_does_not_respond_in_time_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "START_S", 0.3)
    silent = Listener(tmp_path, program="import time; time.sleep(60)")
    with pytest.raises(LocalError, match=r"listener did not respond within 0\.3 s"), run_server(silent):
        pass
    assert silent._process is not None
    assert -signal.SIGKILL == silent._process.returncode


def test_a_server_that_ends_while_it_is_watched_is_an_error_with_its_name(tmp_path: Path) -> None:
    first, second = Listener(tmp_path / "first"), Listener(tmp_path / "second")
    with run_server(first), run_server(second):
        second.kill()
        second.name = "kafka"
        with pytest.raises(LocalServerFailed, match=r"^kafka ended .* code -9\. .* with: emotag local"):
            watch_servers(first, second)


def test_a_taken_port_is_replaced_by_another(tmp_path: Path) -> None:
    with run_server(Listener(tmp_path / "first")) as _, run_server(second := Listener(tmp_path / "second")):
        taken = second.port
        third = Listener(tmp_path / "third")
        third.port = taken
        third.is_ready = lambda: third.port != taken and is_listening(third.port)  # type: ignore[method-assign]
        with run_server(third):
            assert third.port != taken


def test_the_end_of_the_log_leaves_out_stack_frames(tmp_path: Path) -> None:
    with Listener(tmp_path) as listener:
        assert "" == listener.read_log_tail()
        listener.log_path.write_text("first\nerror\n\tat Class.method\nlast\n", encoding="utf-8")
        assert "error\nlast" == listener.read_log_tail(2)


def test_free_ports_differ_and_are_free() -> None:
    ports = find_free_ports(5)
    assert 5 == len(set(ports))
    assert not any(is_listening(port) for port in ports)


def test_free_ports_are_never_those_of_outgoing_connections() -> None:
    """Otherwise a client's connection could take the port of a server that is about to start, or to restart."""
    limits = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(limits.read_text(encoding="ascii").split()[0]) if limits.is_file() else 32_768
    assert max(find_free_ports(50)) < first
