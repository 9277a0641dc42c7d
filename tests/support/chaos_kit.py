"""Workers over one database, and all that may become of them, of its connections and its clocks."""

from __future__ import annotations

import asyncio
import mmap
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from itertools import count
from random import Random
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from outbox_kit import ENVIRONMENT
from postgres_kit import cut_off
from worker_harness import LEASE_S, stage

from leadconnector_async.errors import OutboxError
from leadconnector_async.outbox.postgres.connection import connect
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.place import read_place

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from postgres_server import RestartableServer

    from leadconnector_async.sandbox import SandboxThread

WORKERS: Final = 4

LOCATIONS: Final = 40

EACH: Final = 30
"""Records that each location gets at once, whenever most of the others are sent."""

MOST: Final = 200
"""Records that are sent between two faults, at most."""

SILENCE_S: Final = 2.0
"""Seconds in which nothing may be sent, since all are stopped, say: then the next fault comes."""

PATIENCE_S: Final = 300.0

TIMEOUT_S, LOOK_AFTER_S = 2.0, 2.0

PAST_ALL_S: Final = LEASE_S + TIMEOUT_S + LOOK_AFTER_S + 1
"""Longer than every deadline: others have sent on, and have looked for what was in doubt."""

OWN_CLOCK: Final = """
import mmap, os, struct, sys, time
shared = mmap.mmap(os.open(sys.argv.pop(1), os.O_RDWR), 8)
ahead = struct.Struct("d")
real_time, real_time_ns = time.time, time.time_ns
time.time = lambda: real_time() + ahead.unpack_from(shared)[0]
time.time_ns = lambda: real_time_ns() + int(ahead.unpack_from(shared)[0] * 1e9)
from leadconnector_async.cli import main
sys.exit(main())
"""
"""The command on a machine of its own, whose clock people set."""

NEWER: Final = """
import sys
from leadconnector_async.outbox.postgres import schema
schema.FORMAT += 2
from leadconnector_async.cli import main
sys.exit(main())
"""
"""The command of a later version, whose tables have more."""

_ONE: Final = """SELECT pid FROM pg_stat_activity
    WHERE application_name LIKE 'leadconnector %' AND pid <> pg_backend_pid()
    ORDER BY random() LIMIT 1"""


class Machine:
    """A worker's process, its clock, and what it says."""

    def __init__(self, words: list[str], token: str, folder: Path, number: int) -> None:
        clock, self.log = folder / f"clock{number}", folder / f"log{number}"
        clock.write_bytes(bytes(8))
        with clock.open("r+b") as file:
            self._clock = mmap.mmap(file.fileno(), 8)
        command = [sys.executable, "-c", OWN_CLOCK, str(clock), *words]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=ENVIRONMENT | {"LEADCONNECTOR_TOKEN": token}, stderr=log, stdout=log
            )

    def set_clock(self, ahead: float) -> None:
        """Let it jump."""
        struct.pack_into("d", self._clock, 0, ahead)

    def pause(self, seconds: float) -> None:
        """Stop it in the middle of whatever it does, and let it go on."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def starve(self, seconds: float) -> None:
        """Leave it a tenth of its time."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.pause(0.09)
            time.sleep(0.01)


