"""The command ``leadconnector``."""

import gc
import os
import signal
import sys
from typing import Final, TextIO

__all__ = ["main"]

YOUNG: Final = 10_000
"""New objects after which cycles are looked for among them. Python's 700 are those of a few
records, that have no cycles and are held for a while: looking takes 2 % of an import."""


def main() -> None:
    """Run the command. Ends the process with one of the documented exit codes."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed: a socket, or an outbox, would get its number
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - to the end
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        from leadconnector_async.cli.app import app, written_whole  # noqa: PLC0415 - an extra that may be missing
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("leadconnector: click is missing: pip install 'leadconnector-async[cli]'")
    except KeyboardInterrupt:
        sys.stderr.write("leadconnector: interrupted\n")
        sys.exit(130)
    sys.stdout, sys.stderr = map(written_whole, (sys.stdout, sys.stderr))
    try:
        app(prog_name="leadconnector")
    except OSError as error:
        sys.stdout.write("\n")  # what was larger than its buffer is not tried again
        if not _is_lost(sys.stdout):
            raise
        why = f"standard output cannot be written ({error.strerror})"
        sys.exit(f"leadconnector: {why}: make room, or send it elsewhere")
    finally:
        _is_lost(sys.stdout)
        _is_lost(sys.stderr)
        gc.freeze()  # or Python looks for cycles four times at its end, in what ends with it


def _interrupt(number: int, _frame: object) -> None:
    """End for a supervisor as for Ctrl-C, whose handler is a loop's own while one runs."""
    handler = signal.getsignal(signal.SIGINT)
    (handler if callable(handler) else signal.default_int_handler)(number, None)


def _is_lost(stream: TextIO) -> bool:
    """Whether it cannot be written. Then Python tries in vain no more, nor ends with 120 for it."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return True
    return False
