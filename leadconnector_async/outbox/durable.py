"""An outbox that outlives its process: it takes whole sources in, and can be read.

In a database, several processes send from it. A location is owned by one of them at a time. Which
ones a process owns changes as others join and leave; what it owned when it was cut off or stopped
is another's after the lease's time.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from leadconnector_async.api.enrichment import LEAVE
from leadconnector_async.errors import ClosedError, OutboxError, OutboxUnusableError
from leadconnector_async.outbox.base import Outbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from leadconnector_async.errors import RefusedError
    from leadconnector_async.outbox.base import Lease, SourcePass, StoppedLocation, StoredOutcome
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.selection import Selection

DESTINATION: Final = "destination "
"""The API is kept among the names of sources after this word, as one that has no records."""


def check_destination(name: str, known: Sequence[str], destination: str) -> None:
    """See that an outbox is for no other API than ``destination``.

    Raises:
        OutboxUnusableError: it is.
    """
    if known and destination not in known:
        raise OutboxUnusableError(
            f"{name} belongs to an import into {known[0]}, not {destination}: what was sent there "
            "would not be sent here. Choose another outbox"
        )


class Requeued(NamedTuple):
    """What became of the failed records."""

    pending: int = 0
    """Were rejected by the API; will be sent again."""
    unknown: int = 0
    """Were unresolved; will be looked for, and sent if they are not there."""
    refused: int = 0
    """Were refused by validation: only a mended record helps. They stay as they are."""
    left: int = 0
    """Unresolved ones beyond what is taken back at once: they stay until the next time."""


class ReadMark(NamedTuple):
    """A conversation whose last message is settled, and the lookup that says what is to be done.

    ``conversation`` is None where nothing is: it was unread before, or nothing was stored in it.
    """

    name: str
    conversation: str | None


def read_mark(name: str, value: str, sent_to: str | None) -> ReadMark:
    """Tell what is to be done; ``sent_to`` is the conversation of what was stored, if anything."""
    return ReadMark(name, None if value == LEAVE or sent_to is None else value or sent_to)


class DurableOutbox(Outbox, Protocol):
    """An `Outbox` that outlives its process, and takes whole sources in."""

    place: str
    """Where it is, as its user named it."""

    async def dedicate(self, destination: str, *, name: str | None = None) -> None:
        """Note which API the outbox is for, the first time; see that it is the same ever after.

        What is sent to a sandbox is not sent to the API. ``name`` is what its user calls it.

        Raises:
            OutboxUnusableError: it is for another one.
        """

    async def source(self, name: str, form: bytes) -> int:
        """Number of a source, for `SourcePass`. The same name and form have the same number."""

    async def end(self, source_pass: SourcePass, prefix: bytes) -> None:
        """Forget faults of a source that was read to its end, whose keys begin with ``prefix``."""

    async def unsent(self) -> dict[str, int]:
        """How many records of each location have no end yet, published or not.

        Those that are left for later are not counted.
        """

    async def select(self, selection: Selection | None) -> None:
        """Leave for later what was read from sources, is published, and is not selected.

        What an earlier selection left is taken in first; None selects all. As long as others might
        send what is not selected, none of them may: they share no location while this is open.

        Raises:
            SelectionError: nothing is known of what is to be selected. All stays as it was.
            OutboxBusyError: another process sends.
        """

    async def stopped(self) -> dict[str, StoppedLocation]:
        """The locations that cannot go on, whoever owns them; none in a file, which has one owner.

        One whose token is refused may go on at once in another process, which has another token.
        """

    async def finished(self, lease: Lease) -> list[ReadMark]:
        """The lookups that `note_unread` made for lanes that have nothing to send."""

    async def forget_lookups(self, lease: Lease, names: Collection[str]) -> None:
        """Forget lookups of a location. Durable when this returns."""

    async def marking(self) -> list[str]:
        """The locations that have such lookups."""

    async def requeue(self) -> Requeued:
        """Put failed records back: rejected ones to be sent, unresolved ones to be looked for."""

    async def dismiss(
        self, *, keys: Iterable[tuple[bytes, str]] = (), gists: Iterable[str] = ()
    ) -> int:
        """Give up for good what failed: by keys and locations, or by reasons. Returns how many."""

    async def forget_texts(self) -> int:
        """Forget what the records say that are sent, left out or given up. Returns how many.

        Their keys, ids and digests stay, so that they are known when they are read again.
        """

    async def reader(self) -> OutboxReader:
        """Open this same outbox to be read. Whoever asks closes it."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


T = TypeVar("T")

_log: Final = logging.getLogger(__name__)

ENDED: Final = "the ingestor was closed"
"""Why a call has no end."""


