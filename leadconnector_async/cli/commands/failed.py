"""``leadconnector failed``: the failed records as a list fit to be imported again, or given up."""

import asyncio
import csv
import io
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
import msgspec

from leadconnector_async.cli.atomic_write import atomic_write, refuse_outbox
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.options import options_of
from leadconnector_async.cli.progress_display import waiting
from leadconnector_async.cli.report_lines import reason_lines
from leadconnector_async.models import Refusal
from leadconnector_async.outbox import upkeep
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.open import open_reader, read_outbox, write_outbox
from leadconnector_async.outbox.reader import FailedRecord, gist
from leadconnector_async.records.deferred import read_deferred, with_contact
from leadconnector_async.records.keys import key_from_text, key_text
from leadconnector_async.reports.outbox_status import Reason, status_of
from leadconnector_async.sources.base import LINE_LIMIT
from leadconnector_async.sources.fields import OUTBOX_KEY
from leadconnector_async.sources.formats.failed_list import FailedRow, as_it_stands, write_failed


@click.command("failed")
@options_of("outbox.outbox", "failed")
def command(outbox: str, output: str, dismiss: str | None, give_up: str | None) -> None:
    """Write the records that failed or are unresolved, in the form of the file they came from.

    All columns are kept. "error" says where the record stood and why it failed; "outboxKey" which
    record of the outbox it is. Mend the records, and import the file into the same outbox.

    With --dismiss nothing is written: those records count as dismissed from then on, and neither
    retry nor the same import brings them back. Nor is it with --give-up, after which they are
    listed: correct their locationId there, or dismiss them.
    """
    if give_up is not None and dismiss is not None:
        raise click.UsageError("--give-up and --dismiss are two steps: give one of them")
    if give_up is not None:
        give_up_pending(outbox, give_up)
    elif dismiss is not None:
        dismiss_records(outbox, dismiss)
    else:
        refuse_outbox(outbox, output, "-o", such_as="failed.csv")
        write_failed_list(outbox, output)


def _refuse_source(output: str) -> None:
    """What is there and is no such list may be the file that was imported."""
    if Path(output).is_file():
        with suppress(OSError), Path(output).open("rb") as found:
            if (begins := found.read(LINE_LIMIT)) and OUTBOX_KEY.encode() not in begins:
                what = "is there, and is no list of failed ones"
                raise click.UsageError(f"-o {output} {what}: give another file, such as failed.csv")


def write_failed_list(outbox: str, output: str) -> None:
    """Write the list to a file; ``-`` is standard output.

    Raises:
        OutboxError: the outbox does not exist, or cannot be read.
        click.ClickException: the list cannot be written, or would replace what is none.
    """
    with asyncio.Runner() as runner:
        reader = runner.run(open_reader(outbox))
        try:
            rows = _Rows(runner, reader.failed())
            forms = runner.run(reader.failed_forms())
            if not forms:
                say("Nothing has failed.", err=True)
                return
            _refuse_source(output)
            quiet = output == "-" and sys.stdout.isatty()
            telling = waiting("Writing the list", lambda: rows.count, quiet=quiet)
            with telling, atomic_write(output, mode=0o600) as file:
                folder = Path() if output == "-" else Path(output).parent
                write_failed(rows, file, forms=forms, folder=folder)
        finally:
            runner.run(reader.close())
    if output != "-":
        done = f"{counted(rows.count, 'record')} written to {output}."
        them = "it" if rows.count == 1 else "them"
        say(f"{done} Mend {them}, and import the file into the same outbox.", err=True)


class _Rows:
    """Rows of the list as they are read and written, counted."""

    def __init__(self, runner: asyncio.Runner, pages: AsyncIterator[list[FailedRecord]]) -> None:
        self._runner, self._pages = runner, pages
        self.count = 0

    def __iter__(self) -> Iterator[FailedRow]:
        while page := self._runner.run(self._next_page()):
            for record in page:
                self.count += 1
                # The body of one that came from no source does not say whom it is with.
                deferred = record.deferred if record.raw is None else None
                contact = read_deferred(deferred).contact if deferred else None
                yield FailedRow(
                    key_text(record.key),
                    _reason(record),
                    record.location,
                    record.form,
                    record.raw,
                    record.payload and with_contact(record.payload, contact),
                    record.source,
                    record.line,
                )

    async def _next_page(self) -> list[FailedRecord]:
        return await anext(self._pages, [])


