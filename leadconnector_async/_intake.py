"""Taking messages in: from an application's iterable to drafts for the outbox."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from leadconnector_async._api.late import Late, is_outbound_call, with_contact
from leadconnector_async._api.people import verified_contact
from leadconnector_async._messages import InboundMessage, Record
from leadconnector_async._records import draft, encode, fresh_key, refused_draft, verified

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable

    from leadconnector_async._outbox.interface import Draft

    Messages = Iterable[InboundMessage | Record] | AsyncIterable[InboundMessage | Record]

STAGED_TOGETHER: Final = 1_000
"""Records per commit when a whole iterable is staged."""
POURED_TOGETHER: Final = 64
"""Records taken from a synchronous iterable at a time when it is streamed."""
_T = TypeVar("_T")


class Intake:
    """Makes drafts of messages. ``locate`` names the location of a message that names none."""

    def __init__(self, locate: Callable[[str | None], str]) -> None:
        self._locate = locate

    def draft_of(self, item: InboundMessage | Record, *, alone: bool = False) -> Draft:
        """Check one message and encode it; a bad one becomes a draft that says why.

        ``alone``: it is not one of a history that may be read again, so that without an id and a
        date nothing tells it from an equal one, and it is a record of its own.

        Raises:
            ValueError: neither the record nor the client names a location.
        """
        record = item if isinstance(item, Record) else Record(message=item)
        location = self._locate(record.location_id)
        contact, wrong = (None, ()) if record.contact is None else verified_contact(record.contact)
        message, problems = verified(record.message, named=record.contact is not None)
        if problems or wrong:
            raw = with_contact(_encoded(message), record.contact)
            problems = (*wrong, *problems)
            return refused_draft(problems, location=location, id=record.id, line=0, raw=raw)
        now_ms = time.time_ns() // 1_000_000
        key = fresh_key(now_ms) if alone and not record.id and message.date is None else None
        if message.contact_id or message.conversation_id:
            contact = None
        late = Late(contact=contact, outbound_call=is_outbound_call(message))
        return draft(message, location=location, id=record.id, now_ms=now_ms, key=key, late=late)

    async def batches(self, messages: Messages) -> AsyncGenerator[list[Draft], None]:
        """Drafts in batches of one commit each."""
        batch: list[Draft] = []
        async for item in _each(messages):
            batch.append(self.draft_of(item))
            if len(batch) >= STAGED_TOGETHER:
                yield batch
                batch = []
        if batch:
            yield batch

    async def pieces(self, messages: Messages) -> AsyncGenerator[list[Draft], None]:
        """Drafts as they come: one by one where more of them may be long in coming."""
        if hasattr(messages, "__aiter__"):
            async for item in messages:
                yield [self.draft_of(item)]
        else:
            async for batch in self._chunks(messages):
                yield batch

    async def _chunks(
        self, messages: Iterable[InboundMessage | Record]
    ) -> AsyncGenerator[list[Draft], None]:
        batch: list[Draft] = []
        for item in messages:
            batch.append(self.draft_of(item))
            if len(batch) >= POURED_TOGETHER:
                yield batch
                batch = []
        if batch:
            yield batch


class Hand:
    """Counts the messages that were taken in and have no outcome yet: ``most`` at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._space = asyncio.Event()
        self.size = 0

    def take(self, count: int) -> None:
        """So many have come."""
        self.size += count

    def leave(self, count: int) -> None:
        """So many are done with."""
        self.size -= count
        self._space.set()

    async def has_space(self) -> None:
        """Wait until one more may be taken."""
        while self.size >= self._most:
            self._space.clear()
            await self._space.wait()


async def _each(items: Iterable[_T] | AsyncIterable[_T]) -> AsyncGenerator[_T, None]:
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _encoded(message: InboundMessage) -> bytes:
    """The message as it was given, as far as it can be written down at all."""
    try:
        return encode(message)
    except (TypeError, ValueError, msgspec.EncodeError):
        return b"{}"