class Share(NamedTuple):
    """What of the locations is this process's now."""

    locations: Sequence[str]
    """Those that it owns and that have something to send or to look for."""
    surplus: Sequence[str]
    """Those of its leases that another process is to have: let go of them, then `hand_over`."""
    members: int
    """How many processes share them, this one included."""
    stopped: Mapping[str, StoppedLocation] = {}
    """Those that cannot go on, whoever owns them."""


class Unsettled(NamedTuple):
    """How many of some records of a location have no end yet, and how many have a bad one."""

    left: int
    rejected: int
    unresolved: int


class SharedOutbox(DurableOutbox, Protocol):
    """A `DurableOutbox` whose locations several processes share."""

    async def join(self, lease_s: float, told: Callable[[str], None] = ...) -> None:
        """Become one of those that share the locations.

        From then on a lease holds as long as the store has been heard of within ``lease_s``
        seconds: see `Outbox.may_send`. Whoever joined calls `share` several times in that.
        ``told`` is called with a location that has something to send, or "" for any; not surely.
        """

    def owns(self, location: str) -> bool:
        """Whether a location is this process's, and is to stay so, as `share` has told last."""

    async def share(self, own: Collection[str] | None = None) -> Share:
        """Take what is free of a fair share, and tell what this process owns.

        ``own`` are the locations that it may send for; None for all. While others have something to
        send, a process with locations of its own has no share, and takes what is free of those.
        """

    async def hand_over(self) -> None:
        """Let others have the surplus that `share` told, whose leases end here."""

    def give_away(self, location: str) -> None:
        """Count a location as surplus, where there are others: it may go on in one of them.

        This process has it again in a minute, or before that if nobody takes it.
        """

    async def stop(self, lease: Lease, error: RefusedError | None) -> None:
        """Write down why a location cannot go on, for `stopped`; with None, that it does."""

    async def unsettled(self, met: bytes | None) -> dict[str, Unsettled]:
        """How the records stand, by location, that `SourcePass.all_met` tells; None for all."""

    async def adopt(self) -> None:
        """Publish what processes have staged that are gone, and nothing of those that live."""

    async def sender(self) -> SharedOutbox:
        """Open this same outbox once more, to send from. Whoever asks closes it."""

    async def listen(self, ended: Callable[[int], None]) -> None:
        """Have ``ended`` called with each record that is waited for and has an end; not surely."""

    async def ends(self, seqs: Sequence[int]) -> dict[int, tuple[str, StoredOutcome]]:
        """What became of records, whoever settled them, and in which location: those with an end.

        Who submits a record without an end, or asks for it by `await_ends`, is told: see `listen`.
        """

    async def await_ends(self, seqs: Sequence[int]) -> dict[int, str]:
        """Which of these records are to be sent and have no end, and in which location."""

    @property
    def is_lost(self) -> bool:
        """Whether no call can succeed any more: it has to be opened again."""

    def cut_off(self) -> None:
        """End all connections at once: whatever waits for the store fails."""


_AGAIN_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0)
"""Seconds between attempts to go on where the outbox was lost: a server is restarted meanwhile."""


class ReopenedOutbox:
    """A `SharedOutbox` that is opened again where it was lost. ``ended``: see `listen`."""

    def __init__(
        self,
        open_outbox: Callable[[], Awaitable[SharedOutbox]],
        ended: Callable[[int], None],
    ) -> None:
        self._open = open_outbox
        self._ended = ended
        self._reopening = asyncio.Lock()
        self.is_closing = False
        """Whether it is opened no more."""

    async def open(self) -> None:
        """Open it. Raises what ``open_outbox`` does."""
        self._outbox = await self._opened()

    async def durably(self, work: Callable[[SharedOutbox], Awaitable[T]]) -> T:
        """Let the outbox do work that may be done twice, opened again where it was lost.

        Raises:
            OutboxError: it stays lost, or the work is at fault.
        """
        for pause in (*_AGAIN_S, None):
            outbox = self._outbox
            try:
                return await work(outbox)
            except OutboxError as error:
                if self.is_closing:
                    raise ClosedError(ENDED) from error
                if pause is None or not outbox.is_lost:
                    raise
                _log.warning("outbox lost, opened again in %.1f s: %s", pause, error)
            await asyncio.sleep(pause)
            await self._reopen(outbox)
        raise AssertionError

    async def _reopen(self, lost: SharedOutbox) -> None:
        async with self._reopening:
            if self._outbox is lost and not self.is_closing:
                with suppress(OutboxError):  # the next attempt says so
                    spare = await self._opened()
                    if not self.is_closing:  # else nobody would close it
                        self._outbox, spare = spare, lost
                    await spare.close()

    async def _opened(self) -> SharedOutbox:
        outbox = await self._open()
        try:
            await outbox.listen(self._ended)
        except BaseException:
            await outbox.close()
            raise
        return outbox

    async def close(self) -> None:
        """Close it."""
        await self._outbox.close()
