"""A forward proxy on loopback, and TLS before a sandbox, under a name that only the proxy knows."""

from __future__ import annotations

import asyncio
import ssl
import threading
from base64 import b64encode
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from http_peer import Server

    from leadconnector_async.sandbox import Sandbox, SandboxThread

HOST = "services.leadconnector.test"
"""Reached through the proxy alone: no resolver has it."""
API = f"https://{HOST}"
LOGIN = "agency:Grey%20Owl"
"""As a proxy's address has it; the password has a space."""


class Authority:
    """A certificate authority of a company's own, and the server's certificate by it."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(HOST, "127.0.0.1", "localhost").configure_cert(self.server)

    def client(self) -> ssl.SSLContext:
        """A context that trusts it."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    def file(self, folder: Path) -> Path:
        """Its certificate, in PEM."""
        path = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(path)
        return path


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _join(
    port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes = b""
) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    back.write(said)
    await asyncio.gather(_pipe(reader, back), _pipe(there, writer))


class Proxy:
    """A forward proxy. Every name leads to one port of this machine."""

    def __init__(self, target: int, login: str | None) -> None:
        self.target = target
        self.asked: list[str] = []
        """The first lines of all requests."""
        self.seen = b""
        """All that clients sent before the connection was theirs."""
        self._login = b"" if login is None else b64encode(login.encode())
        self.url = ""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        self.seen += head
        self.asked.append(head.split(b"\r\n")[0].decode())
        if self._login and b"Proxy-Authorization: Basic " + self._login not in head:
            writer.write(b"HTTP/1.1 407 Log in\r\nContent-Length: 0\r\n\r\n")
            writer.close()
        elif head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await _join(self.target, reader, writer)
        else:
            await _join(self.target, reader, writer, head)


@asynccontextmanager
async def proxied(
    sandbox: Sandbox | SandboxThread | Server, authority: Authority | None, login: str | None = None
) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy that leads to the sandbox, over TLS if there is an authority; and the TLS address."""
    port = int(sandbox.url.rpartition(":")[2])
    served: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def terminate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[asyncio.current_task()] = writer  # type: ignore[index]  # it runs in a task
        await _join(port, reader, writer)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[asyncio.current_task()] = writer  # type: ignore[index]
        await proxy.accept(reader, writer)

    proxy = Proxy(port, login)
    front = await asyncio.start_server(
        terminate, "127.0.0.1", 0, ssl=authority.server if authority else None
    )
    if authority is not None:
        proxy.target = front.sockets[0].getsockname()[1]
    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield proxy, f"https://127.0.0.1:{proxy.target}"
    finally:
        front.close()
        listener.close()
        for writer in served.values():
            writer.transport.abort()
        await asyncio.gather(*served, return_exceptions=True)


@contextmanager
def proxied_elsewhere(
    sandbox: SandboxThread, authority: Authority, login: str | None = None
) -> Iterator[Proxy]:
    """The same in a thread, for a command in a process of its own or in this one."""
    loop = asyncio.new_event_loop()
    ready, ended = threading.Event(), asyncio.Event()
    found: list[Proxy] = []

    async def serve() -> None:
        async with proxied(sandbox, authority, login) as (proxy, _):
            found.append(proxy)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
