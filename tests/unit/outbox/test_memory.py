from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from outbox_kit import claimed, draft, drafts, fate, keys

from leadconnector_async.outbox import memory
from leadconnector_async.outbox.base import Outbox, SourcePass, Staged, State
from leadconnector_async.outbox.memory import MemoryOutbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest


def in_memory(work: Callable[[MemoryOutbox], Awaitable[None]]) -> None:
    """Work with an outbox in an event loop of its own."""

    async def main() -> None:
        outbox: Outbox = MemoryOutbox()
        assert isinstance(outbox, MemoryOutbox)
        await work(outbox)
        await outbox.close()

    asyncio.run(main())


def test_a_settled_record_is_forgotten() -> None:
    """Memory is flat in what streams through."""

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage(drafts(10, lanes=3), SourcePass())
        claims = await claimed(outbox, 10)
        await outbox.settle([fate(claim) for claim in claims[:9]], ())
        assert repr(outbox) == "<MemoryOutbox 1 records>"
        await outbox.settle([fate(claims[9], State.REJECTED)], ())
        assert repr(outbox) == "<MemoryOutbox 0 records>"
        assert await outbox.locations() == []

    in_memory(work)


def test_an_id_is_one_record_while_it_is_here() -> None:
    """Another one of its id is refused. Afterwards it is not known any more."""

    async def work(outbox: MemoryOutbox) -> None:
        batch = [draft("a"), draft("a")]
        assert await outbox.stage(batch, SourcePass()) == Staged(1, 1, 0, 1)
        other = draft("a", payload=b'{"message":"other"}')
        assert (await outbox.stage([other], SourcePass()))[:4] == (1, 0, 1, 0)
        assert (await outbox.submit(other)).state is State.REJECTED
        await outbox.settle([fate(claim) for claim in await claimed(outbox, 9)], ())
        assert await outbox.stage(batch, SourcePass()) == Staged(1, 1, 0, 1)

    in_memory(work)


def test_equal_records_have_keys_of_their_own() -> None:
    """Also when the first is gone: a later one must not be mistaken for it."""

    async def work(outbox: MemoryOutbox) -> None:
        equal = draft("a", counted=True)
        await outbox.stage([equal, equal], SourcePass())
        claims = await claimed(outbox, 9)
        await outbox.settle([fate(claim) for claim in claims], ())
        await outbox.stage([equal], SourcePass())
        claims += await claimed(outbox, 9)
        assert keys(claims) == ["a", "a\0\2", "a\0\3"]

    in_memory(work)


def test_the_numbers_of_equal_records_do_not_fill_memory() -> None:
    """Of a long stream the latest are remembered."""
    again = [draft("2-5", counted=True), draft("0-5", counted=True)]

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage(again[1:], SourcePass())  # stays here, and so keeps its key
        for at in range(3):
            many = [draft(f"{at}-{n}", lane=2, counted=True) for n in range(memory.MAX_LOOKUPS)]
            await outbox.stage(many, SourcePass())
            claims = await claimed(outbox, 2 * memory.MAX_LOOKUPS)
            await outbox.settle([fate(claim) for claim in claims if claim.lane == 2], ())
        await outbox.stage([*again, draft("1-x", counted=True)], SourcePass())
        assert keys(await claimed(outbox, 9)) == ["2-5\0\2", "0-5\0\2", "1-x"]

    in_memory(work)


def test_facts_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are known, those of an end do not replace, and the oldest are forgotten."""
    monkeypatch.setattr(memory, "MAX_LOOKUPS", 10)

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage([draft("a")], SourcePass())
        (claim,) = await claimed(outbox, 1)
        here = claim.lease
        await outbox.put_lookups(here, {"n0": "old", "n1": "v1"})
        await outbox.settle([fate(claim, lookups={"n1": "other", "n2": "v2"})], ())
        assert await outbox.get_lookups(here, ["n1", "n2", "n3"]) == {"n1": "v1", "n2": "v2"}
        assert await outbox.get_lookups(here._replace(number=9), ["n1"]) == {}
        for number in range(100):
            await outbox.put_lookups(here, {f"m{number}": "v"})
        assert await outbox.get_lookups(here, ["n0", "m99"]) == {"m99": "v"}
        known = await outbox.get_lookups(here, [f"m{number}" for number in range(100)])
        assert 10 <= len(known) <= 20

    in_memory(work)
