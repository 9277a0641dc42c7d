"""The server of the benchmarks, and its own ceiling: how much more it answers than anyone asks.

``python -m benchmarks.server`` measures the ceiling with wrk where it is installed, else with a
hand-written ``asyncio.Protocol``, both on the client's core.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from benchmarks import machine
from benchmarks.contest import Contestant, report, run
from benchmarks.server_app import INBOUND, LIMIT_VARIABLE, REFUSER_VARIABLE, Stats

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S: Final = 10.0
WRK_SECONDS: Final = 5
WRK_CONNECTIONS: Final = 64
WRK_SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer benchmark"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Version"] = "2021-04-15"
wrk.body = string.rep("x", 440)
"""


class BenchmarkServer(Struct, frozen=True):
    """A server that runs."""

    base_url: str

    def stats(self) -> Stats:
        """What it has seen since it started."""
        with urllib.request.urlopen(f"{self.base_url}/stats", timeout=START_S) as answer:  # noqa: S310 - loopback
            return msgspec.json.decode(answer.read(), type=Stats)


@contextmanager
def running(*, limit: int | None = None, refuses: str | None = None) -> Iterator[BenchmarkServer]:
    """Run a server in its own process.

    ``limit`` is how many requests each token may send in ten seconds; None for no limit.
    ``refuses`` is a token that is always answered 429.
    """
    port = _free_port()
    environment = {**os.environ, LIMIT_VARIABLE: str(limit or 0), REFUSER_VARIABLE: refuses or "-"}
    command = [sys.executable, "-m", "benchmarks.server_app", str(port)]
    process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own module
    try:
        server = BenchmarkServer(f"http://127.0.0.1:{port}")
        _await_start(server)
        yield server
    finally:
        process.terminate()
        process.wait(START_S)


def ceiling(server: BenchmarkServer) -> dict[str, object]:
    """The most requests per second that the server answers to one client core."""
    wrk = shutil.which("wrk")
    if wrk is None:
        lap = run(
            Contestant("peers.protocol", messages=200_000, in_flight=64),
            server.base_url,
            uvloop=False,
        )
        return {"client": "asyncio.Protocol", "requests_per_s": round(lap.rate)}
    with TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        script.write_text(WRK_SCRIPT)
        load = [f"-c{WRK_CONNECTIONS}", f"-d{WRK_SECONDS}", "-t1", "-s", str(script)]
        command = [wrk, *load, server.base_url + INBOUND]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - found by name
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None or "Non-2xx" in output:
        raise RuntimeError(f"wrk measured nothing:\n{output}")
    return {"client": "wrk", "requests_per_s": round(float(found[1]))}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_start(server: BenchmarkServer) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            server.stats()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def main() -> None:
    """Measure the ceiling and print it."""
    machine.pin(machine.CLIENT_CORE)
    with running() as server:
        report("server", ceiling=ceiling(server))


if __name__ == "__main__":
    main()
