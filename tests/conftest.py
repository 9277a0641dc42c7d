"""What tests of more than one module ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from http_peer import WAY

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """The way in which this test's transports send."""
    token = WAY.set(request.param)
    yield request.param
    WAY.reset(token)
