"""How long do ``import leadconnector_async`` and ``leadconnector --help`` take to start?

Against ``python -c pass`` and ``import aiohttp``; medians, every command in turn, after a first
round that fills the caches.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import Final

from benchmarks import machine
from benchmarks.contest import report

ROUNDS: Final = 15
HELP: Final = (
    "import sys; sys.argv[1:] = ['--help']; from leadconnector_async.cli import main; main()"
)
COMMANDS: Final = {
    "python -c pass": "pass",
    "import aiohttp": "import aiohttp",
    "import leadconnector_async": "import leadconnector_async",
    "from leadconnector_async import Ingestor": "from leadconnector_async import Ingestor",
    "leadconnector --help": HELP,
}


def started_ms(code: str) -> float:
    """Milliseconds from the start of an interpreter to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - the code above
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure, and print one JSON object."""
    machine.pin(machine.CLIENT_CORE)
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(ROUNDS + 1):
        for name, code in COMMANDS.items():
            elapsed = started_ms(code)
            if number:
                took[name].append(elapsed)
    report("start", milliseconds={name: round(median(its), 1) for name, its in took.items()})


if __name__ == "__main__":
    main()
