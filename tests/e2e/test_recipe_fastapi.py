"""The webhook of the docs, as its page has it run: real processes of uvicorn, a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import pytest
from cli_harness import PATIENCE
from outbox_kit import ENVIRONMENT

from leadconnector_async.sandbox import Fault, Latency, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.slow

RECIPES: Final = Path(__file__).parents[2] / "docs" / "recipes"
SOME: Final = 75
SLOW: Final = SandboxConfig(latency=Latency(up=0.01, down=0.01))
_RUNNING: Final = re.compile(r"running on (http://\S+)")
_NO_ANSWER: Final = 0


@contextmanager
def webhook(
    sandbox: SandboxThread, outbox: str, *, workers: int = 2, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The recipe's own command, once all its workers have started; and its address."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "fastapi_webhook:app", "--port", "0"),
            *("--workers", str(workers), "--timeout-graceful-shutdown", "30"),
        ],
        cwd=RECIPES,
        env=ENVIRONMENT | environment(sandbox, outbox) | variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, _address(process, workers)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def environment(sandbox: SandboxThread, outbox: str) -> dict[str, str]:
    """What each recipe reads."""
    return {
        "LEADCONNECTOR_TOKEN": sandbox.token,
        "LEADCONNECTOR_LOCATION": sandbox.location_id,
        "LEADCONNECTOR_BASE_URL": sandbox.url,
        "LEADCONNECTOR_OUTBOX": outbox,
    }


def _address(process: subprocess.Popen[str], workers: int) -> str:
    address, started, said = "", 0, []
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        found = _RUNNING.search(line)
        address = found[1] if found else address
        started += "startup complete" in line
        if address and started == workers:
            return address
    raise AssertionError("".join(said))


async def post(session: aiohttp.ClientSession, number: int) -> int:
    """Post one message, as its sender does; the status, 0 where no answer came."""
    text = {
        "id": f"m{number}",
        "sender": f"+121255501{number % 50:02}",
        "text": f"text {number}",
        "received_at": f"2024-03-01T10:{number // 60 % 60:02}:{number % 60:02}Z",
    }
    try:
        async with session.post("/messages", json=text) as response:
            await response.read()
            return response.status
    except aiohttp.ClientError:
        return _NO_ANSWER


async def post_all(address: str, numbers: Iterable[int]) -> dict[int, int]:
    """Post messages, forty at a time, until nobody answers any more; the status of each."""
    statuses: dict[int, int] = {}
    left = iter(numbers)

    async def sender(session: aiohttp.ClientSession) -> None:
        for number in left:
            statuses[number] = await post(session, number)
            if _NO_ANSWER in statuses.values():
                return

    connections = aiohttp.TCPConnector(limit=40)
    async with aiohttp.ClientSession(address, connector=connections) as session:
        await asyncio.gather(*(sender(session) for _ in range(40)))
    return statuses


@pytest.mark.full
def test_a_stopped_webhook_loses_nothing(postgres_place: str) -> None:
    """SIGTERM amid the traffic of two processes ends both, and what was answered is stored.

    All of it is, once, after its senders have sent it again, twice, to two others.
    """
    with SandboxThread(SLOW) as sandbox:
        with webhook(sandbox, postgres_place) as (process, address):
            statuses = asyncio.run(_until_stopped(sandbox, process, address))
            assert process.wait(PATIENCE) == 0
        assert set(statuses.values()) <= {200, 503, _NO_ANSWER}
        answered = {f"m{number}" for number, status in statuses.items() if status == 200}
        assert answered <= {one.alt_id for one in sandbox.messages}
        assert len(answered) < len(statuses)
        with webhook(sandbox, postgres_place, WEBHOOK_WAIT=str(PATIENCE)) as (_, address):
            again = asyncio.run(post_all(address, [*statuses, *statuses]))
        assert set(again.values()) == {200}
        assert Counter(one.alt_id for one in sandbox.messages) == {f"m{n}": 1 for n in statuses}


async def _until_stopped(
    sandbox: SandboxThread, process: subprocess.Popen[str], address: str
) -> dict[int, int]:
    posting = asyncio.create_task(post_all(address, count()))
    while len(sandbox.messages) < SOME:
        await asyncio.sleep(0.005)
        assert not posting.done()
    process.terminate()
    return await posting


def test_a_full_webhook_says_so(sandbox: SandboxThread, tmp_path: Path) -> None:
    """One without an outcome yet is to be asked for again; one beyond what may be in hand too."""
    sandbox.set_faults(Fault("hang", text="text 0", seconds=PATIENCE))
    full = {"WEBHOOK_BUFFER": "1", "WEBHOOK_WAIT": "0.2"}
    outbox = str(tmp_path / "o.db")

    async def scenario(address: str) -> list[tuple[int, str, str]]:
        answers = []
        async with aiohttp.ClientSession(address) as session:
            for number in range(2):
                text = {"id": str(number), "sender": "+12125550100", "text": f"text {number}"}
                text["received_at"] = "2024-03-01T10:00:00Z"
                async with session.post("/messages", json=text) as response:
                    detail = (await response.json())["detail"]
                    answers.append((response.status, detail, response.headers["Retry-After"]))
        return answers

    with webhook(sandbox, outbox, workers=1, **full) as (_, address):
        late, beyond = asyncio.run(scenario(address))
    assert late == (503, "no outcome yet", "30")
    assert beyond == (503, "too much is in hand", "30")


def test_what_will_never_be_stored_is_the_senders_fault(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Whether the API says so, or drops it without a word."""
    sandbox.set_faults(Fault("refused", text="text 7"), Fault("vanished", text="text 8"))
    with webhook(sandbox, str(tmp_path / "o.db"), workers=1) as (_, address):
        assert asyncio.run(post_all(address, [7, 8, 9])) == {7: 422, 8: 422, 9: 200}
    sandbox.messages.assert_stored(contact="+12125550109", message="text 9", alt_id="m9")
