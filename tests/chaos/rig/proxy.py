"""A TCP proxy on loopback that can harm connections like a network."""

import contextlib
import socket
import threading
import time
from typing import Self

CHUNK = 65_536


class Proxy:
    """Forwards connections from a new port to another port.

    Attributes:
        port: for clients.
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
        """Make connections half-open: they stay, new ones are accepted, and no bytes come through."""
        self._flowing.clear()

    def slow(self, delay_s: float) -> None:
        """Delay each chunk by this time from now on."""
        self._delay_s = delay_s

    def heal(self) -> None:
        """Forward again as at the start; held bytes come through."""
        self._delay_s = 0.0
        self._flowing.set()

    def close(self) -> None:
        """Close the port and all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # otherwise accept() would wait forever
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
