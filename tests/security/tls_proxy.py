"""TLS for a server that was built without it, such as the Valkey from pip."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator

from .certificates import Certificate


@contextlib.contextmanager
def tls_in_front_of(port: int, certificate: Certificate) -> Iterator[int]:
    """Open a port on loopback that accepts TLS and forwards to a port without it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        ways = ((reader, behind_writer), (behind_reader, writer))
        with contextlib.suppress(OSError):
            await asyncio.wait(
                [asyncio.ensure_future(_pass(*way)) for way in ways], return_when=asyncio.FIRST_COMPLETED
            )
        for end in (writer, behind_writer):
            end.transport.abort()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # some tests make handshakes fail
    server = loop.run_until_complete(asyncio.start_server(converse, "127.0.0.1", 0, ssl=context))
    stop = asyncio.Event()

    async def serve() -> None:
        await stop.wait()
        server.close()
        conversations = asyncio.all_tasks() - {asyncio.current_task()}
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="tls")
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while read := await reader.read(64 * 1024):
            writer.write(read)
            await writer.drain()
