from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import termios
import time
from array import array
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from cli_harness import (
    PATIENCE,
    at,
    leadconnector,
    read_until,
    result_of,
    sms,
    started,
    wait_until,
    write_jsonl,
)

from leadconnector_async.cli import report_lines
from leadconnector_async.file_importer import STOPPING_S, Signals
from leadconnector_async.sandbox import Fault, Latency, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.reports.summary import ImportSummary
    from leadconnector_async.sources.batch_reader import SourceReader

SLOW = SandboxConfig(latency=Latency(up=0.02, down=0.02))
COUNT = 200


def ids(sandbox: SandboxThread) -> list[str]:
    """The own ids of what is stored."""
    return sorted(str(message.alt_id) for message in sandbox.messages)


def waiting_in(pipe: int) -> int:
    """How many bytes of a pipe nobody has read."""
    size = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.full)]
)
def test_one_signal_finishes_what_is_in_flight(number: int, tmp_path: Path) -> None:
    """Exit 130, all answers settled; the same command again sends the rest, and only the rest."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(COUNT)])
    with SandboxThread(SLOW) as sandbox:
        words = ["import", history, *at(sandbox, tmp_path / "o.db"), "--json"]
        with started(*words) as process:
            wait_until(lambda: len(sandbox.messages) > 50)
            process.send_signal(number)
            output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130, errors
        assert "Finishing what is in flight" in errors
        result = result_of(output)
        assert result["sent"] == len(sandbox.messages) < COUNT
        assert result["pending"] == COUNT - result["sent"]
        again = leadconnector(*words)
        assert again.exit_code == 0, again.output
        assert result_of(again.stdout)["requests"] == result["pending"]
        assert ids(sandbox) == sorted(f"m{n}" for n in range(COUNT))


@pytest.mark.slow
def test_two_signals_stop_at_once_and_lose_nothing(tmp_path: Path) -> None:
    """What hung in flight is looked for by the next run, and is not stored twice."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(100)])
    hang = Fault("hang", when="after", nth=tuple(range(30, 36)), seconds=60.0)
    with SandboxThread(SandboxConfig(faults=(hang,))) as sandbox:
        words = ["import", history, *at(sandbox, tmp_path / "o.db"), "--look-after", "0.05"]
        with started(*words, "--json") as process:
            wait_until(lambda: sandbox.faults_fired["hang"] > 0)
            process.send_signal(signal.SIGINT)
            read_until(process.stderr, "Ctrl-C again")
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130, errors
        assert result_of(output)["pending"] > 0
        sandbox.set_faults()
        again = leadconnector(*words)
        assert again.exit_code == 0, again.output
        assert ids(sandbox) == sorted(f"m{n}" for n in range(100))


def test_a_signal_that_comes_late_takes_no_report_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is sent, and it is said so."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(1)])
    printed = report_lines.print_json

    def print_interrupted(summary: ImportSummary) -> None:
        signal.raise_signal(signal.SIGINT)
        printed(summary)

    monkeypatch.setattr(report_lines, "print_json", print_interrupted)
    with SandboxThread() as sandbox:
        done = leadconnector("import", history, *at(sandbox, tmp_path / "o.db"), "--json")
    assert (done.exit_code, result_of(done.stdout)["sent"]) == (0, 1)


async def test_signals_of_one_moment_stop_at_once_and_do_not_kill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A terminal, a script and a supervisor may each send one; whoever insists is obeyed."""
    now, done, ended = [0.0], list[str](), list[int]()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    idle = cast("SourceReader", SimpleNamespace(stop=lambda: None, reading=False))
    act = {"finish": lambda: done.append("finish"), "stop_now": lambda: done.append("stop")}
    with Signals(idle, **act):
        for _ in range(4):
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        now[0] += STOPPING_S
        insisted, ends = signal.SIGTERM, signal.getsignal(signal.SIGTERM)
        monkeypatch.setattr(signal, "raise_signal", ended.append)
        assert callable(ends)
        ends(insisted, None)
        assert ended == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        await asyncio.sleep(0)
    assert done[:2] == ["finish", "stop"]


@pytest.mark.slow
def test_a_signal_breaks_into_a_pipe_that_says_nothing(tmp_path: Path) -> None:
    """While standard input gives nothing, the command still answers to Ctrl-C."""
    reader, writer = os.pipe()
    words = ["import", "-", "--json"]
    with SandboxThread() as sandbox:
        options = at(sandbox, tmp_path / "o.db")
        with started(*words, *options, stdin=reader) as process:
            os.write(writer, b'{"type": "SMS"}')
            wait_until(lambda: waiting_in(reader) == 0)  # it has taken that, and waits for more
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=PATIENCE)
    os.close(reader)
    os.close(writer)
    assert process.returncode == 130, errors
    assert result_of(output)["sent"] == 0


@pytest.mark.slow
def test_the_outbox_can_be_asked_while_an_import_runs(tmp_path: Path) -> None:
    """``status`` reads beside the import; a second import of the same outbox is refused."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(COUNT)])
    with SandboxThread(SLOW) as sandbox:
        words = ["import", history, *at(sandbox, tmp_path / "o.db"), "--json"]
        with started(*words) as process:
            wait_until(lambda: len(sandbox.messages) > 50)
            process.send_signal(signal.SIGSTOP)  # else it might be done before it is asked for
            status = leadconnector("status", "--outbox", tmp_path / "o.db", "--json")
            second = leadconnector(*words)
            process.send_signal(signal.SIGCONT)
            process.communicate(timeout=PATIENCE)
        counts = result_of(status.stdout)
        assert counts["sent"] + counts["pending"] == COUNT
        assert second.exit_code == 1
        assert f"in use by process {process.pid}" in second.stderr
        assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_sandbox(number: int) -> None:
    """It prints its address first, alone on standard output, and ends cleanly."""
    with started("sandbox", "--port", "0") as process:
        read_until(process.stdout, "http://127.0.0.1:")
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    """As in ``leadconnector failed | head``."""
    records = [sms(n, direction=None, message="x" * 5000) for n in range(200)]
    history = write_jsonl(tmp_path / "history.jsonl", records)
    leadconnector("import", history, "--sandbox", "--outbox", tmp_path / "demo.db")
    with started("failed", "--outbox", tmp_path / "demo.db") as process:
        read_until(process.stdout, "direction is missing")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
