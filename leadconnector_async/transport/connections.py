"""The connections to the API, which all requests share: when they are opened, and written to."""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.http import HttpProcessingError

from leadconnector_async.errors import FateUnknownError, NotSentError
from leadconnector_async.transport.base import WITHHELD, MaySend, Response, WithheldError
from leadconnector_async.transport.connection_ends import KEEP_ALIVE, not_connected
from leadconnector_async.transport.http1 import AnswerReader

if TYPE_CHECKING:
    from asyncio import Future, Task, TimerHandle
    from collections.abc import Awaitable, Callable

    from aiohttp.connector import Connection


FEW: Final = 64
"""Connections that are opened without further question when requests wait."""
AT_ONCE: Final = 16
"""How many are being opened at the same time, while fewer are open."""
AGAIN_S: Final = 0.25
"""Seconds until another one is tried after one that could not be opened, while others are open."""
SLOWER: Final = 1.3
"""How much longer than at best an exchange may take, that one more connection carries more."""
QUEUED: Final = 0.3
"""The part of an exchange that a turn of the loop may take, that one more carries more: so long
answers that are there wait to be read."""
FADES: Final = 1.05
"""By how much the best is raised each second: other requests take other times."""
FADED: Final = 3_600.0
"""Seconds after which it is raised no more: of some hours the power would be no number."""


class MovedError(Exception):
    """This release of aiohttp has moved what is needed here. Nothing has left."""


