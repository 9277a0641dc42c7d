"""``leadconnector validate``: what is wrong with files, line by line."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from leadconnector_async.cli.exit_codes import Exit
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.options import (
    json_option,
    option,
    source_options,
    source_options_of,
    sources,
)
from leadconnector_async.cli.progress_display import waiting
from leadconnector_async.cli.report_lines import note_lines, print_json, reason_lines
from leadconnector_async.reports.reason_counts import Notes, Reasons
from leadconnector_async.reports.row_checker import RowChecker
from leadconnector_async.sources import open_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.sources import Source, SourceOptions


@click.command("validate")
@sources(required=True)
@source_options
@json_option
@option("--quiet", "-q", is_flag=True, help="Print the counts, and not every line.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Read files of records, and print what is wrong with them. Nothing is stored or sent.

    SOURCE is a file of JSON Lines, CSV, mails (mbox, .eml), XML, Excel or Parquet, text also
    gzip-compressed, a folder or a zip archive of such files, or - for standard input. Exit
    status: 0 if every record is good, 3 if some are not.
    """
    as_json, quiet = given.pop("as_json"), given.pop("quiet")
    check = Check(source_options_of(given), echo=not (as_json or quiet))
    check.read(given["sources"])
    if as_json:
        check.print_json()
    else:
        check.print_summary()
    ctx.exit(Exit.FAILED if check.wrong else Exit.DONE)


class Check:
    """One pass over the sources. With ``echo``, each problem is printed as it is met."""

    def __init__(self, options: SourceOptions, *, echo: bool) -> None:
        self._options = options
        self._echo = echo
        self.records: int = 0
        self.wrong: int = 0
        self.without_location: int = 0
        self.reasons: Reasons = Reasons()
        self.notes: Notes = Notes()
        self.warnings: list[str] = [] if options.people is None else list(options.people.warnings)

    def read(self, paths: Sequence[str]) -> None:
        """Read every record of every source.

        Raises:
            SourceError: one of them cannot be read.
        """
        checking = waiting("Checking", lambda: self.records)
        with closing(RowChecker()) as checker, checking as self._clear:
            self._read_all(paths, checker)

    def _read_all(self, paths: Sequence[str], checker: RowChecker) -> None:
        for path in paths:
            sources = open_sources(path, self._options)
            for opened in sources:
                with opened as source:
                    self._read(source, checker)
                    self.warnings += [f"{source.name}: {warning}" for warning in source.warnings]
            self.warnings += [f"{path}: {warning}" for warning in sources.warnings]

    def _read(self, source: Source, checker: RowChecker) -> None:
        for parsed in source:
            self.records += 1
            self.notes.add(parsed, source.name)
            row = parsed.row
            self.without_location += row is not None and not row.location_id
            problems = checker.check(parsed, source.name).problems
            if not problems:
                continue
            self.wrong += 1
            place = parsed.place(source.name)
            for problem in problems:
                self.reasons.add(str(problem), place)
                if self._echo:
                    self._clear()
                    say(f"{place}: {problem}")

    def print_summary(self) -> None:
        """Print the counts by reason, and what was passed over."""
        if self.wrong:
            if self._echo:
                say()
            are = "is" if self.wrong == 1 else "are"
            say(f"{self.wrong:,} of {counted(self.records, 'record')} {are} wrong:\n")
            for line in reason_lines(self.reasons.most_frequent()):
                say(line)
        else:
            say(f"Nothing is wrong with {counted(self.records, 'record')}.")
        for note in self._notes():
            say(f"Note: {note}")

    def _notes(self) -> list[str]:
        notes = [*self.warnings, *note_lines(self.notes)]
        if self.without_location:
            name = "names" if self.without_location == 1 else "name"
            notes.append(
                f"{counted(self.without_location, 'record')} {name} no location: "
                "import needs --location for them"
            )
        return notes

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
