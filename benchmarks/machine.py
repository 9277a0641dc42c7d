"""The machine: what it is, and which of its cores does what."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

CLIENT_CORE: Final = 0
SERVER_CORE: Final = 1
PACKAGES: Final = (
    "aiohttp",
    "msgspec",
    "orjson",
    "uvloop",
    "httpx",
    "gohighlevel-api-client",
    "granian",
    "pycurl",
    "pyreqwest",
)
CPUINFO: Final = Path("/proc/cpuinfo")


def pin(core: int, process: int = 0) -> bool:
    """Keep a process, by default this one, and those that it starts, on one core.

    Its threads that run already stay where they are. False where that cannot be done.
    """
    if sys.platform != "linux" or core not in range(os.cpu_count() or 1):
        return False
    try:
        os.sched_setaffinity(process, {core})
    except OSError:  # a container may have fewer than the machine
        return False
    return True


def describe() -> dict[str, object]:
    """What a reader has to know before comparing these figures with others."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _cpu() -> str:
    if CPUINFO.exists():
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
