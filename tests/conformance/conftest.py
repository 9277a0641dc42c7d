"""One outbox of each store for each test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from outbox_places import STORES, DurablePlace, Place

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from leadconnector_async.outbox.base import Outbox
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader

HERE = Path(__file__).parent
DURABLE = [store for store in STORES if issubclass(store, DurablePlace)]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most of the store that takes its time to the whole run: each fourth test is fast."""
    here = [item for item in items if item.path.parent == HERE and "Postgres" in item.name]
    for number, item in enumerate(here):
        if number % 4:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=STORES, ids=lambda store: store.__name__, scope="module")
def store(request: pytest.FixtureRequest) -> type[Place]:
    """Each store."""
    of: type[Place] = request.param
    return of


@pytest.fixture
def outbox(store: type[Place], tmp_path: Path, runner: asyncio.Runner) -> Iterator[Outbox]:
    """An empty outbox of each store."""
    outbox = runner.run(store(tmp_path).open())
    yield outbox
    runner.run(outbox.close())


@pytest.fixture(params=DURABLE, ids=lambda store: store.__name__)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> DurablePlace:
    """Where ``durable`` is."""
    of: DurablePlace = request.param(tmp_path)
    return of


@pytest.fixture
def durable(place: DurablePlace, runner: asyncio.Runner) -> Iterator[DurableOutbox]:
    """An empty outbox of each store that outlives its process."""
    outbox = runner.run(place.open())
    yield outbox
    runner.run(outbox.close())


@pytest.fixture
def reader(
    place: DurablePlace,
    durable: DurableOutbox,  # noqa: ARG001 - it has to exist
    runner: asyncio.Runner,
) -> Iterator[OutboxReader]:
    """``durable``, opened beside its owner to be read."""
    reader = runner.run(place.reader())
    yield reader
    runner.run(reader.close())
