"""Where the token of a location comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from leadconnector_async.public_place import name_public_place
from leadconnector_async.transport.base import is_token

if TYPE_CHECKING:
    from leadconnector_async.transport.base import Transport

FIX_TOKEN: Final = "give a private integration token as text, or a TokenProvider"  # noqa: S105 - advice


@runtime_checkable
class TokenProvider(Protocol):
    """Gives the token for a location, and a newer one when it was refused.

    Both methods may raise `AccessError` where there is no token to be had: the location stops
    alone, with its message. They may raise `NotSentError` where the source of tokens is out of
    reach: it is asked again later.

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

    __slots__ = ("_token",)

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


name_public_place(globals())
