"""An outbox that several processes send from: each owns some of the locations, and hands them over.

A location is owned by one process at a time. Which ones a process owns changes as others join and
leave; what it owned when it was cut off or stopped is another's after the lease's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from leadconnector_async.outbox.durable import DurableOutbox

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from leadconnector_async.errors import RefusedError
    from leadconnector_async.outbox.base import Lease, StoppedLocation, StoredOutcome


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
