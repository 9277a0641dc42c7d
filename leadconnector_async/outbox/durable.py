"""An outbox that outlives its process: it takes whole sources in, and can be read.

In a database, several processes send from it. A location is owned by one of them at a time. Which
ones a process owns changes as others join and leave; what it owned when it was cut off or stopped
is another's after the lease's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self, TypeAlias

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.base import Lease, Outbox, Settlement, State, StoppedLocation
from leadconnector_async.outbox.database import Database, fault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence, Set as AbstractSet

    from leadconnector_async.outbox.lookups import ReadMark
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.selection import Selection
    from leadconnector_async.outbox.source_pass import SourcePass

Keys: TypeAlias = "Iterable[tuple[bytes, str]]"
"""Keys of records, each with its location, or "" where it is of any."""

DESTINATION: Final = "destination "
"""The API is kept among the names of sources after this word, as one that has no records."""

_DESTINATIONS: Final = """SELECT substr(name, 13) FROM source
    WHERE substr(name, 1, 12) = 'destination ' AND form = $1"""


async def dedicate(database: Database, destination: str, name: str, *, may_move: bool) -> None:
    """See `DurableOutbox.dedicate`."""
    known = [found for (found,) in await database.fetch(_DESTINATIONS, b"")]
    if not known:
        await database.number("source", name=DESTINATION + destination, form=b"")
    elif may_move and all(place.startswith("http:") for place in (destination, *known)):
        return  # which none but this machine may have: see `check_base_url`
    elif destination not in known:
        wrong = fault("other_destination", name=name, known=known[0], given=destination)
        raise OutboxUnusableError(wrong)


def check_settled(settlements: Sequence[Settlement], held: AbstractSet[int]) -> None:
    """See that each is of one of the records that are ``held``, once, and that none stays so.

    Raises:
        ValueError: one is not.
    """
    seqs = {fate[0].seq for fate in settlements}
    if len(seqs) < len(settlements):
        raise ValueError("a record is settled twice")
    if not seqs <= held:
        raise ValueError("a record is not claimed")
    claimed = State.CLAIMED
    if [fate for fate in settlements if fate[1] is claimed]:
        raise ValueError("a record is not claimed, or is to stay so")


MAX_UNKNOWN: Final = 20_000
"""Unresolved records to take back at once: a location gets all of its own in one list."""


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


class DurableOutbox(Outbox, Protocol):
    """An `Outbox` that outlives its process, and takes whole sources in."""

    place: str
    """Where it is, as its user named it."""

    async def dedicate(
        self, destination: str, *, name: str | None = None, may_move: bool = False
    ) -> None:
        """Note which API the outbox is for, the first time; see that it is the same ever after.

        What is sent to a sandbox is not sent to the API. ``name`` is what its user calls it.
        ``may_move``: a sandbox may be another one of this machine.

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

    async def finished(self, lease: Lease) -> list[ReadMark]:
        """The lookups that `note_unread` made for lanes that have nothing to send."""

    async def forget_lookups(self, lease: Lease, names: Collection[str]) -> None:
        """Forget lookups of a location. Durable when this returns."""

    async def marking(self) -> list[str]:
        """The locations that have such lookups."""

    async def requeue(self) -> Requeued:
        """Put failed records back: rejected ones to be sent, unresolved ones to be looked for."""

    async def dismiss(self, *, keys: Keys = (), gists: Iterable[str] = ()) -> int:
        """Give up for good what failed: by keys and locations, or by reasons. Returns how many."""

    async def forget_texts(self) -> int:
        """Forget what the records say that are sent, left out or given up. Returns how many.

        Their keys, ids and digests stay, so that they are known when they are read again.
        """

    async def reader(self) -> OutboxReader:
        """Open this same outbox to be read. Whoever asks closes it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


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
