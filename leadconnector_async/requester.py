"""Requests of a program, one after the other: again where that is safe, and page by page.

A read may be repeated whatever became of it. A write may after a 429, and where it provably did not
reach the API; and after any other failure only where doing it twice changes nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

from leadconnector_async import errors
from leadconnector_async.api import effects, responses
from leadconnector_async.api.endpoints import export_messages, with_missing_scope
from leadconnector_async.api.listings import ListedMessage, MessagePage, read_messages
from leadconnector_async.models import Refusal
from leadconnector_async.public_place import name_public_place
from leadconnector_async.transport.base import FileUnreadableError, Request, Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from leadconnector_async.policy import Policy
    from leadconnector_async.session import ApiSession

    Reading = Callable[[Response], "_T"]

_T = TypeVar("_T")

_MAX_EMPTY: Final = 8
"""Pages in a row that hold nothing and name another one, as of e-mails that are left out."""


class Requester:
    """Makes requests within the quota of their location, with its token."""

    def __init__(self, session: ApiSession, policy: Policy, location_id: str | None) -> None:
        self.session: ApiSession = session
        self.policy: Policy = policy
        self.location_id: str | None = location_id
        self.random: Random = Random()  # noqa: S311 - jitter, not secrets

    def location_of(self, location_id: str | None) -> str:
        """The location of a message: the one given, else the client's.

        Raises:
            ValueError: neither the message nor the client names one, or it can be none.
            TypeError: it is no text.
        """
        location = self.location_id if location_id in (None, "") else location_id
        if location in (None, ""):
            raise ValueError("no location: give LeadConnector(location_id=…), or one per message")
        if not isinstance(location, str):
            raise TypeError(f"the location is a {type(location).__name__}: give its id as text")
        if not location.isprintable() or " " in location:
            raise ValueError("the location has characters that no id has: give its id alone")
        return location

    def pause(self, location: str, response: Response) -> None:
        """Hold a location back after a 429."""
        after = responses.retry_after(response, self.policy.retry_after_cap)
        self.session.pause(location, self.session.quota(location), after)

    async def exchange(self, location: str, request: Request, resends: int = 0) -> Response:
        """One request when the quota allows it, the same as ``resends`` before. No retry.

        Raises:
            AccessError, DailyQuotaSpentError, TransportError, ClosedError: there is no answer.
        """
        quota = self.session.quota(location)
        slot = await self.session.acquire_slot(location, quota)
        return await self.session.exchange(location, quota, slot, request, resends=resends)

    async def ask(self, location: str, request: Request, parse: Callable[[bytes], _T]) -> _T:
        """What the answer to a read holds, asked for again as often as it is worth.

        ``parse`` raises ValueError for a body that is none.

        Raises:
            AccessError, RefusedError, ThrottledError: the API said no.
            TransportError: it gave no usable answer, several times.
        """

        def read(response: Response) -> _T:
            if responses.is_success(response):
                return parse(response.body)
            raise errors.RefusedError(responses.read_refusal(response.status, response.body))

        return await self.answered(location, request, read)

    async def answered(
        self, location: str, request: Request, read: Reading[_T], *, repeatable: bool = True
    ) -> _T:
        """What ``read`` makes of a success or a refusal; ValueError tells that it is unusable.

        Raises:
            AccessError, ThrottledError, TransportError: as the requests end.
        """
        unusable = ""
        for attempt in range(1, self.policy.attempts + 1):
            last = attempt == self.policy.attempts
            try:
                response = await self.exchange(location, request, attempt - 1)
            except errors.TransportError as error:
                again = repeatable or isinstance(error, errors.NotSentError)
                if last or not again or isinstance(error, FileUnreadableError):
                    raise
                await asyncio.sleep(self.policy.delay(attempt, self.random))
                continue
            is_done = responses.is_success(response)
            match None if is_done else responses.classify(response.status, response.body):
                case responses.Throttled(refusal):
                    if last:
                        raise errors.ThrottledError(refusal)
                    self.pause(location, response)
                    continue
                case responses.Forbidden(refusal):
                    raise errors.AccessError(with_missing_scope(request, refusal))
                case responses.Indeterminate(refusal):
                    if not repeatable:
                        raise errors.FateUnknownError(str(refusal))
                    unusable = f": answered {refusal}"
                case _:
                    try:
                        return read(response)
                    except ValueError as error:
                        unusable = f": answered {response.status} with {error}"
            await asyncio.sleep(self.policy.delay(attempt, self.random))
        attempts = self.policy.attempts
        raise errors.TransportError(f"no usable answer in {attempts} attempts{unusable}")

    async def _response(self, location: str, request: Request, *, repeatable: bool) -> Response:
        """The answer itself, a success or a refusal. Raises as `answered` does."""
        return await self.answered(location, request, lambda answer: answer, repeatable=repeatable)

    async def run(
        self,
        location: str,
        flow: Callable[[], effects.Flow[_T]],
        *,
        lookups: dict[str, str] | None = None,
        repeatable: bool = True,
    ) -> _T:
        """Carry out a flow that looks at no files. ``lookups`` are what is known, and is added to.

        Raises:
            AccessError, RefusedError, ThrottledError, TransportError: as its requests end.
        """
        known = {} if lookups is None else lookups
        for attempt in range(1, self.policy.attempts + 1):
            try:
                return await self._walked(location, flow(), known, repeatable=repeatable)
            except effects.StepFailedError as error:  # what was answered cannot be used
                if not repeatable:
                    raise errors.FateUnknownError(str(error)) from None
                if attempt == self.policy.attempts:
                    raise errors.TransportError(f"{error}, in {attempt} attempts") from None
            await asyncio.sleep(self.policy.delay(attempt, self.random))
        raise AssertionError

    async def _walked(
        self, location: str, flow: effects.Flow[_T], known: dict[str, str], *, repeatable: bool
    ) -> _T:
        result: object = None
        refusal: Refusal | None = None
        while True:
            try:
                step = flow.send(result)
            except StopIteration as end:
                value: _T = end.value
                return value
            except effects.StepRefusedError as error:
                refusal = refusal or Refusal(status=200, message=str(error))
                raise errors.RefusedError(refusal) from None
            result = None
            match step:
                case Request():
                    response = await self._response(location, step, repeatable=repeatable)
                    said = responses.read_refusal(response.status, response.body)
                    refusal = said if responses.is_refusal(response) else None
                    result = response
                case effects.GetLookups(names):
                    result = {name: known[name] for name in names if name in known}
                case effects.PutLookups(added):
                    known |= added


class MessageExport:
    """The messages of a location that were asked for, in the order in which the API gives them.

    Both of its exports are read, since the one without a channel leaves e-mails out. Each message
    that the API gives twice comes twice; a page that comes back ends the export, or fails it. Each
    iteration asks the API anew.

    ``total`` is how many the API says that there are, in the export that is being read; None until
    its first page, or where it does not say. ``problems`` names the entries that could not be read,
    or not in full: the former have no id, and are not among the messages.

    Example:
        >>> export = api.export_messages(contact_id="9VEmS0si86GW6gXWU89b")
        >>> texts = [message.body async for message in export]
        >>> export.problems
        []

    Raises:
        AccessError: the token does not open the location, or lacks a scope.
        RefusedError: the API said no.
        TransportError: it gave no usable answer in `Policy.attempts` attempts.
    """

    def __init__(self, api: Requester, location: str, asked: dict[str, str | None]) -> None:
        self._pages = partial(exported, api, location, **asked)
        self.total: int | None = None
        self.problems: list[str] = []

    async def __aiter__(self) -> AsyncIterator[ListedMessage]:
        self.total = None
        self.problems.clear()  # the same list: it may have been asked for before
        async with aclosing(self._pages()) as pages:
            async for page, _ in pages:
                self.total = page.total
                self.problems += page.problems
                for message in page.messages:
                    yield message

    def __repr__(self) -> str:
        return f"<MessageExport total={self.total}>"


async def exported(
    api: Requester, location: str, **asked: str | None
) -> AsyncGenerator[tuple[MessagePage, bytes], None]:
    """Every page of both channels, each once, and its body.

    Cursors or pages that come back would go on without end. They end the export where it has
    given as many messages as it says that there are. So do empty ones, once there are many.

    Raises:
        AccessError, RefusedError, TransportError: as of `Requester.ask`.
    """
    for channel in (None, "Email"):  # without one it leaves e-mails out
        cursor: str | None = None
        met: set[str | bytes] = set()
        given = empty = 0
        while True:
            request = export_messages(location, channel=channel, cursor=cursor, **asked)
            page, body = await api.ask(location, request, lambda body: (read_messages(body), body))
            ids = "\0".join(message.id for message in page.messages)
            mark = blake2b(ids.encode(), digest_size=16).digest()
            if mark not in met:
                yield page, body
                given += len(page.messages)
            cursor = page.next_cursor
            empty = 0 if page.messages else empty + 1
            if not cursor or empty > _MAX_EMPTY or (empty and cursor in met):
                break
            here = {cursor, cursor if empty else mark}
            if met & here:
                if page.total is None or given < page.total:
                    raise errors.TransportError(f"the export goes round after {given:,} messages")
                break
            met |= here


name_public_place(globals())
