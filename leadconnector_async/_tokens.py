"""Where the token of a location comes from."""

from __future__ import annotations

from typing import Protocol


class TokenProvider(Protocol):
    """Gives the token for a location, and a newer one when it was refused."""

    async def token(self, location_id: str) -> str:
        """The token to use now."""

    async def renew(self, location_id: str, refused: str) -> str | None:
        """A token other than ``refused``, or None where there is none to be had.

        Called once at a time per location, however many requests wait.
        """


class StaticToken:
    """One private integration token, for every location."""

    __slots__ = ("_token",)

    def __init__(self, token: str) -> None:
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("the token is empty or has characters that no token has")
        self._token = token

    async def token(self, location_id: str) -> str:  # noqa: ARG002 - the same for all
        """The token, whatever the location."""
        return self._token

    async def renew(self, location_id: str, refused: str) -> str | None:  # noqa: ARG002
        """None: a static token has no successor."""
        return None

    def __repr__(self) -> str:
        return "StaticToken(…)"
