"""The recipes of the docs, run with the frameworks that they are for; see FastAPI's beside it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pytest
from cli_harness import PATIENCE, sms, write_jsonl
from outbox_kit import ENVIRONMENT

from leadconnector_async import AccessError
from leadconnector_async.sandbox import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import ModuleType

    from faststream.message import StreamMessage
    from taskiq import TaskiqResult

    from leadconnector_async.sandbox import SandboxThread

RECIPES: Final = Path(__file__).parents[2] / "docs" / "recipes"
WHEN: Final = datetime(2024, 3, 1, 10, tzinfo=UTC)
COUNT: Final = 20
NUMBER: Final = "+12125550100"


@pytest.fixture
def environment(
    sandbox: SandboxThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """What each recipe reads, in this process and for another."""
    variables = {
        "LEADCONNECTOR_TOKEN": sandbox.token,
        "LEADCONNECTOR_LOCATION": sandbox.location_id,
        "LEADCONNECTOR_BASE_URL": sandbox.url,
        "LEADCONNECTOR_OUTBOX": str(tmp_path / "outbox.db"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return ENVIRONMENT | variables


@pytest.fixture
def recipe(
    environment: dict[str, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """The module of a recipe, as its framework imports it: it reads its environment then."""
    assert environment
    monkeypatch.syspath_prepend(RECIPES)
    yield __import__(request.param)
    del sys.modules[request.param]


def text(number: int) -> dict[str, Any]:
    """A message as a queue holds it."""
    when = WHEN + timedelta(minutes=number)
    return {"sender": NUMBER, "text": f"text {number}", "received_at": when}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["taskiq_tasks"], indirect=True)
def test_taskiq(recipe: ModuleType, sandbox: SandboxThread) -> None:
    """A task that is queued twice is stored once; one that failed is known when it comes again."""
    sandbox.set_faults(Fault("refused", text="text 4", status=409))

    async def results(*numbers: int) -> list[TaskiqResult[str]]:
        await recipe.broker.startup()
        try:
            tasks = [await recipe.send_text.kiq(id_=f"m{n}", **text(n)) for n in numbers]
            return [await task.wait_result(timeout=PATIENCE) for task in tasks]
        finally:
            await recipe.broker.shutdown()

    first = asyncio.run(results(*range(COUNT), *range(COUNT)))
    ids = [result.return_value for result in first]
    assert ids[:COUNT] == ids[COUNT:]
    assert len({*ids}) == COUNT
    assert ids[4].startswith("rejected: 409")
    sandbox.set_faults(Fault("403", times=1))
    (failed,) = asyncio.run(results(COUNT))
    assert isinstance(failed.error, AccessError)
    (later,) = asyncio.run(results(COUNT))
    for number in {*range(COUNT + 1)} - {4}:
        sandbox.messages.assert_stored(contact=NUMBER, message=f"text {number}")
    assert sandbox.messages[-1].id == later.return_value


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["faststream_consumer"], indirect=True)
def test_faststream(recipe: ModuleType, sandbox: SandboxThread) -> None:
    """A message is acknowledged after its outcome; one without any ends the consumer."""
    from faststream import BaseMiddleware, TestApp  # noqa: PLC0415 - it takes a while
    from faststream.message import AckStatus  # noqa: PLC0415 - the same
    from faststream.nats import TestNatsBroker  # noqa: PLC0415 - the same

    seen: list[tuple[StreamMessage[Any], AckStatus | None]] = []

    class Acknowledgements(BaseMiddleware[Any, Any]):
        """Keeps each message with what became of it by the end of its handler."""

        async def consume_scope(
            self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]
        ) -> object:
            """Handle one message."""
            try:
                return await call_next(msg)
            finally:
                seen.append((msg, msg.committed))

    async def deliver(*numbers: int) -> list[AckStatus | None]:
        first = len(seen)
        async with TestNatsBroker(recipe.broker) as broker, TestApp(recipe.app):
            for number in numbers:
                message = {"id": f"m{number}", **text(number)}
                await broker.publish(message, "texts.received", stream="texts")
                sandbox.messages.assert_stored(contact=NUMBER, message=message["text"])
        return [message.committed for message, _ in seen[first:]]

    async def ended() -> None:
        async with TestNatsBroker(recipe.broker), asyncio.timeout(PATIENCE):
            await recipe.app.run()  # which ends at once where it was told to

    recipe.broker.add_middleware(Acknowledgements)
    assert asyncio.run(deliver(0, 1, 1)) == [AckStatus.ACKED] * 3
    sandbox.set_faults(Fault("403", times=1))
    with pytest.raises(AccessError):
        asyncio.run(deliver(2))
    failed, _ = seen[-1]
    assert failed.committed is AckStatus.NACKED
    asyncio.run(ended())
    assert asyncio.run(deliver(2, 3)) == [AckStatus.ACKED] * 2
    assert [early for _, early in seen] == [None] * 6
    sandbox.messages.assert_in_order(*(f"text {number}" for number in range(4)))


@pytest.mark.slow
def test_polars(sandbox: SandboxThread, environment: dict[str, str], tmp_path: Path) -> None:
    """Each row has its outcome; the same again has none left."""
    import polars as pl  # noqa: PLC0415 - it takes a while

    sandbox.set_faults(Fault("refused", text="text 2", status=409))
    rows = [{"id": f"m{number}", **text(number)} for number in range(COUNT)]
    pl.DataFrame(rows).write_parquet(tmp_path / "texts.parquet")
    pl.DataFrame(rows).with_columns(pl.col("received_at").dt.to_string("iso:strict")).write_csv(
        tmp_path / "texts.csv"
    )
    sent = []
    for source in ("texts.parquet", "texts.csv"):
        words = [sys.executable, str(RECIPES / "polars_frame.py"), source, "outcomes.parquet"]
        done = subprocess.run(words, cwd=tmp_path, env=environment, check=False)
        outcomes = pl.read_parquet(tmp_path / "outcomes.parquet")
        sent.append((done.returncode, outcomes.height, *outcomes["outcome"].unique().sort()))
    assert sent == [(1, COUNT, "Rejected", "Sent"), (0, 0)]
    for number in {*range(COUNT)} - {2}:
        when = WHEN + timedelta(minutes=number)
        sandbox.messages.assert_stored(contact=NUMBER, message=f"text {number}", date=when)
    naive = pl.read_csv(tmp_path / "texts.csv").with_columns(id="naive" + pl.col("id"))
    naive.with_columns(pl.col("received_at").str.head(19)).write_csv(tmp_path / "naive.csv")
    words = [sys.executable, str(RECIPES / "polars_frame.py"), "naive.csv", "outcomes.parquet"]
    assert subprocess.run(words, cwd=tmp_path, env=environment, check=False).returncode == 1
    assert len(sandbox.messages) == COUNT - 1  # a moment without an offset is not taken for UTC


@pytest.mark.slow
def test_the_notebook(
    sandbox: SandboxThread,
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is kept without outputs; run, it shows the progress in one place, and what failed."""
    import nbformat  # noqa: PLC0415 - it takes a while
    from nbclient import NotebookClient  # noqa: PLC0415 - the same
    from traitlets.config import Config  # noqa: PLC0415 - the same

    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    history = [sms(number) for number in range(COUNT)] + [sms(COUNT, direction="sideways")]
    monkeypatch.setenv("HISTORY", str(write_jsonl(tmp_path / "history.jsonl", history)))
    notebook = nbformat.read(RECIPES / "progress.ipynb", as_version=4)  # type: ignore[no-untyped-call] # it has no types
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count is None and not cell.outputs for cell in code)
    with TemporaryDirectory(prefix="lc") as folder:
        NotebookClient(
            notebook,
            resources={"metadata": {"path": str(tmp_path)}},
            # Ports that are free may be another's by the time the kernel has started.
            config=Config(KernelManager={"transport": "ipc", "ip": f"{folder}/k"}),
            startup_timeout=PATIENCE,
            iopub_timeout=PATIENCE,
        ).execute()
    _, progress, summary = code
    (shown,) = progress.outputs  # each line has replaced the one before
    assert shown["data"]["text/markdown"] == f"**{COUNT}** of {COUNT} (1 failed, 0 in doubt)"
    failed, printed = summary.outputs
    assert "| 1 | direction is" in failed["data"]["text/markdown"]
    assert printed["text"] == f"{COUNT} sent, 1 failed, 0 unresolved\n"
    assert len(sandbox.messages) == COUNT
