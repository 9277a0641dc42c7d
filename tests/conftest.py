"""What tests of more than one module ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from http_peer import WAY

from leadconnector_async.sandbox._world import World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """The way in which this test's transports send."""
    token = WAY.set(request.param)
    yield request.param
    WAY.reset(token)


@pytest.fixture(autouse=True)
def lenient_sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open contacts, conversations and providers on demand, where a test gives the sandbox none.

    Most tests are about something else, and name contacts as they like. Those about what the
    sandbox refuses are marked ``honest_sandbox``.
    """
    if request.node.get_closest_marker("honest_sandbox") is None:
        lenient = property(lambda world: world.config.closed and bool(world.config.contacts))
        monkeypatch.setattr(World, "closed", lenient)
        monkeypatch.setattr(World, "knows_provider", lambda world, _: not world.config.providers)
