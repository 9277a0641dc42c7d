"""An outbox that was lost is opened again, once for all that wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from virtual_time import in_virtual_time

from leadconnector_async.errors import OutboxWriteError
from leadconnector_async.outbox.reopened import ReopenedOutbox

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox


class Breaking:
    """An outbox whose connection is lost with its first call, as those of the first two are."""

    def __init__(self, number: int) -> None:
        self.is_lost = number < 2

    async def call(self) -> bool:
        """Do something."""
        await asyncio.sleep(0)
        if self.is_lost:
            raise OutboxWriteError("the connection was lost")
        return True

    async def listen(self, ended: Callable[[int], None]) -> None:
        """Nothing is told."""

    async def close(self) -> None:
        """Nothing is open."""


def test_a_loss_is_logged_once_however_many_wait(caplog: pytest.LogCaptureFixture) -> None:
    """A full buffer has two thousand calls that wait: they would drown all else."""
    opened: list[Breaking] = []

    async def open_it() -> PostgresOutbox:
        opened.append(Breaking(len(opened)))
        return cast("PostgresOutbox", opened[-1])

    async def scenario() -> None:
        outbox = ReopenedOutbox(open_it, lambda _: None)
        await outbox.open()
        calls = [outbox.durably(lambda one: cast("Breaking", one).call()) for _ in range(50)]
        assert all(await asyncio.gather(*calls))

    in_virtual_time(scenario())
    assert len(opened) == 3
    assert len(caplog.records) == 2
