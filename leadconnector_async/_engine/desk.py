"""What the engine does for those who make its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadconnector_async._engine.lanes import Lane, Site
    from leadconnector_async._errors import RefusedError
    from leadconnector_async._outbox.interface import Claim


class Memory(Protocol):
    """Where facts are kept."""

    async def recall(self, site: Site, names: Sequence[str]) -> dict[str, str]:
        """Those of the facts that are known."""

    async def remember(self, site: Site, facts: Mapping[str, str]) -> None:
        """Write facts down."""


class Desk(Memory, Protocol):
    """Where the courier hands in what came of its errands."""

    def rest(self, site: Site, lane: Lane, seconds: float) -> None:
        """Consider the lane when some time has passed."""

    def close(self, site: Site, error: RefusedError) -> None:
        """Stop a location alone."""

    async def others(self, claim: Claim) -> set[str]:
        """Message ids that belong to other records of the claim's lane."""
