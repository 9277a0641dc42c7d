"""The import of files for programs without a loop."""

from __future__ import annotations

import asyncio
import inspect
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import PATIENCE, sms, wait_until, write_jsonl
from fault_harness import UNPACED
from outbox_kit import ENVIRONMENT

import leadconnector_async
from leadconnector_async import ClosedError, LeadConnector
from leadconnector_async.sandbox import Latency, SandboxConfig, SandboxThread
from leadconnector_async.sync import ClientOptions, Options, import_files

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async import ImportSummary

COUNT = 1_000
PROGRAM = """
import sys
from leadconnector_async import sync
history, outbox, url = sys.argv[1:]
where = {"location_id": "here", "base_url": url, "rate_limit": None}
sync.import_files("token", [history], outbox=outbox, **where)
"""


def imported(sandbox: SandboxThread, folder: Path, **more: Any) -> ImportSummary:  # noqa: ANN401 - passed on
    """Import three messages, as a program without a loop does."""
    history = write_jsonl(folder / "h.jsonl", [sms(n) for n in range(3)])
    where: dict[str, Any] = {"location_id": sandbox.location_id, "base_url": sandbox.url}
    return import_files(sandbox.token, [history], outbox=folder / "o.db", **where, **more)


@pytest.mark.slow
def test_a_program_without_a_loop_imports(sandbox: SandboxThread, tmp_path: Path) -> None:
    """With the options of the client and of the import; the same call again sends nothing."""
    assert imported(sandbox, tmp_path, rate_limit=UNPACED, limit=2).sent == 2
    assert imported(sandbox, tmp_path).sent == 1
    assert (imported(sandbox, tmp_path).sent, len(sandbox.messages)) == (0, 3)
    assert leadconnector_async.sync.import_files is import_files


def test_a_client_may_be_given(sandbox: SandboxThread, tmp_path: Path) -> None:
    """It is used, and closed; options of a client have no place beside it."""
    api = LeadConnector(sandbox.token, location_id="here", base_url=sandbox.url)
    history = write_jsonl(tmp_path / "h.jsonl", [sms(0)])
    with pytest.raises(TypeError, match="location_id"):
        import_files(api, [history], outbox=tmp_path / "o.db", location_id="there")
    assert import_files(api, [history], outbox=tmp_path / "o.db").sent == 1
    with pytest.raises(ClosedError):
        import_files(api, [history], outbox=tmp_path / "o.db")


def test_within_a_loop_it_says_what_to_do(sandbox: SandboxThread, tmp_path: Path) -> None:
    """It would hold the loop, which asyncio refuses with other words, and a coroutine left over."""

    async def scenario() -> None:
        imported(sandbox, tmp_path)

    with pytest.raises(RuntimeError, match=r"await leadconnector_async\.import_files"):
        asyncio.run(scenario())


def test_a_thread_may_import(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Signals are then the main thread's."""
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(imported, sandbox, tmp_path).result().sent == 3


def test_it_takes_what_the_client_and_the_import_take() -> None:
    """Each option of both, but for the client's session, which is another loop's, and signals."""
    client = {*inspect.signature(LeadConnector).parameters} - {"token", "session", "limit"}
    assert client | {"rate_limit"} == ClientOptions.__optional_keys__
    there = {*inspect.signature(leadconnector_async.import_files).parameters}
    given = {"api", "sources", "outbox", "handle_signals"}
    assert there - given == Options.__optional_keys__ - ClientOptions.__optional_keys__


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_as_the_command(number: int, tmp_path: Path) -> None:
    """What is in flight is finished and written down; the same again sends only the rest."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(COUNT)])
    slow = SandboxConfig(latency=Latency(up=0.02, down=0.02))
    with SandboxThread(slow) as sandbox:
        words = [sys.executable, "-c", PROGRAM, str(history), str(tmp_path / "o.db"), sandbox.url]
        with subprocess.Popen(words, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
            wait_until(lambda: len(sandbox.messages) > 50)
            process.send_signal(number)
            _, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, errors.splitlines()[-1]) == (
            -signal.SIGINT,
            "KeyboardInterrupt",
        )
        assert 50 < len(sandbox.messages) < COUNT
        subprocess.run(words, env=ENVIRONMENT, check=True)
        assert sandbox.requests == {("inbound", 200): COUNT}  # nothing was in doubt
