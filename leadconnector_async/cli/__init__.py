"""The command ``leadconnector``."""

from __future__ import annotations

import gc
import sys
from typing import Final

__all__ = ["main"]

YOUNG: Final = 10_000
"""New objects after which cycles are looked for among them. Python's 700 are those of a few
records, that have no cycles and are held for a while: looking takes 2 % of an import."""


def main() -> None:
    """Run the command. Ends the process with one of the documented exit codes."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    try:
        from leadconnector_async.cli.app import app  # noqa: PLC0415 - an extra that may be missing
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("leadconnector: click is missing: pip install 'leadconnector-async[cli]'")
    app(prog_name="leadconnector")