class KeptConnection(asyncio.Protocol):
    """One connection, and what comes over it. It tells aiohttp's own protocol of its end alone."""

    def __init__(self, given: Connection, pool: ConnectionPool) -> None:
        transport = given.transport
        if transport is None:
            raise ConnectionResetError("closed as soon as it was there")
        self.transport = transport
        self.idle_since: float = 0.0
        self.began: float = 0.0
        """When the last request was written to it."""
        self.unwritten: bytes | None = None
        """The request that is yet to be written to it."""
        self.due: float = 0.0
        """When the last request has taken too long."""
        self.answer: Future[Response | None] | None = None
        self._may_send: MaySend | None = None
        self._given = given
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self.reader: AnswerReader = AnswerReader()
        self._inner = transport.get_protocol()
        transport.set_protocol(self)
        if getattr(self._inner, "should_close", False):  # it speaks before it is asked
            self.drop()

    def prepare(
        self, request: bytes, may_send: MaySend | None, due: float
    ) -> Future[Response | None]:
        """Take a request, which `write` writes. See `ConnectionPool.ask`."""
        self.unwritten, self._may_send, self.due = request, may_send, due
        self.answer = answer = self._loop.create_future()
        return answer

    def write(self) -> None:
        """Write the request, unless it was given up, or nothing can be written any more."""
        request, answer = self.unwritten, self.answer
        if request is None or answer is None or answer.done():
            return
        if self.transport.is_closing():
            answer.set_result(None)
            self.drop()
            return
        # Nothing is done between this question and the write: whoever is stopped there sends it
        # when he goes on, however long that takes.
        if self._may_send is not None and not self._may_send():
            answer.set_exception(WithheldError(WITHHELD))
            return
        self.unwritten, self.began = None, self._loop.time()
        # The whole at once, and no waiting until it has left: it is in memory anyway, and a refusal
        # that comes before the end of a large body must be read (413).
        self.transport.write(request)

    def drop(self) -> None:
        """Close it at once, even if the other side does not take what was written."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read an answer. What comes unasked is nobody's, and no answer is trusted after it."""
        answer = self.answer
        if answer is None or answer.done() or self.unwritten is not None:
            self.drop()
            return
        try:
            response = self.reader.feed(data)
        except (ValueError, FateUnknownError) as error:
            too_large = isinstance(error, FateUnknownError)
            answer.set_exception(error if too_large else HttpProcessingError())
            self.drop()
            return
        if response is not None:
            self.answer = None
            answer.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits for an answer, unless the answer ends so."""
        self._pool.lost(self)
        answer = self.answer
        if answer is not None and not answer.done():
            response = self.reader.end() if exc is None else None
            if response is not None or self.unwritten is not None:
                answer.set_result(response)
            elif self.reader.is_cut:
                answer.set_exception(aiohttp.ClientPayloadError())
            else:
                answer.set_exception(exc or aiohttp.ServerDisconnectedError())
        self._inner.connection_lost(exc)
        self._given.close()


class ConnectionPool:
    """The connections, shared by all requests: no more of them than carry more.

    A request takes the one that was used last, or the first that is given back or opened. So few
    stay hot, and those that are too many end by themselves. Up to `FEW` are opened while requests
    wait, and further ones as long as answers do not come later for it, and the loop has time.
    """

    def __init__(self, connect: Callable[[], Awaitable[KeptConnection]], most: int) -> None:
        self._connect = connect
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._idle: deque[KeptConnection] = deque()
        self._open: set[KeptConnection] = set()
        self._opening: set[Task[None]] = set()
        self._waiting: deque[tuple[Future[KeptConnection], float]] = deque()
        """With when each has taken too long."""
        self._timer: TimerHandle | None = None
        self._turn_began: float | None = None
        self._unwritten: list[KeptConnection] = []
        self._gathers = self._has_written = False
        self._busy = 0.0
        self._count = self._turns = 0
        self._sum, self._best, self._measured_at = 0.0, inf, self._loop.time()
        self._carries_more = False

    def take(self, now: float) -> KeptConnection | None:
        """Return an idle connection, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if now - connection.idle_since < KEEP_ALIVE:
                return connection
            connection.drop()
        return None

    async def wait(self, due: float) -> KeptConnection:
        """Wait for one. It may have ended before anything is written to it.

        Raises:
            NotSentError: none can be opened, and none is there.
            TimeoutError: there was none when it was ``due``, in the loop's time.
            MovedError: none can be opened with this release of aiohttp.
        """
        waiting: Future[KeptConnection] = self._loop.create_future()
        self._waiting.append((waiting, due))
        self._time(due)
        self._grow()
        try:
            connection = await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._hand_on(waiting.result())
            elif (waiting, due) in self._waiting:
                self._waiting.remove((waiting, due))
            raise
        self._gather()
        return connection

    def ask(
        self, connection: KeptConnection, request: bytes, may_send: MaySend | None, due: float
    ) -> Future[Response | None]:
        """Have a request written: the first in a turn of the loop at once, the others at its end.

        One after the other, with nothing between, they wake the server once. Each that is written
        while it sleeps wakes it anew, which costs more than the write. None is answered where the
        connection ended before, so that another one may carry the request; TimeoutError where it
        is ``due`` before.
        """
        answer = connection.prepare(request, may_send, due)
        if self._timer is None:
            self._time(due)
        if self._gathers and self._has_written:
            self._unwritten.append(connection)
        else:
            self._has_written = True
            connection.write()
        return answer

    def give_back(self, connection: KeptConnection, now: float) -> None:
        """Let others use a connection after an exchange."""
        if len(self._open) - len(self._idle) != 1:  # one alone has none to be written with
            self._measure(now - connection.began, now)
        # Answered before it was read, the rest of a request would precede the next one.
        if connection.reader.last or connection.transport.get_write_buffer_size():
            connection.drop()
        else:
            connection.idle_since = now
            self._hand_on(connection)
        if self._idle and now - self._idle[0].idle_since >= KEEP_ALIVE:
            self._idle.popleft().drop()

    def lost(self, connection: KeptConnection) -> None:
        """Forget a connection that has ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._waiting:
            self._grow()

    def close(self) -> None:
        """End what waits. The connections are the connector's."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._opening:
            task.cancel()
        self._fail(aiohttp.ClientConnectionError())

    def _hand_on(self, connection: KeptConnection) -> None:
        while self._waiting:
            waiting, _ = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return
        self._idle.append(connection)

    def _grow(self) -> None:
        there = len(self._open)
        most = self._most if self._carries_more else min(FEW, self._most)
        at_once = max(AT_ONCE, there if there < FEW else there // 4)
        while len(self._opening) < min(len(self._waiting), at_once, most - there):
            task = self._loop.create_task(self._add())
            self._opening.add(task)
            task.add_done_callback(self._added)

    async def _add(self) -> None:
        try:
            connection = await self._connect()
            if connection.transport.is_closing():
                raise NotSentError("no connection to the API (it speaks before it is asked)")  # noqa: TRY301 - as if it were none
        except (aiohttp.ClientError, OSError, NotSentError) as error:
            if not self._open:
                self._fail(error)
            else:  # they serve those who wait
                await asyncio.sleep(AGAIN_S)
            return
        except Exception as error:  # noqa: BLE001 - whatever comes of calling what has changed
            self._fail(MovedError(f"{type(error).__name__}: {error}"))
            return
        self._open.add(connection)
        connection.idle_since = self._loop.time()
        self._hand_on(connection)

    def _added(self, task: Task[None]) -> None:
        self._opening.discard(task)
        if not task.cancelled():
            self._grow()

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, deque()
        for each, _ in waiting:
            if not each.done():
                told = isinstance(error, MovedError | NotSentError)
                each.set_exception(error if told else not_connected(error))

    def _measure(self, seconds: float, now: float) -> None:
        """Tell, each time that so many were answered, whether more connections would carry more.

        They would not where the loop spends its time on answers that are there.
        """
        self._sum += seconds
        self._count += 1
        if self._turn_began is None:
            self._gather()
            self._turn_began = now
            self._turns += 1
            self._loop.call_soon(self._end_turn)
        if self._count < FEW:
            return
        mean = self._sum / FEW
        self._best = min(mean, self._best * FADES ** min(now - self._measured_at, FADED))
        turn = (self._busy + now - self._turn_began) / self._turns
        self._carries_more = turn < QUEUED * mean < QUEUED * SLOWER * self._best
        self._sum, self._busy, self._measured_at = 0.0, 0.0, now
        self._count, self._turns = 0, 1

    def _gather(self) -> None:
        if not self._gathers:
            self._gathers, self._has_written = True, False
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._gathers = False
        for connection in self._unwritten:
            connection.write()
        self._unwritten.clear()

    def _end_turn(self) -> None:
        if self._turn_began is not None:
            self._busy += self._loop.time() - self._turn_began
            self._turn_began = None

    def _time(self, due: float) -> None:
        """See that `_tick` is called when the first one is due: all have the same limit."""
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        """End what has taken too long. One timer serves all, and none is set for each request."""
        self._timer, now = None, self._loop.time()
        asked = [(one.answer, one.due) for one in self._open if one.answer is not None]
        pending: list[tuple[Future[Any], float]] = [*self._waiting, *asked]
        self._waiting = deque(one for one in self._waiting if one[1] > now)
        later = [due for one, due in pending if due > now and not one.done()]
        for one, due in pending:
            if due <= now and not one.done():
                one.set_exception(TimeoutError())
        if later:
            self._time(min(later))
