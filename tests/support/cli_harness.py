"""Running the command: in this process, or as a real process that takes real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from leadconnector_async.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from leadconnector_async.sandbox import SandboxThread

PATIENCE = 120.0
"""Seconds to wait for something that takes a fraction of one, however busy the machine is."""

OWN_FORM = "ve9EPM428h8vShlRW1KT"
"""An id as the API gives them out: a process of its own takes no other one for known."""


def leadconnector(*words: object, stdin: bytes | None = None, **variables: str) -> Result:
    """Run the command in this process, with no variables of this one's environment."""
    clean = {name: None for name in os.environ if name.startswith("LEADCONNECTOR_")}
    arguments = [str(word) for word in words]
    return CliRunner().invoke(app, arguments, input=stdin, env={**clean, **variables})


def result_of(output: str) -> dict[str, Any]:
    """The JSON object that a command printed last."""
    found = json.loads(output.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def at(sandbox: SandboxThread, outbox: Path | str) -> list[str]:
    """The options that import into a running sandbox, without pacing."""
    return [
        *("--base-url", sandbox.url, "--token", sandbox.token, "--location", sandbox.location_id),
        *("--outbox", str(outbox), "--quota", "100000/0.1"),
    ]


def sms(number: int, **fields: object) -> dict[str, object]:
    """A good record. Twenty contacts take turns."""
    return {
        "id": f"m{number}",
        "type": "SMS",
        "contactId": f"contact{number % 20}",
        "direction": "inbound",
        "date": f"2024-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        "message": f"secret text {number}",
        **fields,
    }


def write_jsonl(path: Path, records: Sequence[object]) -> Path:
    """Write records down, one to a line."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@contextmanager
def started(
    *words: object, stdin: int | None = None, stdout: int = subprocess.PIPE, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own, which does not outlive the block."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LEADCONNECTOR_")}
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: inherited
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "leadconnector_async.cli", *map(str, words)],
        env=clean | variables,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(stream: IO[str] | None, text: str) -> None:
    """Read lines until one holds the text."""
    assert stream is not None
    assert any(text in line for line in stream), f"{text!r} was never said"


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait for something that another process or thread does."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