def _reason(record: FailedRecord) -> str:
    """The reason, with the API's trace id where there is one: its support asks for it."""
    reason = record.reason or "no reason given"
    if record.detail:
        reason = str(msgspec.json.decode(record.detail, type=Refusal))
    return f"unresolved: {reason}" if record.state is State.UNRESOLVED else reason


def give_up_pending(outbox: str, location: str) -> None:
    """Have what is pending in a location listed as failed, and print how many it is.

    Raises:
        OutboxError: the outbox does not exist, or cannot be used.
        click.UsageError: nothing is pending there.
    """
    given_up = asyncio.run(upkeep.give_up(outbox, location))
    if not given_up:
        raise click.UsageError(f"nothing that can be given up is pending in location {location!r}")
    say(f'{counted(given_up, "record")} failed: "{upkeep.GIVEN_UP}". retry puts them back.')


_DELIMITERS: Final = ",;\t|"


def dismiss_records(outbox: str, what: str) -> None:
    """Give up what failed for a reason, or what a list names, and print what it was.

    Raises:
        OutboxError: the outbox does not exist, or cannot be used.
        click.ClickException: there is no such reason, or it is not the only one.
    """
    if Path(what).is_file():
        keys = list(_keys_of(what))
        dismissed = asyncio.run(write_outbox(outbox, lambda store: store.dismiss(keys=keys)))
        say(f"{counted(dismissed, 'record')} of the {len(keys):,} in {what} dismissed.")
        return
    chosen = _matching(outbox, what)
    gists = {gist(reason.reason) for reason in chosen}
    dismissed = asyncio.run(write_outbox(outbox, lambda store: store.dismiss(gists=gists)))
    say(f"{counted(dismissed, 'record')} dismissed:")
    say(reason_lines(chosen))


def _matching(outbox: str, what: str) -> list[Reason]:
    """The one reason that holds these words. It is told twice where records ended in two ways."""
    reasons = asyncio.run(read_outbox(outbox, status_of)).by_reason
    folded = what.strip().casefold()
    found = [reason for reason in reasons if gist(reason.reason).casefold() == folded]
    if not found:
        found = [reason for reason in reasons if folded and folded in reason.reason.casefold()]
    if len({gist(reason.reason) for reason in found}) == 1:
        return found
    if not reasons:
        raise click.UsageError("nothing has failed: there is nothing to dismiss")
    wrong = f"{what!r} is part of several reasons" if found else f"no reason has {what!r} in it"
    listed = "\n".join(f"  {reason.count:,}  {reason.reason}" for reason in found or reasons)
    raise click.UsageError(f"{wrong}, and no file: give a part of one of them alone:\n{listed}")


def _keys_of(path: str) -> Iterator[tuple[bytes, str]]:
    """The key and the location of each record on a list of failed ones."""
    text = Path(path).read_text("utf-8-sig", errors="surrogateescape")
    for row in _objects(text) if text.lstrip().startswith("{") else _table(text):
        key, location = row.get(OUTBOX_KEY), row.get("locationId")
        if isinstance(key, str) and key:
            yield key_from_text(key), location if isinstance(location, str) else ""


def _objects(text: str) -> Iterator[Mapping[str, object]]:
    for line in filter(str.strip, text.split("\n")):
        row = as_it_stands(line.encode("utf-8", "surrogateescape"))
        if isinstance(row, str):
            raise click.UsageError("the list has a line that is no JSON: write it anew")
        yield row


def _table(text: str) -> Iterable[Mapping[str, object]]:
    for delimiter in _DELIMITERS:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        if OUTBOX_KEY in (reader.fieldnames or ()):
            return reader
    wrong = f'the file has no column "{OUTBOX_KEY}"'
    raise click.UsageError(f"{wrong}: give a list that failed -o wrote")
