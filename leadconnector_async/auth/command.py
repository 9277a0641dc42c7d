"""A token that a program prints, such as a password manager."""

from __future__ import annotations

import asyncio
import time
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Final

from leadconnector_async.auth.cache import AccessToken, TokenCache
from leadconnector_async.errors import AccessError
from leadconnector_async.models import Refusal
from leadconnector_async.transport.base import is_token

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence

MAX_LENGTH: Final = 60.0
"""Seconds. A password manager may have to ask its user."""

_PIECE: Final = 65_536


class CommandToken:
    """The first line that a command prints. It is run once, when the token is first needed.

    No shell reads the command. Nothing it prints is shown, not even when it fails.

    Args:
        argv: the program and its arguments.
        what: whose token it is, in the words of errors.
        turns: bounds how many commands run at a time.
        seconds: how long it may take.
    """

    def __init__(
        self,
        argv: Sequence[str],
        what: str,
        turns: asyncio.Semaphore,
        *,
        seconds: float = MAX_LENGTH,
    ) -> None:
        self._argv = tuple(argv)
        self._what = what
        self._turns = turns
        self._seconds = seconds
        self._failure: str | None = None
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
            async with self._turns:
                line = await self._first_line()
            if line is not None:
                return AccessToken(line)
        message = f"the token_command of {self._what} {self._failure}"
        raise AccessError(Refusal(status=401, message=f"{message}: run it by hand to see why"))

    async def _first_line(self) -> str | None:
        """Run the command; None where it failed, as ``_failure`` says."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
            )
        except OSError as error:
            self._failure = f"cannot be run ({error.strerror or type(error).__name__})"
            return None
        try:
            async with asyncio.timeout(self._seconds):
                output = await _beginning(process)
                status = await process.wait()
        except TimeoutError:
            self._failure = f"has not ended in {self._seconds:g} s"
            return None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return self._read(output, status)

    def _read(self, output: bytes, status: int) -> str | None:
        if status:
            self._failure = f"ended with exit status {status}"
            return None
        line = output.split(b"\n", 1)[0].decode("latin-1").strip()
        if not is_token(line):
            self._failure = "printed no token in its first line"
            return None
        return line

    def __repr__(self) -> str:
        return f"<CommandToken of {self._what}>"


async def _beginning(process: Process) -> bytes:
    """Read to the end of the output, and keep its beginning."""
    assert process.stdout is not None  # noqa: S101 - tells the type checker
    kept = b""
    while piece := await process.stdout.read(_PIECE):
        if len(kept) < _PIECE:
            kept += piece
    return kept
