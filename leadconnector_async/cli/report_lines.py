"""Reports in lines: the pieces that several commands print, and the report of an import.

That of a dry run says what an import would do, and how long it would take.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from msgspec.structs import asdict

from leadconnector_async.cli.format import by_quota, counted, duration, places, rate, width, wrapped
from leadconnector_async.data_files import read_toml
from leadconnector_async.outbox.open import is_url, shown_place
from leadconnector_async.sources import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from leadconnector_async.cli.import_options import ImportOptions
    from leadconnector_async.reports import outbox_status
    from leadconnector_async.reports.summary import ImportSummary, LocationPlan


_TEXTS: Final = read_toml(__package__, "report_lines")

AUTOMATIONS: Final[str] = _TEXTS["automations"]

HEADINGS: Final[dict[str, str]] = _TEXTS["headings"]

_FIGURES: Final = _TEXTS["figures"]

MAX_REASONS: Final = 20

MAX_LOCATIONS: Final = 20

_COUNT: Final = 11
"""Columns of a count, right-aligned."""


def print_json(fields: Any) -> None:  # noqa: ANN401 - whatever msgspec encodes
    """Print one JSON object on a line of its own."""
    click.echo(msgspec.json.encode(fields))


def figures(table: str, found: Mapping[str, Any], **remarks: str) -> Iterator[str]:
    """A table of the file of texts: figures with their names and remarks.

    ``remarks`` are those that tell more of a figure than the file does.
    """
    shown, rows = _FIGURES[table]["shown"], _FIGURES[table]["rows"]
    for key, name, usual in rows:
        if found[key] or key in shown:
            remark = remarks.get(key, usual)
            yield f"  {name:<14}{found[key]:>{_COUNT},}{'  ' + remark if remark else ''}"


def reason_sections(found: outbox_status.StatedOutbox) -> Iterator[str]:
    """The reasons of what is not sent, by what became of it, each under its heading."""
    reasons = [*found.by_reason, *found.left_out_by_reason, *found.dismissed_by_reason]
    for state in ("failed", "unresolved", "left out", "dismissed"):
        if group := [reason for reason in reasons if reason.state == state]:
            yield ""
            yield f"{state.capitalize()}:"
            yield from reason_lines(group)


def told_of_copies(found: outbox_status.StatedOutbox) -> str:
    """Where the first records stand that equal others."""
    return f"equal others: {places(found.copies_lines, found.copies)}"


def reason_lines(reasons: Sequence[outbox_status.Reason]) -> Iterator[str]:
    """Each reason with its count and, under it, the first places of it."""
    indent = " " * (_COUNT + 2)
    for reason in reasons[:MAX_REASONS]:
        first, *rest = wrapped(reason.reason, width() - len(indent))
        yield f"{reason.count:>{_COUNT},}  {first}"
        yield from (indent + line for line in rest)
        if reason.lines:
            yield indent + places(reason.lines, reason.count)
    if hidden := reasons[MAX_REASONS:]:
        count = sum(reason.count for reason in hidden)
        yield f"{count:>{_COUNT},}  for {len(hidden)} other reasons"


def note_lines(notes: outbox_status.Notes) -> Iterator[str]:
    """What was left out, and what else is to be known of the records, the most frequent first."""
    for words, reasons in ((" left out", notes.left_out), ("", notes.notices)):
        for of in reasons.most_frequent():
            yield f"{of.count:,}{words}: {of.reason} ({places(of.lines, of.count)})"


def location_lines(locations: Sequence[outbox_status.LocationCounts]) -> Iterator[str]:
    """A table of the locations, where there are several: those with the most to do first."""
    if len(locations) < 2:  # noqa: PLR2004 - one location is the total
        return
    heads = {"sent": _COUNT, "failed": 8, "unresolved": 12, "pending": 10}
    by_work = sorted(locations, key=lambda of: (-of.pending, -of.failed - of.unresolved))
    rows = [(of.location, [getattr(of, head) for head in heads], of.error) for of in by_work]
    yield from _table(heads, rows)


def _table(
    heads: Mapping[str, int], rows: Sequence[tuple[str, Sequence[int | str], str | None]]
) -> Iterator[str]:
    """Columns that are so wide, for the first locations, each with what stands below its row."""
    width = max(len("location"), *(len(name) for name, *_ in rows))
    yield ""
    yield f"  {'location':<{width}}{''.join(f'{head:>{n}}' for head, n in heads.items())}"
    for name, cells, below in rows[:MAX_LOCATIONS]:
        texts = (f"{of:,}" if isinstance(of, int) else of for of in cells)
        columns = zip(texts, heads.values(), strict=True)
        yield f"  {name or '(none)':<{width}}{''.join(f'{text:>{n}}' for text, n in columns)}"
        if below is not None:
            yield f"    {below}"
    if len(rows) > MAX_LOCATIONS:
        yield f"  and {len(rows) - MAX_LOCATIONS} more"


def report_lines(summary: ImportSummary, options: ImportOptions) -> Iterator[str]:
    """The whole report, line by line."""
    is_piece = summary.ended == "done" and summary.later
    nowhere = " It went into the sandbox: nothing has left this machine."
    yield HEADINGS["selected" if is_piece else summary.ended] + (nowhere if options.sandbox else "")
    yield ""
    found = f"{summary.found:,} of them found stored, their answers were lost"
    remarks = {"sent": found if summary.found else "", "copies": told_of_copies(summary)}
    yield from figures("import", asdict(summary), **remarks)
    yield ""
    yield f"All runs together: {summary.account.text}."
    yield _speed(summary)
    yield from location_lines(summary.locations)
    yield from reason_sections(summary)
    if steps := list(_steps(summary)):
        name = f"failed.{summary.list_format}"
        when = ", tomorrow," if summary.ended == "day_spent" else ""
        facts = {"outbox": shlex.quote(summary.outbox), "name": name, "when": when}
        yield ""
        yield "What to do next:"
        yield from (step.format(again=_import_again(name, options), **facts) for step in steps)


def _speed(summary: ImportSummary) -> str:
    speed = rate(summary.sent / summary.elapsed_s) if summary.elapsed_s else ""
    line = f"{counted(summary.requests, 'request')} in {duration(summary.elapsed_s)}"
    if summary.sent:
        line += f", {speed} sent"
    if summary.errands:
        line += f", {summary.errands:,} of them to find contacts, upload files and the like"
    if summary.throttled:
        line += f", {counted(summary.throttled, 'time')} told to slow down (429)"
    return line + "."


def _steps(summary: ImportSummary) -> Iterator[str]:
    steps: dict[str, str] = _TEXTS["steps"]
    if summary.ended == "staged" and summary.pending:
        if is_url(summary.outbox):
            yield steps["workers"]
        yield steps["staged"]
    if summary.later:
        yield steps["later"]
    if summary.ended != "staged" and summary.pending > summary.later:
        yield steps["pending"]
    if summary.ended == "error" and any(of.error for of in summary.locations):
        yield steps["stopped"]
    if summary.failed:
        yield steps["failed"]
    if summary.failed or summary.unresolved:
        yield steps["retry"]


def _import_again(name: str, options: ImportOptions) -> str:
    """The command that imports a mended list: it is read with the options of its source."""
    words = ["leadconnector", "import", name, *["--sandbox"] * options.sandbox]
    words += ["--repair-text"] * options.source.repair_text
    for flag, value in _given(options, options.source):
        words += [f"--{flag.replace('_', '-')}", str(value)]
    return shlex.join(words)


_OF_VALUES: Final = (
    *("timezone", "region", "numbers", "undated", "date_format", "other_files", "call_notes"),
)
"""Options of a source by which its values are read."""


def _given(options: ImportOptions, source: SourceOptions) -> Iterator[tuple[str, object]]:
    """The options that a mended list needs too, where they are not the usual ones."""
    where = {
        "outbox": options.outbox and shown_place(options.outbox),
        "base_url": None if options.sandbox else options.base_url,
        "locations": options.locations and options.locations.file,
        "location": options.location,
        "provider": options.provider,
        "contacts": options.policy.contacts.replace("create", ""),
    }
    yield from ((name, value) for name, value in where.items() if value)
    yield from (("map", f"{field}={column}") for field, column in source.mapping.items())
    if source.mapping_file is not None:
        yield "mapping", source.mapping_file
    usual = SourceOptions()
    for name in _OF_VALUES:
        if (value := getattr(source, name)) != getattr(usual, name):
            yield name, value
    yield from (("mine", one) for one in source.mine)
    yield from (("leave_out", kind) for kind in sorted(source.leave_out))
    yield from (("files", folder) for folder in source.files)
    yield from (("people", path) for path in (source.people.paths if source.people else ()))


def plan_lines(summary: ImportSummary, options: ImportOptions) -> Iterator[str]:
    """The whole report, line by line."""
    yield HEADINGS["planned"]
    yield ""
    yield from _plan_figures(summary)
    yield ""
    yield f"All runs together: {summary.account.text}."
    yield _estimate(summary, options)
    yield from _locations(summary.plan)
    yield from reason_sections(summary)
    if summary.pending and not options.sandbox:
        yield ""
        yield AUTOMATIONS


def _plan_figures(summary: ImportSummary) -> Iterator[str]:
    names = ("contacts", "files", "conversations", "requests_least", "requests_most")
    needed = {name: sum(getattr(of, name) for of in summary.plan) for name in names}
    found = asdict(summary) | needed | {"to_send": summary.pending - summary.later}
    remarks = {"copies": told_of_copies(summary)}
    if (most := needed["requests_most"]) > needed["requests_least"]:
        remarks["requests_least"] = f"at least, {most:,} at most, if none fails"
    return figures("plan", found, **remarks)


def _estimate(summary: ImportSummary, options: ImportOptions) -> str:
    limit, least, most = options.limit, summary.estimate_s or 0.0, summary.estimate_most_s or 0.0
    if least and any(own != limit for own in options.limits().values()):
        quota = "each location's quota"
    elif limit is None or summary.estimate_s is None:
        return "No quota limits the speed."
    else:
        daily = f" and {limit.daily:,} a day" if limit.daily else ""
        quota = f"the quota of {limit.requests:,} per {limit.interval:g} s{daily}"
    meant = by_quota(quota, options.policy.share, most or least, options.piece.seconds)
    return f"Sending takes {_span(least, most)} {meant}"


def _span(least: float, most: float) -> str:
    return duration(least) if most <= least else f"{duration(least)} to {duration(most)}"


def _locations(plans: list[LocationPlan]) -> Iterator[str]:
    """A table, where there are several: the slowest ones first."""
    if len(plans) < 2:  # noqa: PLR2004 - one location is the total
        return
    heads = dict.fromkeys(("records", "contacts", "files", "conversations", "requests"), 15)
    rows = []
    for of in sorted(plans, key=lambda of: -of.estimate_most_s):
        requests = f"{of.requests_least:,}"
        if of.requests_most > of.requests_least:
            requests += f" to {of.requests_most:,}"
        counts = of.records, of.contacts, of.files, of.conversations
        time = _span(of.estimate_s, of.estimate_most_s)
        rows.append((of.location, (*counts, requests, f"  {time}"), None))
    yield from _table(heads | {"  time": 0}, rows)
