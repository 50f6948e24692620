"""A TCP proxy on loopback that can do to connections what networks do."""

import contextlib
import socket
import threading
import time
from typing import Self

CHUNK = 65_536


class Proxy:
    """Forwards connections to a port, from one of its own.

    Attributes:
        port: where clients connect.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._delay_s = 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection; new ones are accepted."""
        for each in list(self._open):
            self._close(each)

    def hold(self) -> None:
        """Half-open: connections stay, new ones are accepted, and nothing comes through any more."""
        self._flowing.clear()

    def slow(self, delay_s: float) -> None:
        """From now on each piece takes so long."""
        self._delay_s = delay_s

    def heal(self) -> None:
        """As at the beginning; what was held comes through."""
        self._delay_s = 0.0
        self._flowing.set()

    def close(self) -> None:
        """No more of it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or accept() would go on waiting
        self._listener.close()
        self.heal()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if self._delay_s:
                    time.sleep(self._delay_s)  # the fault itself
                self._flowing.wait()
                sink.sendall(data)
        self._close(source)
        self._close(sink)

    def _close(self, each: socket.socket) -> None:
        self._open.discard(each)
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
