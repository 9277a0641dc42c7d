"""A worker whose store fails it, or does not answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import pytest
from http_peer import serving
from outbox_kit import drafts, published
from virtual_time import HeldClock, in_virtual_time

from leadconnector_async import LeadConnector
from leadconnector_async.errors import OutboxBusyError, OutboxError, OutboxWriteError
from leadconnector_async.outbox.durable import Share
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from http_peer import Peer


class Shared(MemoryOutbox):
    """A store with nothing in it, whose first answers fail as they are told to."""

    def __init__(self, error: Exception | None = None, *, silent: bool = False) -> None:
        super().__init__()
        self._error = error
        self._silent = silent
        self._cut = asyncio.Event()

    async def join(self, lease_s: float, told: object) -> None:
        """Join nobody."""

    async def share(self, own: object) -> Share:  # noqa: ARG002 - it has none of its own
        """Fail, or never answer, or own nothing."""
        if self._error is not None:
            raise self._error
        if self._silent:
            await self._cut.wait()
            raise OutboxWriteError("cut off")
        return Share([], [], 1)

    async def hand_over(self) -> None:
        """Nothing is owned."""

    async def adopt(self) -> None:
        """Never answer, or have nothing to take in."""
        if self._silent:
            await self._cut.wait()

    async def unsent(self) -> dict[str, int]:
        """Nothing is left."""
        return {}

    def cut_off(self) -> None:
        """See `PostgresOutbox.cut_off`."""
        self._cut.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class Muted(Shared):
    """A store that answers nothing any more once it has told what is owned."""

    async def share(self, own: object) -> Share:  # noqa: ARG002 - the same
        """Own one location, and say no more."""
        if self._silent:
            await asyncio.Event().wait()
        self._silent = True
        return Share(["l1"], [], 1)


def worked(
    opening: Callable[[int], Awaitable[Shared]],
    *,
    stop_after: float | None = None,
    losses: list[str] | None = None,
) -> int:
    """Let a worker drain; return how many times it opened its store.

    ``losses`` takes what it says of the last one whenever it opens the next, and at the end.
    """
    opened, seen = 0, [] if losses is None else losses

    async def scenario() -> None:
        async def open_next() -> Shared:
            nonlocal opened
            opened += 1
            seen.append(str(worker.lost))
            return await opening(opened)

        async with LeadConnector("token", base_url="http://127.0.0.1:1") as api:
            worker = Worker(
                api.session,
                open_next,  # type: ignore[arg-type] # as much of a store as is asked for here
                lease_s=0.1,
                left=lambda outbox: outbox.unsent(),
            )
            if stop_after is not None:
                asyncio.get_running_loop().call_later(stop_after, worker.stop)
            await asyncio.wait_for(worker.run(), 5)
        seen.append(str(worker.lost))

    in_virtual_time(scenario())
    return opened


def test_a_store_that_does_not_answer_is_cut_off() -> None:
    """Nobody else would end the wait: a network that swallows all tells nothing."""

    async def opening(number: int) -> Shared:
        return Shared(silent=number == 1)

    assert worked(opening) == 2


def test_a_server_that_is_full_for_a_while_is_tried_again() -> None:
    """All come back at once after a restart. Why it waits can be told meanwhile."""

    async def opening(number: int) -> Shared:
        if number == 2:
            raise OutboxBusyError("the server takes no more connections")
        return Shared(OutboxWriteError("lost") if number == 1 else None)

    losses: list[str] = []
    assert worked(opening, losses=losses) == 3
    assert losses == ["None", "lost", "the server takes no more connections", "None"]


def test_a_fault_of_the_program_ends_the_worker() -> None:
    """It would be the same in each tenure."""

    async def opening(_: int) -> Shared:
        return Shared(OutboxError("the server does not understand a statement"))

    with pytest.raises(OutboxError, match="understand"):
        worked(opening)


def test_a_worker_that_waits_for_its_server_can_be_stopped() -> None:
    """However long connecting may take."""

    async def opening(number: int) -> Shared:
        await asyncio.sleep(60 * number)
        return Shared()

    assert worked(opening, stop_after=0.05) == 1


def test_an_outbox_that_opens_as_its_worker_is_cancelled_is_closed() -> None:
    """In the very step in which it is there, nobody else has it: a connection stayed open."""

    class Opened(Shared):
        is_closed = False

        async def close(self) -> None:
            self.is_closed = True

    async def scenario() -> None:
        store, may_open = Opened(), asyncio.Event()

        async def opening() -> Opened:
            await may_open.wait()
            asyncio.get_running_loop().call_soon(running.cancel)
            return store

        async with LeadConnector("token", base_url="http://127.0.0.1:1") as api:
            worker = Worker(api.session, opening)  # type: ignore[arg-type] # as above
            running = asyncio.create_task(worker.run())
            await asyncio.sleep(0)
            may_open.set()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert worker.tenures == 0
        assert store.is_closed

    asyncio.run(scenario())


def test_requests_end_with_the_lease() -> None:
    """A store that is silent has given the locations to others: nothing may arrive later on."""
    loop = HeldClock()

    async def unanswered(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    async def main() -> None:
        store = Muted()
        await published(store, drafts(1))

        async def opening() -> Muted:
            return store

        async with (
            serving(unanswered) as server,
            LeadConnector("token", base_url=server.url) as api,
        ):
            worker = Worker(api.session, opening, lease_s=0.1)  # type: ignore[arg-type]
            running = asyncio.create_task(worker.run())
            await server.until(lambda: len(server.requests) == 1)
            loop.now += 0.1
            await server.until(lambda: server.ended == 1)
            worker.stop()
            while not running.done():
                loop.now += 0.1
                await asyncio.sleep(0)
            await running
            assert len(server.requests) == 1

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


def test_a_worker_that_stops_looks_no_more() -> None:
    """A look that outlives its cancellation keeps the store until that is cut off: seconds."""

    async def opening() -> Shared:
        return Shared()

    async def cancelled_after(steps: int) -> int:
        async with LeadConnector("token", base_url="http://127.0.0.1:1") as api:
            worker = Worker(api.session, opening)  # type: ignore[arg-type] # as above
            looking = asyncio.create_task(worker._look(Shared()))  # type: ignore[arg-type]
            await asyncio.sleep(0.1)
            worker.stop()
            for _ in range(steps):
                await asyncio.sleep(0)
            cancelled = 0
            while not looking.done():
                cancelled += looking.cancel()
                for _ in range(7 + cancelled):
                    await asyncio.sleep(0)
            return cancelled

    for steps in range(8):
        assert in_virtual_time(cancelled_after(steps)) <= 1
