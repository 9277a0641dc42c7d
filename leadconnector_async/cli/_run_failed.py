"""What ``leadconnector failed`` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async._api.late import read_late, with_contact
from leadconnector_async._messages import Refusal
from leadconnector_async._outbox.interface import State
from leadconnector_async._outbox.ledger import Ledger
from leadconnector_async._records import key_text
from leadconnector_async.cli._prose import say
from leadconnector_async.cli._whole_file import whole_file
from leadconnector_async.cli._words import counted
from leadconnector_async.sources.failed import FailedRow, write_failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async._messages import Contact
    from leadconnector_async._outbox.ledger import FailedRecord

_REFUSALS: Final = msgspec.json.Decoder(Refusal)


def write(outbox: str, output: str) -> None:
    """Write the list to a file; ``-`` is standard output.

    Raises:
        OutboxError: the outbox does not exist, or cannot be read.
        click.ClickException: the list cannot be written.
    """
    with Ledger(outbox) as ledger:
        rows = _Counted(ledger.failed())
        forms = ledger.failed_forms()
        if not forms:
            say("Nothing has failed.", err=True)
            return
        with whole_file(output, mode=0o600) as file:
            folder = Path() if output == "-" else Path(output).parent
            write_failed(rows, file, forms=forms, folder=folder)
    if output != "-":
        say(
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
