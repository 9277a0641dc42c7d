"""Where the token of a location comes from: given, printed by a program, or fetched and renewed."""

import asyncio
import math
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, Protocol, runtime_checkable

from msgspec import Struct, structs

from leadconnector_async.errors import AccessError, TransportError
from leadconnector_async.models import Refusal
from leadconnector_async.public_place import name_public_place
from leadconnector_async.transport.base import Transport, is_token

FIX_TOKEN: Final = "give a private integration token as text, or a TokenProvider"  # noqa: S105 - advice


@runtime_checkable
class TokenProvider(Protocol):
    """Gives the token for a location, and a newer one when it was refused.

    Both methods may raise `AccessError` where there is no token to be had: the location stops
    alone, with its message. They may raise `NotSentError` where the source of tokens is out of
    reach: it is asked again later, for as long as `Policy.patience`. `TimeoutError` and
    `ConnectionError` are taken for that one, any other error for an `AccessError`, whose cause it
    is. What has not come after two minutes, or when both `Policy.patience` and the time of a
    request, `Timeouts.read`, are over, is a `TimeoutError` too.

    Example:
        >>> class Vault:
        ...     async def token(self, location_id: str) -> str:
        ...         return "pit-0123456789"
        ...
        ...     async def renew(self, location_id: str, refused: str) -> str | None:
        ...         return None
        >>> isinstance(Vault(), TokenProvider)
        True
    """

    async def token(self, location_id: str) -> str:
        """The token to use now. Called for each request, so keep it at hand."""

    async def renew(self, location_id: str, refused: str) -> str | None:
        """A token other than ``refused``, or None where there is none to be had.

        Called once at a time per location, however many requests wait.
        """


@runtime_checkable
class NeedsTransport(Protocol):
    """A provider whose tokens come from the API itself, through its client's own transport."""

    def attach_transport(self, transport: Transport) -> None:
        """Called by the client that the provider is given to."""

    async def detach_transport(self) -> None:
        """Wait for what must not be cut off. Called before the transport is closed."""


class StaticToken:
    """One private integration token, for every location.

    Raises:
        ValueError: it is empty, or has characters that no token has.

    Example:
        >>> await StaticToken("pit-0123456789").token("ve9EPM428h8vShlRW1KT")
        'pit-0123456789'
    """

    def __init__(self, token: str) -> None:
        if not is_token(token):
            raise ValueError(f"the token is empty or has characters that no token has: {FIX_TOKEN}")
        self._token = token

    async def token(self, location_id: str) -> str:  # noqa: ARG002 - the same for all
        """The token, whatever the location."""
        return self._token

    async def renew(self, location_id: str, refused: str) -> str | None:  # noqa: ARG002
        """None: a static token has no successor."""
        return None

    def __repr__(self) -> str:
        return "StaticToken(…)"


_MAX_MARGIN: Final = 600.0
"""Seconds before its end at which a token is renewed; a tenth of its life, where that is less."""

_RENEW_AGAIN_S: Final = 10.0
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
    return AccessToken(token, ends_at - min(_MAX_MARGIN, life / 10), ends_at)


@dataclass(eq=False, repr=False)
class TokenCache:
    """Holds a token, and fetches the next one.

    ``fetch`` is given the token that was refused last, if any, which it must not bring again. It
    runs in a task of its own, which no cancelled caller cuts off: a refresh token is used up
    although nobody waits for its successor any more.
    """

    _fetch: Callable[[str | None], Coroutine[Any, Any, AccessToken]]
    _clock: Callable[[], float]
    _held: AccessToken | None = None
    _refused: str | None = None
    _task: asyncio.Task[AccessToken] | None = None

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
            self._held = structs.replace(held, renew_at=min(now + _RENEW_AGAIN_S, held.ends_at))
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


_MAX_COMMAND_S: Final = 60.0
"""Seconds. A password manager may have to ask its user."""

_PIECE: Final = 65_536


class _CommandError(Exception):
    """Why a command gives no token, to be said after its name."""


@dataclass(eq=False, repr=False)
class CommandToken:
    """The first line that a command prints. It is run once, when the token is first needed.

    No shell reads the command. Nothing it prints is shown, not even when it fails. ``what`` is
    whose token it is, in the words of errors; ``turns`` bounds how many commands run at a time,
    ``seconds`` how long one may take.
    """

    _argv: Sequence[str]
    _what: str
    _turns: asyncio.Semaphore
    _: KW_ONLY
    seconds: float = _MAX_COMMAND_S
    _failure: str | None = None

    def __post_init__(self) -> None:
        self._cache = TokenCache(self._fetch, time.time)

    async def token(self, location_id: str) -> str:  # noqa: ARG002 - one location's own
        """The token.

        Raises:
            AccessError: the command failed, the message says how.
        """
        return await self._cache.token()

    async def renew(self, location_id: str, refused: str) -> str | None:  # noqa: ARG002
        """None: the command is run once."""
        return None

    async def _fetch(self, _refused: str | None) -> AccessToken:
        if self._failure is None:
            try:
                async with self._turns:
                    return AccessToken(await self._first_line())
            except _CommandError as error:
                self._failure = str(error)
        message = f"the token_command of {self._what} {self._failure}"
        raise AccessError(Refusal(status=401, message=f"{message}: run it by hand to see why"))

    async def _first_line(self) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
            )
        except OSError as error:
            why = f"cannot be run ({error.strerror or type(error).__name__})"
            raise _CommandError(why) from None
        try:
            async with asyncio.timeout(self.seconds):
                output = await _beginning(process)
                status = await process.wait()
        except TimeoutError:
            raise _CommandError(f"has not ended in {self.seconds:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status:
            raise _CommandError(f"ended with exit status {status}")
        line = output.split(b"\n", 1)[0].decode("latin-1").strip()
        if not is_token(line):
            raise _CommandError("printed no token in its first line")
        return line


async def _beginning(process: Process) -> bytes:
    """Read to the end of the output, and keep its beginning."""
    assert process.stdout is not None  # noqa: S101 - tells the type checker
    kept = b""
    while piece := await process.stdout.read(_PIECE):
        if len(kept) < _PIECE:
            kept += piece
    return kept


name_public_place(globals())
