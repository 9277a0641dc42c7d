"""What one run did, in numbers; and the outcomes of its records.

Outcomes are made from what the outbox keeps, and handed over to whoever asked for them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from leadconnector_async.errors import FateUnknownError
from leadconnector_async.models import Outcome, Receipt, Refusal, Rejected, Sent, Unresolved
from leadconnector_async.outbox.base import Staged, State, StoredOutcome
from leadconnector_async.records.keys import key_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Container, Iterator

    from leadconnector_async.records.draft import Draft


CUT_OFF: Final = (
    "sending has ended while the message may have been on its way: it stays in the outbox, if "
    "there is one; submitted or run again there, it is looked for first"
)


class RunStats(Struct):
    """Counts of one run. ``copies`` are those of ``skipped`` that stand elsewhere too.

    ``found`` are those of ``sent`` whose answer was lost; ``searches`` and ``enrichments`` those of
    ``requests`` that looked for a record, or completed one before it was sent; ``marked`` the
    conversations that were marked as read.
    """

    read: int = 0
    staged: int = 0
    skipped: int = 0
    copies: int = 0
    refused: int = 0
    sent: int = 0
    found: int = 0
    rejected: int = 0
    unresolved: int = 0
    requests: int = 0
    searches: int = 0
    enrichments: int = 0
    throttled: int = 0
    marked: int = 0

    def include(self, other: RunStats) -> None:
        """Add the counts of another run."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def add(self, staged: Staged) -> None:
        """Count a batch that the outbox has taken in."""
        self.staged += staged.staged
        self.skipped += staged.skipped
        self.copies += staged.copies
        self.refused += staged.refused


_refusals: Final = msgspec.json.Decoder(Refusal)


def outcome_of(end: StoredOutcome, location: str) -> Outcome:
    """The outcome that the end of a record stands for."""
    key = key_text(end.key)
    if end.state is State.SENT:
        receipt = Receipt(
            message_id=end.message_id or "",
            conversation_id=end.conversation_id,
            email_message_id=end.email_message_id,
        )
        found = end.reason is not None
        return Sent(key=key, location_id=location, receipt=receipt, found=found)
    reason = end.reason or "no reason given"
    if end.state in (State.LEFT_OUT, State.DISMISSED):
        word = "left out" if end.state is State.LEFT_OUT else "dismissed"
        return Rejected(key=key, location_id=location, reason=f"{word}: {reason}")
    if end.state is State.REJECTED:
        refusal = _refusals.decode(end.detail) if end.detail else None
        return Rejected(key=key, location_id=location, reason=reason, refusal=refusal)
    return Unresolved(key=key, location_id=location, reason=reason)


def outcome_of_refused(draft: Draft) -> Rejected:
    """The outcome of a record that validation refused, or that is left out."""
    reason = draft.problem or f"left out: {draft.left_out}"
    return Rejected(key=key_text(draft.key), location_id=draft.location, reason=reason)


class OutcomeQueue:
    """Outcomes on their way to one consumer. ``room`` is cleared while it lags too far behind."""

    MAX: Final = 10_000

    def __init__(self, room: asyncio.Event) -> None:
        self._outcomes: deque[Outcome] = deque()
        self._arrived = asyncio.Event()
        self._ended = False
        self._room = room

    def put(self, outcome: Outcome) -> None:
        """Add one, for the consumer to take when it can."""
        self._outcomes.append(outcome)
        self._arrived.set()
        if len(self._outcomes) >= self.MAX:
            self._room.clear()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._arrived.set()

    async def drain(self) -> AsyncGenerator[Outcome, None]:
        """Every outcome, until the end."""
        while True:
            while self._outcomes:
                yield self._outcomes.popleft()
            self._room.set()
            if self._ended:
                return
            self._arrived.clear()
            await self._arrived.wait()


