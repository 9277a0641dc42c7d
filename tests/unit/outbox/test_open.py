from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from leadconnector_async import OutboxUnusableError
from leadconnector_async.outbox.open import open_outbox

if TYPE_CHECKING:
    from pathlib import Path


def test_an_outbox_is_for_one_destination(tmp_path: Path) -> None:
    """What was sent to a sandbox would otherwise never be sent to the API."""

    async def use(destination: str) -> None:
        async with await open_outbox(tmp_path / "o.db") as outbox:
            await outbox.dedicate(destination, name="o.db")

    asyncio.run(use("the sandbox"))
    asyncio.run(use("the sandbox"))
    with pytest.raises(OutboxUnusableError, match=r"o\.db belongs to an import into the sandbox"):
        asyncio.run(use("https://api.example"))
