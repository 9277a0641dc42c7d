from __future__ import annotations

from typing import TYPE_CHECKING

from outbox_kit import claimed, draft, fate, keys

from leadconnector_async.outbox import memory
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.source_pass import SourcePass

if TYPE_CHECKING:
    import pytest


async def test_the_numbers_of_equal_records_do_not_fill_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a long stream the latest are remembered."""
    monkeypatch.setattr(memory, "MAX_LOOKUPS", 1_000)
    again = [draft("2-5", counted=True), draft("0-5", counted=True)]
    outbox = MemoryOutbox()
    await outbox.stage(again[1:], SourcePass())  # stays here, and so keeps its key
    for at in range(3):
        many = [draft(f"{at}-{n}", lane=2, counted=True) for n in range(memory.MAX_LOOKUPS)]
        await outbox.stage(many, SourcePass())
        claims = await claimed(outbox, 2 * memory.MAX_LOOKUPS)
        await outbox.settle([fate(claim) for claim in claims if claim.lane == 2], ())
    await outbox.stage([*again, draft("1-x", counted=True)], SourcePass())
    assert repr(outbox) == "<MemoryOutbox 4 records>"
    assert keys(await claimed(outbox, 9)) == ["2-5\0\2", "0-5\0\2", "1-x"]


async def test_facts_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are known, those of an end do not replace, and the oldest are forgotten."""
    monkeypatch.setattr(memory, "MAX_LOOKUPS", 10)
    outbox = MemoryOutbox()
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
