"""From what a source gives to what the outbox takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from leadconnector_async._api.late import Late, is_outbound_call
from leadconnector_async._api.rules import SENT_AS_CUSTOM, check
from leadconnector_async._importing.files import FileLostError, are_local, located
from leadconnector_async._messages import Problem
from leadconnector_async._records import draft, key_from_text, refused_draft

if TYPE_CHECKING:
    from leadconnector_async._outbox.interface import Draft
    from leadconnector_async.sources import Parsed, SourceRow

NO_LOCATION: Final = Problem(
    "locationId", "is missing", "give --location, or name the location in the record"
)


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

    def draft_of(self, parsed: Parsed) -> Draft:
        """Check the record against the rules of its type, and encode it or say what is wrong."""
        row = parsed.row
        if row is None:
            return self._unread(parsed)
        location = row.location_id or self._location
        kind = row.type
        late, problems = checked(row, self._providers(location or ""))
        if problems or not location:
            return self._refused(parsed, row, location, problems)
        id_, key = row.id, row.outbox_key
        # None of these is part of a request's body.
        row.id = row.location_id = row.outbox_key = row.contact = row.in_reply_to = None
        if late is not None and late.attachments:
            row.attachments = None
        return draft(
            row,
            location=location,
            id=id_,
            now_ms=self._now_ms,
            line=parsed.line,
            raw=parsed.raw,
            key=key_from_text(key) if key and not id_ else None,
            late=late,
            kind=kind,
        )

    def _refused(
        self, parsed: Parsed, row: SourceRow, location: str | None, problems: tuple[Problem, ...]
    ) -> Draft:
        return refused_draft(
            problems if location else (NO_LOCATION, *problems),
            location=location or "",
            id=row.id,
            line=parsed.line,
            raw=parsed.raw,
            key=key_from_text(row.outbox_key) if row.outbox_key and not row.id else None,
        )

    def _unread(self, parsed: Parsed) -> Draft:
        id_, location, key = parsed.identity or (None, None, None)
        return refused_draft(
            parsed.problems,
            location=location or self._location or "",
            id=id_ or None,
            line=parsed.line,
            raw=parsed.raw,
            key=key_from_text(key) if key and not id_ else None,
        )


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
