"""One access token: renewed ahead of its end, and once however many ask."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from leadconnector_async.errors import AccessError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

MAX_MARGIN: Final = 600.0
"""Seconds before its end at which a token is renewed; a tenth of its life, where that is less."""

_RETRY: Final = 10.0
"""Seconds after which a renewal that failed is tried again, while the old token still works."""


class AccessToken(Struct, frozen=True):
    """A token. Times are in seconds since 1970."""

    token: str
    renew_at: float = math.inf
    ends_at: float = math.inf

    def __repr__(self) -> str:
        return f"Access(until {self.ends_at:.0f})"


def lasting(token: str, asked_at: float, life: float) -> AccessToken:
    """Tell when to renew a token that was asked for at a moment, and lives so many seconds."""
    ends_at = asked_at + life
    return AccessToken(token, ends_at - min(MAX_MARGIN, life / 10), ends_at)


class TokenCache:
    """Holds a token, and fetches the next one.

    ``fetch`` is given the token that was refused last, if any, which it must not bring again. It
    runs in a task of its own, which no cancelled caller cuts off: a refresh token is used up
    although nobody waits for its successor any more.
    """

    __slots__ = ("_clock", "_fetch", "_held", "_refused", "_task")

    def __init__(
        self,
        fetch: Callable[[str | None], Coroutine[Any, Any, AccessToken]],
        clock: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: AccessToken | None = None
        self._refused: str | None = None
        self._task: asyncio.Task[AccessToken] | None = None

    async def token(self) -> str:
        """The token to use now. Raises what ``fetch`` does."""
        held = self._held
        if held is not None and self._clock() < held.renew_at:
            return held.token
        try:
            return (await self._fetched()).token
        except (AccessError, TransportError):  # refused too early to give up a token that serves
            now = self._clock()
            if held is None or self._held is not held or now >= held.ends_at:
                raise
            self._held = replace(held, renew_at=min(now + _RETRY, held.ends_at))
            return held.token

    async def renew(self, refused: str) -> str:
        """Return a token other than the refused one. Raises what ``fetch`` does."""
        held = self._held
        if held is not None and held.token != refused:
            return await self.token()
        self._held, self._refused = None, refused
        return (await self._fetched()).token

    async def settle(self) -> None:
        """Wait for a fetch that is under way, whatever comes of it."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _fetched(self) -> AccessToken:
        if self._task is None:
            self._task = asyncio.create_task(self._fetch(self._refused))
            self._task.add_done_callback(self._ended)
        return await asyncio.shield(self._task)

    def _ended(self, task: asyncio.Task[AccessToken]) -> None:
        self._task = None
        if not task.cancelled() and task.exception() is None:
            self._held = task.result()

    def __repr__(self) -> str:
        return f"<TokenCache of {self._held}>"
