"""The servers of the benchmarks, and their own ceiling: how much more they answer than anyone asks.

- granian runs `benchmarks.server_app`, which counts by location, enforces limits and waits.
- nginx gives one static answer, for an eighth of the CPU: so the client alone is measured.

Both run on the server's core, on loopback, over TLS 1.3 where that is wanted.
``python -m benchmarks.server`` measures the ceiling by a hand-written ``asyncio.Protocol`` on the
client's core.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal, get_args
from unittest.mock import patch

import msgspec
from msgspec import Struct

from benchmarks import machine
from benchmarks.contest import Job, report, run
from benchmarks.server_app import (
    DELAY_VARIABLE,
    INBOUND,
    LIMIT_VARIABLE,
    REFUSER_VARIABLE,
    UNREACHED,
    Stats,
    rate_headers,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

Kind = Literal["granian", "nginx"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
START_S: Final = 10.0
NGINX_CONFIGURATION: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_buffer_size 128k;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}{tls};
    default_type application/json;
    {headers}
    location = /stats {{ stub_status; }}
    location = {inbound} {{ return 201 '{{"success":true,"conversationId":"pHFjtqTbAHhXDHYTJyPW",\
"messageId":"t22c6DQcTDf3MjRhwf77","message":"Message added","contactId":"ocQHyuzHvysMo5N5VsXc",\
"dateAdded":"2024-02-29T12:00:00.000Z"}}'; }}
  }}
}}
"""
NGINX_TLS: Final = """ ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate}"""


class Conditions(Struct, frozen=True, kw_only=True):
    """Which server, and how it is reached.

    ``limit`` is how many requests each token may send in ten seconds; None for no limit.
    ``refuses`` is a token that is always answered 429. ``delay`` is how many seconds an answer
    takes. nginx knows none of the three.
    """

    server: Kind = "granian"
    tls: bool = False
    limit: int | None = None
    refuses: str | None = None
    delay: float = 0.0


class BenchmarkServer:
    """A server that runs."""

    def __init__(self, base_url: str, kind: Kind) -> None:
        self.base_url = base_url
        self._kind = kind
        self._asked = 0

    def stats(self) -> Stats:
        """What it has seen since it started."""
        trusted = None
        if self.base_url.startswith("https"):
            trusted = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        address = f"{self.base_url}/stats"
        with urllib.request.urlopen(address, timeout=START_S, context=trusted) as answer:  # noqa: S310 - loopback
            told: bytes = answer.read()
        self._asked += 1
        if self._kind == "granian":
            return msgspec.json.decode(told, type=Stats)
        accepted, _, requests = map(int, told.splitlines()[2].split())
        return Stats(stored=requests - self._asked, connections=accepted - self._asked)


@contextmanager
def running(wanted: Conditions = Conditions()) -> Iterator[BenchmarkServer]:  # noqa: B008 - frozen
    """Run a server in its own process. While it runs, over TLS, ``SSL_CERT_FILE`` has trust in it.

    Raises:
        SystemExit: nginx is not installed.
    """
    port = _free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        certificate = None
        if wanted.tls:
            certificate, authority = _certificate(folder)
            stack.enter_context(patch.dict(os.environ, SSL_CERT_FILE=str(authority)))
        start = _start_nginx if wanted.server == "nginx" else _start_granian
        process = start(wanted, port, folder, certificate)
        stack.callback(process.wait, START_S)
        stack.callback(process.terminate)
        scheme = "https" if wanted.tls else "http"
        server = BenchmarkServer(f"{scheme}://127.0.0.1:{port}", wanted.server)
        _await_start(server, process)
        yield server


def _start_granian(
    wanted: Conditions, port: int, _folder: Path, certificate: Path | None
) -> subprocess.Popen[bytes]:
    environment = {
        LIMIT_VARIABLE: str(wanted.limit or 0),
        REFUSER_VARIABLE: wanted.refuses or "-",
        DELAY_VARIABLE: str(wanted.delay),
    }
    command = [sys.executable, "-m", "benchmarks.server_app", str(port)]
    command += [str(certificate)] if certificate else []
    return subprocess.Popen(command, env=os.environ | environment)  # noqa: S603 - our own module


def _start_nginx(
    wanted: Conditions, port: int, folder: Path, certificate: Path | None
) -> subprocess.Popen[bytes]:
    assert wanted == Conditions(server="nginx", tls=wanted.tls)
    program = nginx()
    if program is None:
        raise SystemExit("nginx is not installed: install it, or measure with --server granian")
    headers = rate_headers(UNREACHED, UNREACHED)[1:]
    configuration = NGINX_CONFIGURATION.format(
        folder=folder,
        port=port,
        inbound=INBOUND,
        headers=" ".join(f"add_header {name} {value};" for name, value in headers),
        tls=NGINX_TLS.format(certificate=certificate) if certificate else "",
    )
    (folder / "nginx.conf").write_text(configuration)
    command = [program, "-p", str(folder), "-c", "nginx.conf"]
    process = subprocess.Popen(command)  # noqa: S603 - found by name
    machine.pin(machine.SERVER_CORE, process.pid)
    return process


def nginx() -> str | None:
    """Where nginx is, which on many systems is not on everyone's path; None: not installed."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def usual() -> Kind:
    """The server that leaves the client most of the time, where it is installed."""
    return "nginx" if nginx() else "granian"


def add_server_option(parser: argparse.ArgumentParser) -> None:
    """Take ``--server``."""
    parser.add_argument(
        "--server", choices=KINDS, help="by default nginx, or granian where nginx is not installed"
    )


def ceiling(server: BenchmarkServer) -> int:
    """The most requests per second that the server answers to one client core."""
    return round(run("protocol", Job(server.base_url, messages=100_000, in_flight=64)).rate)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """One file with a certificate for loopback and its key, and one with its authority."""
    import trustme  # noqa: PLC0415 - only TLS needs it

    authority = trustme.CA()
    own, trusted = folder / "own.pem", folder / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(own))
    authority.cert_pem.write_to_path(str(trusted))
    return own, trusted


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_start(server: BenchmarkServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            server.stats()
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.05)
        else:
            return


def main() -> None:
    """Measure the ceilings, and print one JSON object."""
    machine.pin(machine.CLIENT_CORE)
    found = {}
    for kind in KINDS if nginx() else KINDS[:1]:
        for tls in (False, True):
            with running(Conditions(server=kind, tls=tls)) as server:
                found[f"{kind}{' over TLS' * tls}"] = ceiling(server)
    report("server", requests_per_s=found)


if __name__ == "__main__":
    main()
