"""The command ``leadconnector``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command. Ends the process with one of the documented exit codes."""
    try:
        from leadconnector_async.cli.app import app  # noqa: PLC0415 - an extra that may be missing
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("leadconnector: click is missing: pip install 'leadconnector-async[cli]'")
    app(prog_name="leadconnector")
