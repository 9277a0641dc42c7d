"""What a source gives can be run like any other messages."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING

import pytest
from fault_harness import UNPACED

from leadconnector_async import Ingestor, LeadConnector, Rejected, Sent
from leadconnector_async.sandbox import Sandbox, SandboxConfig, SandboxThread
from leadconnector_async.sources import SourceOptions, open_source

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.models import Outcome

TABLE = """id,type,direction,contact.phone,date,message
a,SMS,inbound,+12125550100,2024-03-01T10:00:00Z,one
b,SMS,inbound,+12125550100,2024-03-01T09:00:00Z,two
,SMS,sideways,+12125550101,2024-03-01T09:00:00Z,three
c,SMS,inbound,72345,2024-03-01T09:00:00Z,from a short code
"""


def run(sandbox: SandboxThread, path: Path, outbox: Path | None) -> list[Outcome]:
    """Run a file through an ingestor."""

    async def scenario() -> list[Outcome]:
        options = SourceOptions(leave_out=frozenset({"short-codes"}))
        async with (
            LeadConnector(
                sandbox.token, location_id="here", base_url=sandbox.url, limit=UNPACED
            ) as api,
            Ingestor(api, outbox=outbox) as ingestor,
        ):
            with open_source(str(path), options) as source:
                return [outcome async for outcome in ingestor.run(source)]

    return asyncio.run(scenario())


@pytest.mark.parametrize("durable", [True, False])
def test_rows_are_checked_and_sent(tmp_path: Path, durable: bool) -> None:  # noqa: FBT001 - a case
    """In date order; what is wrong, or not to be sent, is told with its reason."""
    (tmp_path / "h.csv").write_text(TABLE)
    with SandboxThread() as sandbox:
        outbox = tmp_path / "o.db" if durable else None
        outcomes = run(sandbox, tmp_path / "h.csv", outbox)
        texts = [message.fields["message"] for message in sandbox.messages]
    assert sorted(texts) == ["one", "two"]
    assert sorted(one.key for one in outcomes if isinstance(one, Sent)) == ["a", "b"]
    refused, left_out = (one for one in outcomes if isinstance(one, Rejected))
    assert refused.reason.startswith("direction is ")
    assert (left_out.key, left_out.reason.split(":")[0]) == ("c", "left out")


@pytest.mark.parametrize("durable", [True, False])
async def test_a_source_is_closed_by_the_run_that_reads_it(
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
    durable: bool,  # noqa: FBT001 - a case
) -> None:
    """Nobody else may have a name for it; and a path may be one of any kind."""
    (tmp_path / "h.csv").write_text(TABLE)
    warnings.simplefilter("always", ResourceWarning)
    async with (
        Sandbox(SandboxConfig(closed=False)) as sandbox,
        LeadConnector("any", location_id="here", base_url=sandbox.url) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None) as ingestor,
    ):
        run = ingestor.run(open_source(tmp_path / "h.csv"))
        assert len([outcome async for outcome in run]) == 4
        del run
        gc.collect()
    assert not [*map(str, recwarn)]


def test_the_same_source_again_is_known(tmp_path: Path) -> None:
    """As for the command: nothing is sent twice, and a mended line takes its old one's place."""
    history = tmp_path / "h.csv"
    history.write_text(TABLE)
    with SandboxThread() as sandbox:
        run(sandbox, history, tmp_path / "o.db")
        history.write_text(TABLE.replace("sideways", "inbound"))
        again = [one for one in run(sandbox, history, tmp_path / "o.db") if isinstance(one, Sent)]
        texts = sorted(message.fields["message"] for message in sandbox.messages)
    assert len(again) == 1
    assert texts == ["one", "three", "two"]
