"""What ``leadconnector failed`` does."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click
import msgspec

from leadconnector_async._api.late import read_late, with_contact
from leadconnector_async._messages import Refusal
from leadconnector_async._outbox.interface import State
from leadconnector_async._outbox.ledger import Ledger
from leadconnector_async._records import key_text
from leadconnector_async.cli._words import counted
from leadconnector_async.sources.failed import FailedRow, write_failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async._messages import Contact
    from leadconnector_async._outbox.ledger import FailedRecord

_REFUSALS: Final = msgspec.json.Decoder(Refusal)


def write(outbox: str, output: str | None) -> None:
    """Write the list to a file, or to standard output.

    Raises:
        OutboxError: the outbox does not exist, or cannot be read.
        click.ClickException: the list cannot be written.
    """
    with Ledger(outbox) as ledger:
        rows = _Counted(ledger.failed())
        forms = ledger.failed_forms()
        if not forms:
            click.echo("Nothing has failed.", err=True)
            return
        if output is None:
            write_failed(rows, sys.stdout.buffer, forms=forms)
            return
        with _private_file(output) as file:
            write_failed(rows, file, forms=forms)
    click.echo(
        f"{counted(rows.count, 'record')} written to {output}. Mend them, and import the file "
        "into the same outbox.",
        err=True,
    )


class _Counted:
    """Rows of the list as they are written, counted."""

    def __init__(self, records: Iterator[FailedRecord]) -> None:
        self._records = records
        self.count = 0

    def __iter__(self) -> Iterator[FailedRow]:
        for record in self._records:
            self.count += 1
            yield FailedRow(
                key_text(record.key),
                _reason(record),
                record.location,
                record.form,
                record.raw,
                record.payload and with_contact(record.payload, _contact(record)),
                record.source,
                record.line,
            )


def _contact(record: FailedRecord) -> Contact | None:
    """Whom a record is with that came from no source: its body does not say."""
    return read_late(record.late).contact if record.late and record.raw is None else None


def _reason(record: FailedRecord) -> str:
    """The reason, with the API's trace id where there is one: its support asks for it."""
    reason = record.reason or "no reason given"
    if record.detail:
        reason = str(_REFUSALS.decode(record.detail))
    return f"unresolved: {reason}" if record.state is State.UNRESOLVED else reason


@contextmanager
def _private_file(path: str) -> Iterator[BinaryIO]:
    """A file that appears whole or not at all, readable by its owner alone."""
    part = Path(f"{path}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise click.ClickException(
            f"{path} cannot be written ({error.strerror}): choose another file"
        ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
