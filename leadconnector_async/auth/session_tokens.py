"""The tokens that the requests of a session are sent with, whatever their provider raises."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from msgspec.structs import replace

from leadconnector_async import errors
from leadconnector_async.auth.provider import TokenProvider
from leadconnector_async.breaker import Breaker
from leadconnector_async.models import Refusal

_log: Final = logging.getLogger(__name__)

_CLOSED: Final = Breaker()

TOKEN_S: Final = 120.0
"""Seconds for a token of a program's own provider: a request would wait for it without end."""


@dataclass(eq=False, repr=False)
class TimedTokens:
    """A `TokenProvider` that raises `TimeoutError` where another one does not answer in time.

    Closing waits for it, so that it is not longer than the patience, or than a request may take.
    """

    _tokens: TokenProvider
    _seconds: float

    async def token(self, location_id: str) -> str:
        """See `TokenProvider.token`."""
        async with asyncio.timeout(min(self._seconds, TOKEN_S)):
            return await self._tokens.token(location_id)

    async def renew(self, location_id: str, refused: str) -> str | None:
        """See `TokenProvider.renew`."""
        async with asyncio.timeout(min(self._seconds, TOKEN_S)):
            return await self._tokens.renew(location_id, refused)


class NoTokenYetError(errors.NotSentError):
    """What gives a location's token is out of reach."""


@dataclass(eq=False, repr=False)
class SessionTokens:
    """Asks a provider, and raises what its errors come to.

    Out of reach it is as the API is for the only location, whose ``breaker`` is told, and no
    matter of the others where there are any: `is_alone` tells.

    ``patience`` is how many seconds that may last before the location stops. All that take it
    raise `AccessError` where no token is to be had, and `NoTokenYetError` where it may be later.
    """

    provider: TokenProvider
    breaker: Breaker
    is_alone: Callable[[], bool]
    _renewals: dict[str, asyncio.Task[str | None]] = field(default_factory=dict)
    _ended: dict[str, str] = field(default_factory=dict)
    """Tokens that the API has refused, while the source of others is out of reach."""
    _sources: dict[str, Breaker] = field(default_factory=dict)
    """Of locations among others, for which what gives the token is out of reach."""

    async def token(self, location: str, patience: float, *, renews: bool = True) -> str:
        """The token to send with. With ``renews``, one that was refused before is renewed first."""
        if self._sources:
            source, now = self._sources.get(location, _CLOSED), asyncio.get_running_loop().time()
            if not source.allows(now):
                raise _without_source(source, now, patience)
        try:
            token = await self.provider.token(location)
        except BaseException as error:
            self._raise_as_ours(location, error, patience)
            raise
        if renews and self._ended and self._ended.get(location) == token:
            token = await self._renewal(location, token, patience) or token
        return token

    async def renewed(self, location: str, refused: str, patience: float) -> str | None:
        """The token to go on with, asked for once however many wait; None if there is no other."""
        try:
            token = await self.token(location, patience, renews=False)
            return token if token != refused else await self._renewal(location, refused, patience)
        except errors.AccessError as error:
            raise without_token(error) from error.__cause__ or error
        except errors.TransportError:
            self._ended[location] = refused
            raise

    def due_at(self, location: str) -> float:
        """When what gives a location's token is asked again, in the loop's seconds."""
        return self._sources.get(location, _CLOSED).open_until

    def forget(self, location: str) -> None:
        """Take what gives a location's token to be within reach: a request with it was answered."""
        self._sources.pop(location, None)

    def _raise_as_ours(self, location: str, error: BaseException, patience: float) -> None:
        """Raise what a provider's own error comes to: as itself it would end all locations' work.

        So would a cancellation of what it awaits, and not of this task, without a word.
        """
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is None or task.cancelling():
                return
            why = "what gives the token was cancelled"
        elif isinstance(error, TimeoutError | ConnectionError):
            why = f"the token's provider raised {type(error).__name__}"
        elif isinstance(error, errors.TransportError):
            why = str(error)
        elif isinstance(error, Exception) and not isinstance(error, errors.LeadConnectorError):
            message = f"its provider raised {type(error).__name__}"
            raise errors.AccessError(Refusal(status=401, message=message)) from error
        else:
            return
        now = asyncio.get_running_loop().time()
        if self.is_alone():
            self.breaker.failed(now, why)
            raise NoTokenYetError(why) from error
        source = self._sources.setdefault(location, Breaker(f"tries for the token of {location}"))
        source.failed(now, why)
        raise _without_source(source, now, patience) from error

    async def _renewal(self, location: str, refused: str, patience: float) -> str | None:
        task = self._renewals.get(location)
        try:
            if task is None:
                task = asyncio.ensure_future(self.provider.renew(location, refused))
                self._renewals[location] = task
                task.add_done_callback(partial(self._renewal_ended, location))
            return await asyncio.shield(task)
        except BaseException as error:
            self._raise_as_ours(location, error, patience)
            raise

    def _renewal_ended(self, location: str, task: asyncio.Task[str | None]) -> None:
        self._renewals.pop(location, None)
        if not task.cancelled() and task.exception() is None:
            self._ended.pop(location, None)
            if task.result() is not None:
                _log.info("token of location %s renewed", location)


def _without_source(source: Breaker, now: float, patience: float) -> errors.LeadConnectorError:
    """A location stops alone where this lasts for longer than the patience."""
    if (outage := source.outage(now)) <= patience:
        return NoTokenYetError(source.why)
    message = f"its source has been out of reach for {outage:.0f} s ({source.why})"
    return errors.AccessError(Refusal(status=401, message=message))


def without_token(error: errors.AccessError) -> errors.AccessError:
    """What a provider says for want of a token, told apart from the API's own words."""
    return errors.AccessError(replace(error.refusal, message=f"no token: {error.refusal.message}"))
