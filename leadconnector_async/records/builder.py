"""Taking messages in: from what an application or a source gives to drafts for the outbox."""

import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

import msgspec

from leadconnector_async.models import Contact, InboundMessage, Problem, Record
from leadconnector_async.records import deferred as late, draft as drafts, keys, validation as rules
from leadconnector_async.records.draft import Draft, draft, unsent_draft, verified
from leadconnector_async.records.validation import SENT_AS_CUSTOM, validate, verified_contact
from leadconnector_async.sources import Parsed, Source, SourceRow
from leadconnector_async.sources.base import SettledContact
from leadconnector_async.sources.fields import NotedText

Messages = (
    Iterable[InboundMessage | Record | Parsed] | AsyncIterable[InboundMessage | Record | Parsed]
)
"""What an application has, or a `Source`, whose rows are read as the command reads them."""

STAGE_BATCH: Final = 1_000
"""Records per commit when a whole iterable is staged."""

BATCH_BYTES: Final = 4 << 20
"""Bytes of bodies after which a commit, or what is taken, ends early."""


class RecordBuilder:
    """Makes drafts of messages. ``locate`` names the location of a message that names none."""

    def __init__(self, locate: Callable[[str | None], str], default: str | None = None) -> None:
        self._locate = locate
        self._rows = RowDrafter(default, time.time_ns() // 1_000_000)

    def draft_of(
        self, item: InboundMessage | Record | Parsed, *, alone: bool = False, source: str = ""
    ) -> Draft:
        """Check one message and encode it; a bad one becomes a draft that says why.

        ``source`` is the name of the one that gave it. ``alone``: it is of no history that may be
        read again, so that without an id and a date it is a record of its own.

        Raises:
            ValueError: neither the record nor the client names a location, as then no other will.
        """
        if isinstance(item, Parsed):
            return self._rows.draft_of(item, source)
        record = item if isinstance(item, Record) else Record(message=item)
        contact, wrong = (None, ()) if record.contact is None else verified_contact(record.contact)
        try:
            place = self._locate(record.location_id)
        except (TypeError, ValueError):
            if record.location_id in (None, ""):
                raise
            fix = "give its id alone, as text"
            place, wrong = "", (Problem("locationId", "can be no location", fix), *wrong)
        message, problems, body = verified(record.message, named=record.contact is not None)
        id_ = record.id
        if not isinstance(id_, str | None):  # such as a database's number
            wrong, id_ = (*wrong, Problem("id", "has a wrong type", "give it as text")), None
        if problems := (*wrong, *problems):
            raw = late.with_contact(body, record.contact)
            return unsent_draft(problems, location=place, id=id_, line=0, raw=raw)
        now_ms = time.time_ns() // 1_000_000
        key = keys.fresh_key(now_ms) if alone and not record.id and message.date is None else None
        if message.contact_id or message.conversation_id:
            contact = None
        is_call, deferred = late.is_outbound_call(message), None
        if contact is not None or is_call:
            deferred = late.Deferred(contact=contact, outbound_call=is_call)
        return draft(
            message, location=place, id=id_, now_ms=now_ms, key=key, deferred=deferred, payload=body
        )

    def batches(self, messages: Messages) -> AsyncGenerator[list[Draft], None]:
        """Drafts in batches of one commit each."""
        return self._gathered(messages, STAGE_BATCH)

    def pieces(self, messages: Messages, most: int) -> AsyncGenerator[list[Draft], None]:
        """Drafts as they come: one by one where more of them may be long in coming."""
        return self._gathered(messages, 1 if hasattr(messages, "__aiter__") else most)

    async def _gathered(self, messages: Messages, most: int) -> AsyncGenerator[list[Draft], None]:
        batch: list[Draft] = []
        weight, name = 0, getattr(source_of(messages), "name", "")
        try:
            async for item in _each(messages):
                batch.append(self.draft_of(item, source=name))
                weight += len(batch[-1].payload or b"")
                if len(batch) >= most or weight >= BATCH_BYTES:
                    yield batch
                    batch, weight = [], 0
        except Exception:  # what was given before is not lost by it
            if batch:
                yield batch
            raise
        if batch:
            yield batch


def source_of(messages: object) -> Source | None:
    """The messages, if they are a `Source`, and no application's own iterable."""
    return cast("Source", messages) if hasattr(messages, "bytes_read") else None


async def _each(items: Messages) -> AsyncGenerator[InboundMessage | Record | Parsed, None]:
    if isinstance(items, str | bytes):
        raise TypeError("text is no messages: use leadconnector_async.sources.open_source(path)")
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        try:
            for item in items:
                yield item
        finally:
            if (source := source_of(items)) is not None:
                source.__exit__(None, None, None)


Providers = Callable[[str], Mapping[str, str]]
"""For a location, the id of the conversation provider by type of message."""

_NONE: Final[Mapping[str, str]] = {}


def no_providers(_location: str) -> Mapping[str, str]:
    """Know of none."""
    return _NONE


class RowCheck(msgspec.Struct, frozen=True, gc=False):
    """What an import makes of a record: it is sent, refused for its problems, or left out."""

    deferred: late.Deferred | None = None
    problems: tuple[Problem, ...] = ()
    left_out: str | None = None
    kind: str | None = None
    """Its type in the source, where it is sent as another one."""


@dataclass(eq=False, repr=False)
class RowDrafter:
    """Makes drafts.

    ``location`` is the one of records that name none, ``providers`` gives the provider's id by type
    of message for a location's records that name none. Records without a date are sorted under
    ``now_ms``, the moment of the reading.
    """

    location: str | None
    now_ms: int
    providers: Providers = no_providers
    _at: str | None = None
    _providers_there: Mapping[str, str] = field(default_factory=dict)
    """Those of the location of the last record."""

    def draft_of(self, parsed: Parsed, source: str = "") -> Draft:
        """Check a record of ``source`` by the rules of its type, and encode it or say why not."""
        row = parsed.row
        location = (row and row.location_id) or self.location or ""
        if row is not None and location != self._at:
            self._at, self._providers_there = location, self.providers(location)
        if row is None or not location or parsed.left_out is not None or not self._is_plain(row):
            return self.drafted(parsed, check_row(parsed, self._providers_there), source)
        id_, said, row.id, row.location_id = row.id, row.location_id, None, None
        body = drafts.encode(row)
        if rules.has_nul(body):
            row.id, row.location_id = id_, said
            return self.drafted(parsed, check_row(parsed, self._providers_there), source)
        key = keys.id_key(id_) if id_ else keys.content_key(location, row)
        date = keys.milliseconds(row.date)  # type: ignore[arg-type]  # one that is plain has a date
        lane = drafts.lane_of(location, row.contact_id)
        return drafts.Draft(location, lane, date, key, not id_, body, parsed.line, parsed.raw, None)

    def _is_plain(self, row: SourceRow) -> bool:
        """Tell what most records are: good, but for NULs, and without parts that come later."""
        return (
            row.contact is None
            and row.in_reply_to is None
            and row.outbox_key is None
            and not (row.direction == "outbound" and row.type == "Call")
            and row.type not in self._providers_there
            and type(row.message) is not NotedText
            and rules.is_plainly_good(row)
        )

    def drafted(self, parsed: Parsed, found: RowCheck, source: str = "") -> Draft:
        """Encode a record on which the classification is known."""
        row = parsed.row
        location = (row and row.location_id) or self.location
        if row is None or found.problems or not location:
            return self._unsent(parsed, found, source)
        id_, key, text = row.id, row.outbox_key, row.message
        noted = text if isinstance(text, NotedText) else None
        if noted is not None:
            row.message = str(noted)
        # None of these is part of a request's body.
        row.id = row.location_id = row.outbox_key = row.contact = row.in_reply_to = None
        if found.deferred is not None and found.deferred.attachments:
            row.attachments = None
        return draft(
            row,
            location=location,
            id=id_,
            now_ms=self.now_ms,
            line=parsed.line,
            raw=parsed.raw,
            key=keys.key_from_text(key) if key else None,
            deferred=found.deferred,
            kind=found.kind,
            noted=noted,
        )

    def _unsent(self, parsed: Parsed, found: RowCheck, source: str) -> Draft:
        row, problems = parsed.row, found.problems
        said = parsed.identity if row is None else (row.id, row.location_id, row.outbox_key)
        id_, location, key = said or (None, None, None)
        location = location or self.location or ""
        if row is not None and not location:
            fix = "give --location, or name the location in the record"
            problems = (Problem("locationId", "is missing", fix), *problems)
        unsent = unsent_draft(
            problems,
            location=location,
            id=id_,
            line=parsed.line,
            raw=parsed.raw,
            key=keys.key_from_text(key) if key else None,
            left_out=found.left_out,
        )
        # A problem of the file is no record's: it is over when the file is read whole.
        if source and problems and problems[0].field == "file":
            key_of_fault = keys.fault_key(source, parsed.raw)
            return msgspec.structs.replace(unsent, key=key_of_fault, counted=False, own=None)
        return unsent


def check_row(parsed: Parsed, providers: Mapping[str, str] = _NONE) -> RowCheck:
    """Check a record by itself. Whether its id is another's too is told by who knows the others.

    It goes through the provider of its type, if there is one and it names none.
    """
    row = parsed.row
    if parsed.left_out is not None:
        return RowCheck(left_out=parsed.left_out)
    if row is None:
        return RowCheck(problems=parsed.problems)
    kind: str = row.type
    try:
        deferred = late_parts(row)
    except late.FileLostError as lost:
        return RowCheck(problems=(lost.problem,), kind=kind)
    if providers and row.conversation_provider_id is None and row.type in providers:
        row.conversation_provider_id = providers[row.type]
        if row.type in SENT_AS_CUSTOM:
            row.type = "Custom"
    if deferred is None:
        return RowCheck(None, validate(row), None, kind)
    named = deferred.contact is not None and bool(deferred.contact.key)  # a name alone finds nobody
    problems = validate(row, named=named, files=bool(deferred.attachments))
    return RowCheck(deferred, problems, kind=kind)


def late_parts(row: SourceRow) -> late.Deferred | None:
    """What of a record is known only when it is sent; nothing, for nearly all.

    Of attachments that have to be uploaded, the row keeps the URLs alone, to be checked.

    Raises:
        FileLostError: a file of it cannot be read any more.
    """
    is_mail = row.type == "Email" and (row.alt_id is not None or row.in_reply_to is not None)
    outbound_call = late.is_outbound_call(row)
    has_files = late.are_local(row.attachments)
    contact = None if row.contact_id or row.conversation_id else row.contact
    if contact is None and not (is_mail or outbound_call or has_files):
        return None
    said = None
    if isinstance(contact, SettledContact):
        said, contact = contact.said, Contact(contact.phone, contact.email, contact.name)
    attachments = late.located(row.attachments or ()) if has_files else []
    if has_files:
        row.attachments = [item for item in attachments if isinstance(item, str)]
    return late.Deferred(
        contact=contact,
        said=said,
        attachments=attachments,
        mail=row.alt_id if is_mail else None,
        answers=(row.in_reply_to or []) if is_mail else [],
        outbound_call=outbound_call,
    )
