"""``leadconnector validate``: what is wrong with files, line by line, before an import says so."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import KW_ONLY, dataclass
from hashlib import blake2b
from typing import Any, Final

import click
from msgspec.structs import replace

from leadconnector_async.cli import options
from leadconnector_async.cli.app import Exit
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.progress_display import waiting
from leadconnector_async.cli.report_lines import note_lines, print_json, reason_lines
from leadconnector_async.models import Problem
from leadconnector_async.records.builder import RowCheck, RowDrafter, check_row
from leadconnector_async.records.deferred import content_digest, reused_id
from leadconnector_async.records.draft import Draft
from leadconnector_async.records.validation import NEED_PROVIDER
from leadconnector_async.reports.outbox_status import Notes, Reasons
from leadconnector_async.sources import Parsed, Source, SourceOptions, open_sources

_SOMEWHERE: Final = "?"
"""Stands for the location of records that name none: an import is given it."""


class RowChecker:
    """Judges the records of one run, one after the other.

    What it has to remember of those that have an id lies in a temporary file, which is gone with
    it: memory stays flat. Close it after use.
    """

    def __init__(self, provider: str | None = None) -> None:
        self._drafter = RowDrafter(_SOMEWHERE, 0)
        self._providers = dict.fromkeys(NEED_PROVIDER, provider) if provider else {}
        self._sources: dict[str, int] = {}
        self._shelf = sqlite3.connect("", isolation_level=None)
        self._shelf.execute("PRAGMA journal_mode = OFF")
        self._shelf.execute(
            "CREATE TABLE met (location TEXT, key BLOB, source INTEGER, line INTEGER, raw BLOB, "
            "content BLOB, PRIMARY KEY (location, key)) WITHOUT ROWID"
        )
        self._shelf.execute("BEGIN")  # and never a commit, of which each is as dear as a record

    def close(self) -> None:
        """Forget everything."""
        self._shelf.close()

    def check(self, parsed: Parsed, source: str) -> RowCheck:
        """Check a record. Its row is not to be used any more."""
        found = check_row(parsed, self._providers)
        row = parsed.row
        named = parsed.identity if row is None else (row.id, None, row.outbox_key)
        if named is None or not (named[0] or named[2]):
            return found
        draft = self._drafter.drafted(parsed, found, source)
        if draft.counted:
            return found
        problem = self._met(draft, source)
        return found if problem is None else replace(found, problems=(problem,))

    def _met(self, draft: Draft, source: str) -> Problem | None:
        """Note an id, and say so where it is that of another record."""
        number = self._sources.setdefault(source, len(self._sources))
        # Ids of records and keys that lists name do not meet.
        key = draft.key if draft.own is None else b"\0" + draft.key
        raw = blake2b(draft.raw or b"", digest_size=16).digest()
        content = None
        if draft.payload is not None:
            content = content_digest(draft.payload, draft.deferred, mail=draft.mail)
        met = draft.location, key, number, draft.line, raw, content
        if self._shelf.execute("INSERT OR IGNORE INTO met VALUES (?, ?, ?, ?, ?, ?)", met).rowcount:
            return None
        find = "SELECT source, line, raw, content FROM met WHERE location = ? AND key = ?"
        first, line, *said = self._shelf.execute(find, met[:2]).fetchone()
        if content is None or draft.mail or raw == said[0] or content == said[1]:
            return None
        return reused_id(f"{list(self._sources)[first]}:{line}", listed=draft.own is not None)


@click.command("validate")
@options.sources(required=True)
@options.options_of("source", "access.provider", "output.json", "validate.quiet")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Read files of records, and print what is wrong with them. Nothing is stored or sent.

    SOURCE is a file of JSON Lines, CSV, mails (mbox, .eml), XML, Excel or Parquet, text also
    gzip-compressed, a folder or a zip archive of such files, or - for standard input. Exit
    status: 0 if every record is good, 3 if some are not.
    """
    as_json, echo = given["as_json"], not (given["as_json"] or given["quiet"])
    check = Check(options.source_options_of(given), echo=echo, provider=given["provider"])
    check.read(given["sources"])
    if as_json:
        check.print_json()
    else:
        check.print_summary()
    ctx.exit(Exit.FAILED if check.wrong else Exit.DONE)


@dataclass(eq=False, repr=False)
class Check:
    """One pass over the sources. With ``echo``, each problem is printed as it is met."""

    options: SourceOptions
    _: KW_ONLY
    echo: bool
    provider: str | None
    records: int = 0
    wrong: int = 0
    without_location: int = 0

    def __post_init__(self) -> None:
        options = self.options
        self.reasons: Reasons = Reasons()
        self.notes: Notes = Notes()
        self.warnings: list[str] = [] if options.people is None else list(options.people.warnings)

    def read(self, paths: Sequence[str]) -> None:
        """Read every record of every source.

        Raises:
            SourceError: one of them cannot be read.
        """
        checking = waiting("Checking", lambda: self.records)
        with closing(RowChecker(self.provider)) as checker, checking as self._clear:
            for path in paths:
                sources = open_sources(path, self.options)
                for opened in sources:
                    with opened as source:
                        self._read(source, checker)
                        self.warnings += [f"{source.name}: {words}" for words in source.warnings]
                self.warnings += [f"{path}: {words}" for words in sources.warnings]

    def _read(self, source: Source, checker: RowChecker) -> None:
        for parsed in source:
            self.records += 1
            self.notes.add(parsed, source.name)
            self.without_location += parsed.row is not None and not parsed.row.location_id
            problems = checker.check(parsed, source.name).problems
            if not problems:
                continue
            self.wrong += 1
            place = parsed.place(source.name)
            for problem in problems:
                self.reasons.add(str(problem), place)
                if self.echo:
                    self._clear()
                    say(f"{place}: {problem}")

    def print_summary(self) -> None:
        """Print the counts by reason, and what was passed over."""
        if self.wrong:
            if self.echo:
                say()
            are = "is" if self.wrong == 1 else "are"
            say(f"{self.wrong:,} of {counted(self.records, 'record')} {are} wrong:\n")
            say(reason_lines(self.reasons.most_frequent()))
        else:
            say(f"Nothing is wrong with {counted(self.records, 'record')}.")
        for note in (*self.warnings, *note_lines(self.notes)):
            say(f"Note: {note}")
        if self.without_location:
            name = counted(self.without_location, "record names", "records name")
            say(f"Note: {name} no location: import needs --location for them")

    def print_json(self) -> None:
        """Print the same for programs."""
        print_json(
            {
                "records": self.records,
                "wrong": self.wrong,
                "without_location": self.without_location,
                "by_reason": self.reasons.most_frequent(),
                "left_out": self.notes.left_out.most_frequent(),
                "notices": self.notes.notices.most_frequent(),
                "warnings": self.warnings,
            }
        )