class ChaosRun:
    """Workers that are replaced when they end, as a supervisor does, and what happens to them."""

    def __init__(
        self, sandbox: SandboxThread, server: RestartableServer, url: str, folder: Path, seed: int
    ) -> None:
        self._sandbox = sandbox
        self._server = server
        self._url = url
        self._folder = folder
        self._random = Random(seed)
        self._numbers = count()
        self._machines: list[Machine] = []
        self._later: list[Thread] = []
        self._size = WORKERS
        self.logs: list[Path] = []
        self.staged = 0
        self.happened: list[str] = []

    @property
    def kinds(self) -> dict[str, Callable[[], object]]:
        """What may happen, by name."""
        return {
            "kill": self._kill,
            "pause": lambda: self._begin(self._any().pause, PAST_ALL_S),
            "starve": lambda: self._begin(self._any().starve, LEASE_S + 1),
            "cut one": lambda: self._do(self._cut_one),
            "cut all": lambda: self._do(lambda: cut_off(self._url)),
            "restart": self._server.restart,
            "join": lambda: self._resize(1),
            "leave": lambda: self._resize(-1),
            "upgrade": lambda: self._do(self._upgrade),
            "clock": lambda: self._any().set_clock(self._random.choice([-7200, -5, 5, 7200])),
        }

    def suffer(self, number: int) -> None:
        """Let so many things happen, each at least once, while there is work."""
        kinds = list(self.kinds)
        chosen = self._random.sample(kinds, len(kinds))
        chosen += self._random.choices(kinds, k=number - len(kinds))
        for name in chosen[:number]:
            self.keep()
            self.feed()
            self._wait_for_some()
            self.kinds[name]()
            self.happened.append(name)
        for thread in self._later:
            thread.join()

    def _wait_for_some(self) -> None:
        """Let something be sent: how fast that goes depends on the machine."""
        wanted = len(self._sandbox.messages) + self._random.randrange(1, MOST)
        ends = time.monotonic() + (SILENCE_S if self.happened else PATIENCE_S)
        while len(self._sandbox.messages) < wanted and time.monotonic() < ends:
            time.sleep(0.02)

    def keep(self) -> None:
        """Replace the workers that have ended: those that found no database at their beginning."""
        self._machines = [of for of in self._machines if of.process.poll() is None]
        while len(self._machines) < self._size:
            words = [
                *("worker", "--outbox", self._url, "--lease", str(LEASE_S), "--verbose"),
                *("--base-url", self._sandbox.url, "--quota", "off", "--concurrency", "8"),
                *("--timeout", str(TIMEOUT_S), "--look-after", str(LOOK_AFTER_S)),
            ]
            number = next(self._numbers)
            machine = Machine(words, self._sandbox.token, self._folder, number)
            self._machines.append(machine)
            self.logs.append(machine.log)

    def feed(self) -> None:
        """Stage more, unless there is enough to do."""
        if self.staged * LOCATIONS - len(self._sandbox.messages) < LOCATIONS * EACH // 2:
            self._do(lambda: stage(self._url, LOCATIONS, EACH, self.staged))
            self.staged += EACH

    def finish(self) -> None:
        """Wait until all is sent and settled, and end the workers."""
        ends = time.monotonic() + PATIENCE_S
        while left := self._do(self._unsent):
            assert time.monotonic() < ends, f"{left} are left"
            self.keep()
            time.sleep(0.5)
        self._size = 0
        for machine in self._machines:
            machine.process.terminate()
        for machine in self._machines:
            assert machine.process.wait(PATIENCE_S) == 0

    def end(self) -> None:
        """Leave nobody behind, the stopped ones neither."""
        for machine in self._machines:
            machine.process.kill()
            machine.process.wait()

    def _any(self) -> Machine:
        return self._random.choice(self._machines)

    def _kill(self) -> None:
        machine = self._any()
        machine.process.kill()
        machine.process.wait()

    def _resize(self, by: int) -> None:
        self._size = min(max(self._size + by, WORKERS - 1), WORKERS + 2)
        if by < 0:
            machine = self._any()
            machine.process.terminate()
            self._machines.remove(machine)
            self._begin(machine.process.wait, PATIENCE_S)

    def _begin(self, work: Callable[[float], object], seconds: float) -> None:
        thread = Thread(target=work, args=(seconds,))
        thread.start()
        self._later.append(thread)

    def _do(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:  # noqa: ANN401 - its result
        """Do something with the database, again where that is cut off too."""
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            with suppress(OutboxError):
                return asyncio.run(work())
            time.sleep(0.2)
        raise AssertionError("the database did not come back")

    async def _unsent(self) -> dict[str, int]:
        async with await PostgresOutbox.open(self._url) as outbox:
            return await outbox.unsent()

    async def let_a_newer_version_in(self) -> None:
        """Let the tables be those of a later version that this one may work beside."""
        connection = await connect(read_place(self._url), {})
        try:
            await connection.execute("UPDATE outbox_format SET format = format + 1")
        finally:
            connection.terminate()

    async def _upgrade(self) -> None:
        """Try to bring the tables to a format that these workers do not know."""
        command = [sys.executable, "-c", NEWER, "outbox", "upgrade", self._url]
        async with await PostgresOutbox.open(self._url):  # so that somebody surely is there
            done = await asyncio.to_thread(
                subprocess.run, command, env=ENVIRONMENT, capture_output=True, check=False
            )
        assert done.returncode == 1
        assert b"end workers" in done.stderr

    async def _cut_one(self) -> None:
        connection = await connect(read_place(self._url), {})
        try:
            pid = await connection.fetchval(_ONE)
            await connection.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        finally:
            connection.terminate()