class Waiters:
    """Callers that wait for the outcome of one record each, or several for the same."""

    def __init__(self) -> None:
        self._futures: dict[int, tuple[asyncio.Future[Outcome], str]] = {}
        self._turn = 0
        """They take turns: the next one begins once all are done who began in the last but one."""
        self._submissions = [0, 0]
        self._unclaimed: tuple[dict[int, Outcome | None], ...] = {}, {}

    @contextmanager
    def submission(self) -> Iterator[None]:
        """While a caller learns its record's number: an outcome may come before it knows it."""
        turn = self._turn
        self._submissions[turn] += 1
        try:
            yield
        finally:
            self._submissions[turn] -= 1
            for _ in range(2):
                if not self._submissions[last := 1 - self._turn]:
                    self._unclaimed[last].clear()
                    self._turn = last

    def note(self, seq: int, outcome: Outcome | None = None) -> None:
        """Keep it that a record has an end, and which: its caller may not know its number yet."""
        if self.submitting:
            told = self._unclaimed[self._turn]
            told[seq] = outcome or told.get(seq)

    def noted(self, seq: int) -> bool:
        """Whether a record is known to have an end. To be asked within `submission`."""
        return any(seq in told for told in self._unclaimed)

    @property
    def open(self) -> Collection[int]:
        """The numbers of the records that are waited for."""
        return self._futures.keys()

    @property
    def locations(self) -> Iterator[str]:
        """Their locations, each once or more often."""
        return (location for _, location in self._futures.values())

    @property
    def submitting(self) -> bool:
        """Whether a caller is about to wait for a record, and does not know its number yet."""
        return any(self._submissions)

    def wait_for(self, seq: int, location: str) -> asyncio.Future[Outcome]:
        """The future of a record's outcome."""
        known = self._futures.get(seq)
        if known is not None:
            return known[0]
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        early = self._unclaimed[0].get(seq) or self._unclaimed[1].get(seq)
        if early is not None:
            future.set_result(early)
            return future
        self._futures[seq] = future, location
        return future

    def take(self, seq: int, outcome: Outcome) -> bool:
        """Hand an outcome to whoever waits for it; False if nobody does."""
        self.note(seq, outcome)
        known = self._futures.pop(seq, None)
        if known is None:
            return False
        if not known[0].done():
            known[0].set_result(outcome)
        return True

    def fail_location(self, location: str, error: BaseException) -> None:
        """The location cannot go on."""
        for seq in [seq for seq, (_, of) in self._futures.items() if of == location]:
            fail(self._futures.pop(seq)[0], error)

    @staticmethod
    def error_of(work: asyncio.Task[None]) -> BaseException | None:
        """What ended the sending: of one that was cancelled nobody knows what it has sent."""
        return FateUnknownError(CUT_OFF) if work.cancelled() else work.exception()

    def fail_all(self, error: BaseException, in_doubt: Container[int] = ()) -> None:
        """Nothing more will be sent; of those ``in_doubt`` nobody knows whether they were."""
        for seq, (future, _) in self._futures.items():
            fail(future, FateUnknownError(CUT_OFF) if seq in in_doubt else error)
        self._futures.clear()

    def __bool__(self) -> bool:
        return bool(self._futures)


def fail(future: asyncio.Future[Outcome], error: BaseException) -> None:
    """Have a caller raise an error of its own, unless it waits no more."""
    if not future.done():
        future.set_exception(apart(error))
        future.exception()  # noted: a caller that was cancelled leaves it unread


def apart(error: BaseException) -> BaseException:
    """The same error for one more who raises it.

    Each `raise` adds to the traceback of its error, which keeps what its frames hold: one object
    for all would grow, and hold their messages, for as long as its location is stopped.
    """
    try:
        another = copy(error).with_traceback(error.__traceback__)
    except Exception:  # noqa: BLE001 - a program's own, which is made in another way
        return error
    another.__cause__, another.__context__ = error.__cause__, error.__context__
    another.__suppress_context__ = error.__suppress_context__
    return another
