"""The thread that owns the store: whatever is asked of it meanwhile goes into its next commit."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Generic, Protocol, TypeVar

from msgspec import Struct

from leadconnector_async.errors import OutboxError
from leadconnector_async.outbox.call_batcher import tell
from leadconnector_async.outbox.sqlite.connection import DAMAGE, explained, is_final


class Resource(Protocol):
    """What the thread owns."""

    connection: sqlite3.Connection

    def reload(self) -> None:
        """Read again whatever is kept in memory: a job was rolled back."""

    def close(self) -> None:
        """Let go of everything."""


K = TypeVar("K", bound=Resource)

T = TypeVar("T")

GIVEN_UP_S: Final = 15.0
"""Seconds that the end of an opening, or a closing, is waited for which nobody wants any more: so
long it owns the file, which is to be opened again."""


class _Job(Struct, Generic[K], eq=False):
    work: Callable[[K], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class Writer(Generic[K]):
    """Runs jobs in one thread, each group of them in one transaction.

    A job that fails is undone alone. When the store fails, every job from then on fails.
    """

    def __init__(self, path: str, open_: Callable[[], K]) -> None:
        self._path = path
        self._open = open_
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._jobs: SimpleQueue[_Job[K] | None] = SimpleQueue()
        self.stopped: bool = False
        """Whether no more jobs are taken."""
        # A daemon, so that an outbox that no one closed does not keep the program from ending.
        self._thread = Thread(target=self._main, name=f"outbox {path}", daemon=True)

    async def start(self) -> None:
        """Open the store.

        Raises:
            OutboxError: it cannot be used.
        """
        self._thread.start()
        try:
            await asyncio.shield(self._opened)
        except BaseException:
            self._opened.add_done_callback(lambda opened: opened.exception())
            self.stop()
            await asyncio.wait([self._closed], timeout=GIVEN_UP_S)
            raise

    async def run(self, work: Callable[[K], T]) -> T:
        """Give a job to the thread; return its result once it is durable.

        The job is done even if its waiter is cancelled.
        """
        if self.stopped:
            raise OutboxError(f"{self._path} is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, future))
        return await future

    def stop(self) -> None:
        """Take no more jobs. The thread ends after those it has."""
        if not self.stopped:
            self.stopped = True
            self._jobs.put(None)

    async def close(self) -> None:
        """Stop, and wait for the end of the thread, even if this is cancelled."""
        self.stop()
        try:
            await asyncio.shield(self._closed)
        except asyncio.CancelledError:
            await asyncio.wait([self._closed], timeout=GIVEN_UP_S)
            raise
        self._thread.join()

    # From here on: in the thread.

    def _main(self) -> None:
        try:
            resource = self._open()
        except Exception as error:  # noqa: BLE001 - raised where the opening is awaited
            self._tell(tell, self._opened, error)
        else:
            self._tell(tell, self._opened, None)
            try:
                self._serve(resource)
            finally:
                resource.close()
        self._tell(tell, self._closed, None)

    def _serve(self, resource: K) -> None:
        failure: Exception | None = None
        is_last = False
        while not is_last:
            group, is_last = self._next_group()
            if failure is None:
                failure = _commit(resource, group)
            for job in group:
                error = failure or job.error
                if error is not None and (failure is not None or isinstance(error, DAMAGE)):
                    job.error = explained(self._path, error)
                    job.error.__cause__ = error
            self._tell(_end_all, group)

    def _next_group(self) -> tuple[list[_Job[K]], bool]:
        group: list[_Job[K]] = []
        job = self._jobs.get()
        with suppress(Empty):
            while job is not None:
                group.append(job)
                job = self._jobs.get_nowait()
            return group, True
        return group, False

    def _tell(self, call: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, and no one waits any more
            self._loop.call_soon_threadsafe(call, *args)


def _commit(resource: K, group: Sequence[_Job[K]]) -> Exception | None:
    """Run a group in one transaction. Returns what has made the store unusable, if anything."""
    if not group:
        return None
    execute = resource.connection.execute
    try:
        execute("BEGIN IMMEDIATE")
        for job in group:
            _run(resource, job, alone=job is group[0])
        execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - given to everyone who waits, now and later
        with suppress(sqlite3.Error):
            execute("ROLLBACK")
        return error
    return None


def _run(resource: K, job: _Job[K], *, alone: bool) -> None:
    """Run a job so that it can be undone: ``alone`` with its transaction, which holds nothing else.

    Else up to a savepoint, for which SQLite copies each page that is changed after it.
    """
    execute = resource.connection.execute
    if not alone:
        execute("SAVEPOINT job")
    try:
        job.result = job.work(resource)
    except Exception as error:
        if is_final(error):
            raise
        job.error = error
        if alone:
            execute("ROLLBACK")
            execute("BEGIN IMMEDIATE")
        else:
            execute("ROLLBACK TO job")
        resource.reload()
    if not alone:
        execute("RELEASE job")


def _end_all(group: list[_Job[Any]]) -> None:
    for job in group:
        tell(job.future, job.result if job.error is None else job.error)
