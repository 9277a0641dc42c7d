"""A whole import: the command, from the file to the last settled record, in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from benchmarks.contest import Lap
from benchmarks.records import location_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


ON_ASYNCIO: Final = "import sys; sys.modules['uvloop'] = None; "
"""The command takes uvloop wherever it can be imported: there is no switch."""
RUN: Final = "from leadconnector_async.cli import main; main()"


class Import(Struct, frozen=True):
    """What one import took: the start of Python and the opening of the outbox are in its lap."""

    lap: Lap
    peak_mib: float
    summary: dict[str, Any]
    """The command's own ``--json``."""

    @property
    def own_clock(self) -> Lap:
        """The same by the import's own clock, which begins with the first record read."""
        return Lap(self.lap.messages, self.summary["elapsed_s"], self.lap.cpu_s)


def import_file(  # noqa: PLR0913 - what a user would give
    source: Path,
    outbox: Path | str,
    base_url: str,
    *,
    in_flight: int | None,
    uvloop: bool = True,
    environment: Mapping[str, str] = {},
) -> Import:
    """Import a file, and see that all of it was sent.

    ``in_flight`` is None for the command's default, and ``environment`` has further options. The
    peak is the kernel's own figure for the process. A child inherits its parent's peak until
    it outgrows it, which every import does as long as the parent is small.
    """
    code = RUN if uvloop else ON_ASYNCIO + RUN
    command = [sys.executable, "-c", code, "import", str(source), "--json"]
    options = {
        "LEADCONNECTOR_LOCATION": location_id(0),
        "LEADCONNECTOR_BASE_URL": base_url,
        "LEADCONNECTOR_OUTBOX": str(outbox),
        **environment,
    }
    if "LEADCONNECTOR_LOCATIONS" not in environment:
        options["LEADCONNECTOR_TOKEN"] = "benchmark"  # noqa: S105 - no secret
    if in_flight is not None:
        options["LEADCONNECTOR_CONCURRENCY"] = str(in_flight)
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own module
        command, env=os.environ | options, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the import ended with status {process.returncode}")
    summary: dict[str, Any] = msgspec.json.decode(output.splitlines()[-1])
    assert summary["sent"] == summary["staged"] > 0
    lap = Lap(summary["sent"], elapsed, usage.ru_utime + usage.ru_stime)
    return Import(lap, _mebibytes(usage.ru_maxrss), summary)


def _mebibytes(maxrss: int) -> float:
    """Linux counts in KiB, macOS in bytes."""
    return maxrss / 2**20 if sys.platform == "darwin" else maxrss / 2**10
