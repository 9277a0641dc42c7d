"""From what a source gives to what the outbox takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async._api.late import Late, is_outbound_call
from leadconnector_async._api.rules import SENT_AS_CUSTOM, check
from leadconnector_async._importing.files import FileLostError, are_local, located
from leadconnector_async._messages import Problem
from leadconnector_async._records import (
    draft,
    fault_key,
    key_from_text,
    left_out_draft,
    refused_draft,
)

if TYPE_CHECKING:
    from leadconnector_async._outbox.interface import Draft
    from leadconnector_async.sources import Parsed, SourceRow

NO_LOCATION: Final = Problem(
    "locationId", "is missing", "give --location, or name the location in the record"
)
OF_THE_FILE: Final = "file"
"""The field of a problem that is no record's: it is over when the file is read whole."""

Providers = Callable[[str], Mapping[str, str]]
"""For a location, the id of the conversation provider by type of message."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


def no_providers(_location: str) -> Mapping[str, str]:
    """Know of none."""
    return _NONE


class Drafter:
    """Makes drafts.

    ``location`` is the one of records that name none, ``providers`` gives the provider's id by type
    of message for a location's records that name none. Records without a date are sorted under
    ``now_ms``, the moment of the reading.
    """

    def __init__(
        self, location: str | None, now_ms: int, providers: Providers = no_providers
    ) -> None:
        self._location = location
        self._providers = providers
        self._now_ms = now_ms

    def draft_of(self, parsed: Parsed, source: str = "") -> Draft:
        """Check the record against the rules of its type, and encode it or say what is wrong.

        ``source`` is the name of the one that gave it.
        """
        row = parsed.row
        location = (row.location_id if row is not None else None) or self._location
        found = verdict_on(parsed, self._providers(location or "") if row is not None else _NONE)
        return self.drafted(parsed, found, source)

    def drafted(self, parsed: Parsed, found: Verdict, source: str = "") -> Draft:
        """Encode a record on which the verdict is known."""
        row = parsed.row
        if row is None or found.problems:
            return self._unsent(parsed, found, source)
        location = row.location_id or self._location
        if not location:
            return self._unsent(parsed, found._replace(problems=(NO_LOCATION,)), source)
        id_, key = row.id, row.outbox_key
        # None of these is part of a request's body.
        row.id = row.location_id = row.outbox_key = row.contact = row.in_reply_to = None
        if found.late is not None and found.late.attachments:
            row.attachments = None
        return draft(
            row,
            location=location,
            id=id_,
            now_ms=self._now_ms,
            line=parsed.line,
            raw=parsed.raw,
            key=key_from_text(key) if key else None,
            late=found.late,
            kind=found.kind,
        )

    def _unsent(self, parsed: Parsed, found: Verdict, source: str) -> Draft:
        row, problems = parsed.row, found.problems
        said = parsed.identity if row is None else (row.id, row.location_id, row.outbox_key)
        id_, location, key = said or (None, None, None)
        location = location or self._location or ""
        named = key_from_text(key) if key else None
        if found.left_out is not None:
            return left_out_draft(
                found.left_out,
                location=location,
                id=id_,
                line=parsed.line,
                raw=parsed.raw,
                key=named,
            )
        if row is not None and not location and NO_LOCATION not in problems:
            problems = (NO_LOCATION, *problems)
        refused = refused_draft(
            problems, location=location, id=id_, line=parsed.line, raw=parsed.raw, key=named
        )
        if source and problems and problems[0].field == OF_THE_FILE:
            return refused._replace(key=fault_key(source, parsed.raw), counted=False, own=None)
        return refused


class Verdict(NamedTuple):
    """What an import makes of a record: it is sent, refused for its problems, or left out."""

    late: Late | None = None
    problems: tuple[Problem, ...] = ()
    left_out: str | None = None
    kind: str | None = None
    """Its type in the source, where it is sent as another one."""


def verdict_on(parsed: Parsed, providers: Mapping[str, str] = _NONE) -> Verdict:
    """Judge a record by itself. Whether its id is another's too is told by who knows the others."""
    if parsed.left_out is not None:
        return Verdict(left_out=parsed.left_out)
    if parsed.row is None:
        return Verdict(problems=parsed.problems)
    kind = parsed.row.type
    late, problems = checked(parsed.row, providers)
    return Verdict(late, problems, kind=kind)


def checked(
    row: SourceRow, providers: Mapping[str, str] = _NONE
) -> tuple[Late | None, tuple[Problem, ...]]:
    """Tell what of a record is known only when it is sent, and what is wrong with the record.

    It goes through the provider of its type, if there is one and it names none.
    """
    try:
        late = late_parts(row)
    except FileLostError as lost:
        return None, (lost.problem,)
    if providers and row.conversation_provider_id is None and row.type in providers:
        row.conversation_provider_id = providers[row.type]
        if row.type in SENT_AS_CUSTOM:
            row.type = "Custom"
    if late is None:
        return None, check(row)
    named = late.contact is not None and bool(late.contact.key)  # a name alone finds nobody
    return late, check(row, named=named, files=bool(late.attachments))


def late_parts(row: SourceRow) -> Late | None:
    """What of a record is known only when it is sent; nothing, for nearly all.

    Of attachments that have to be uploaded, the row keeps the URLs alone, to be checked.

    Raises:
        FileLostError: a file of it cannot be read any more.
    """
    is_mail = row.type == "Email" and (row.alt_id is not None or row.in_reply_to is not None)
    outbound_call = is_outbound_call(row)
    has_files = are_local(row.attachments)
    contact = None if row.contact_id or row.conversation_id else row.contact
    if contact is None and not (is_mail or outbound_call or has_files):
        return None
    attachments = located(row.attachments or ()) if has_files else []
    if has_files:
        row.attachments = [item for item in attachments if isinstance(item, str)]
    return Late(
        contact=contact,
        attachments=attachments,
        mail=row.alt_id if is_mail else None,
        answers=(row.in_reply_to or []) if is_mail else [],
        outbound_call=outbound_call,
    )
