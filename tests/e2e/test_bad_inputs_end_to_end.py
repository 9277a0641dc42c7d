"""Every bad input of the list, from the file to the server: the good records beside it are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bad_inputs import BAD_INPUTS, BadInput
from test_cancellation import engine_for

from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.records.builder import RowDrafter
from leadconnector_async.sandbox import SandboxConfig
from leadconnector_async.sandbox.state import SandboxState
from leadconnector_async.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

READABLE = [bad for bad in BAD_INPUTS if bad.line]


@pytest.mark.parametrize("bad", READABLE, ids=[bad.name for bad in READABLE])
async def test_the_good_records_beside_a_bad_one_are_sent(bad: BadInput, tmp_path: Path) -> None:
    """And the bad one is kept, with the reason that names its field or line."""
    path = tmp_path / f"input{bad.suffix}"
    path.write_bytes(bad.content)
    state = SandboxState(SandboxConfig())
    drafter = RowDrafter(state.config.location_id, 0)
    async with await SqliteOutbox.open(tmp_path / "outbox.db") as outbox:
        with open_source(str(path), bad.options) as source:
            drafts = [drafter.draft_of(parsed) for parsed in source]
        staged = await outbox.stage(drafts, SourcePass())
        assert staged.staged == len(drafts)
        assert staged.refused >= 1
        await outbox.publish()
        dispatcher = engine_for(state, outbox)
        for location in await outbox.locations():
            await dispatcher.open(location)
        await dispatcher.work()
    assert len(state.store.messages()) == bad.good == dispatcher.stats.sent
