"""Completing a message: from its body and its deferred parts to the request that stores it.

What is learned on the way is remembered as *lookups*, by location and name:

===================  ==========================================================
name                 value
===================  ==========================================================
``contact:WHO``      id of the contact with this number or address
``conversation:ID``  id of the conversation of contact ID
``owner:ID``         id of the contact of conversation ID
``file:DIGEST``      URL of the uploaded file with this content
``mail:WHO:ID``      ``emailMessageId`` of the thread that mail ID belongs to
``person:WHO``       number, address and name of who has this number or address
``unread:WHO``       whether that conversation was unread before its first message
``mark:LANE:WHO``    what is still to be done about that at the end of a lane
``needs:WHAT``       that WHAT, a call or an upload, was refused without a conversation
===================  ==========================================================

Source of the bodies: ``ProcessMessageBodyDto`` and ``ProcessOutboundMessageBodyDto`` of the OpenAPI
file for conversations. That a call and an upload may name a contact in place of a conversation is
told by highlevel-api-docs 234 and 149; where it is refused all the same, a conversation is opened.
``emailMessageId`` names a thread by that of an earlier *answer*.

Whether a conversation was unread before its first message is sent is known until its last one is
settled: ``unread:`` is shared by lanes. Both have the same value: `LEAVE`, or the conversation's id
where the record names it, or nothing. Source: the same file, whose search and single conversation
have an ``unreadCount``, and whose update sets it. A contact without a conversation has nothing
unread.
"""

from __future__ import annotations

from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
import orjson

from leadconnector_async.api import effects, endpoints
from leadconnector_async.api.contacts import find_contact, find_owner, open_conversation
from leadconnector_async.api.listings import text_of
from leadconnector_async.api.responses import is_absent, is_success, json_object, lacks_conversation
from leadconnector_async.models import Contact
from leadconnector_async.records.deferred import Deferred, LocalFile, read_deferred

if TYPE_CHECKING:
    from leadconnector_async.policy import ContactMode
    from leadconnector_async.transport.base import Response

_OF_CALLS: Final = frozenset(
    ["type", "attachments", "conversationId", "conversationProviderId", "altId", "date", "call"]
)
"""All that the endpoint for outbound calls knows, but for the contact."""

CALLS_NEED: Final = "needs:call"

_UPLOADS_NEED: Final = "needs:upload"


class MessageIds(msgspec.Struct, rename="camel", gc=False):
    """The ids that a message's body names."""

    contact_id: str | None = None
    conversation_id: str | None = None
    conversation_provider_id: str | None = None
    email_message_id: str | None = None


class _Uploaded(msgspec.Struct, rename="camel"):
    uploaded_files: dict[str, str]


Place: TypeAlias = tuple[str, str | None, str | None]
"""A location; a contact in it, or a conversation, or both."""

CONTACTS: Final = msgspec.json.Decoder(Contact)
"""Reads what the lookup of a person tells."""

IDS: Final = msgspec.json.Decoder(MessageIds)


class EnrichedRequest(msgspec.Struct, frozen=True):
    """The request's path and body, and what is to be remembered once it is stored.

    ``mails`` are names of lookups: of the thread that this message begins, or else joins.
    ``by_contact`` tells of a call that it names no conversation, which may be refused.
    """

    path: str
    body: bytes
    thread: str | None = None
    mails: tuple[str, ...] = ()
    by_contact: bool = False

    def lookups(self, email_message_id: str | None) -> dict[str, str] | None:
        """What the answer teaches."""
        thread = self.thread or email_message_id
        return dict.fromkeys(self.mails, thread) if thread else None

    def __repr__(self) -> str:
        return f"Completed({self.path!r})"


def mail_lookups(deferred: Deferred, who: str) -> tuple[str, ...]:
    """The names of the lookups that tell a mail's thread, in the conversation with ``who``."""
    return tuple(f"mail:{who}:{name}" for name in (deferred.mail, *deferred.answers) if name)


def contact_lookup(contact: Contact) -> str:
    """The name of the lookup that tells a contact's id."""
    return f"contact:{contact.key}"


def conversation_lookup(contact: str) -> str:
    """The name of the lookup that tells a contact's conversation."""
    return f"conversation:{contact}"


def place_lookups(payload: bytes, deferred: Deferred) -> set[str]:
    """The names of the lookups that tell where a message belongs."""
    ids, names = IDS.decode(payload), set()
    if deferred.contact is not None:
        names.add(contact_lookup(deferred.contact))
    if ids.contact_id:
        names.add(conversation_lookup(ids.contact_id))
    if ids.conversation_id:
        names.add(f"owner:{ids.conversation_id}")
    return names


PERSON: Final = "person:"
"""What the names of lookups begin with that are known from the records themselves."""


def person_lookups(deferred: str) -> dict[str, str]:
    """What a record teaches of the person whom it names by number and address both, if it does."""
    contact = read_deferred(deferred).contact
    if contact is None or contact.phone is None or contact.email is None:
        return {}
    told = msgspec.json.encode(contact).decode()
    return {f"{PERSON}{name}": told for name in (contact.phone, contact.email)}


def enrich(
    payload: bytes,
    deferred: Deferred,
    *,
    location: str,
    mode: ContactMode,
    unread_of: int | None = None,
) -> effects.Flow[EnrichedRequest]:
    """Complete one message.

    ``unread_of`` is its lane, where it matters whether the conversation was unread before.
    """
    ids = IDS.decode(payload)
    contact, conversation = ids.contact_id, ids.conversation_id
    added: dict[str, object] = {}
    if deferred.contact is not None and not contact and not conversation:
        contact = added["contactId"] = yield from _contact(deferred.contact, location, mode)
    where = location, contact, conversation
    if unread_of is not None:
        yield from note_unread(where, unread_of)
    who = contact or conversation or ""  # as the record says it, whatever else is learned below
    if deferred.files:
        added["attachments"] = yield from _attachments(deferred.attachments, where)
    mails = mail_lookups(deferred, who)
    thread = ids.email_message_id
    if mails and thread is None:
        known: dict[str, str] = yield effects.GetLookups(list(mails))
        # That of the nearest mail that has one: its own, where an answer to it came first.
        thread = next((known[name] for name in mails if name in known), None)
        if thread is not None:
            added["emailMessageId"] = thread
    if deferred.outbound_call:
        if not conversation and CALLS_NEED in (yield effects.GetLookups([CALLS_NEED])):
            conversation = yield from _conversation(contact or "", location)
        fields = orjson.loads(payload) | added
        kept = {name: value for name, value in fields.items() if name in _OF_CALLS}
        kept |= {"conversationId": conversation} if conversation else {"contactId": contact}
        path, body = endpoints.OUTBOUND_CALL_PATH, orjson.dumps(kept)
        return EnrichedRequest(path, body, by_contact=not conversation)
    if added:  # to an object that has fields, and none of these
        payload = payload[:-1] + b"," + orjson.dumps(added)[1:]
    return EnrichedRequest(endpoints.INBOUND_PATH, payload, thread, mails)


def _remembered(name: str, learn: effects.Flow[str]) -> effects.Flow[str]:
    known: dict[str, str] = yield effects.GetLookups([name])
    if name in known:
        return known[name]
    value = yield from learn
    yield effects.PutLookups({name: value})
    return value


def _contact(contact: Contact, location: str, mode: ContactMode) -> effects.Flow[str]:
    name = f"{PERSON}{contact.key}"
    known: dict[str, str] = yield effects.GetLookups([contact_lookup(contact), name])
    person = CONTACTS.decode(known[name]) if name in known else contact
    if person.phone and person.email and contact_lookup(contact) not in known:
        # With others too, it may be an agent's who wrote to all, or an office's.
        field = "email" if contact.key == person.phone else "phone"
        other = f"{PERSON}{getattr(person, field)}"
        met: dict[str, str] = yield effects.GetLookups([other])
        one = CONTACTS.decode(met[other]) if other in met else person
        if (one.phone, one.email) != (person.phone, person.email):
            person = msgspec.structs.replace(person, **{field: None})
    search = find_contact(location, contact, mode, person)
    return (yield from _remembered(contact_lookup(contact), search))


def _conversation(contact: str, location: str) -> effects.Flow[str]:
    opening = open_conversation(location, contact)
    return (yield from _remembered(conversation_lookup(contact), opening))


def _attachments(items: list[str | LocalFile], where: Place) -> effects.Flow[list[str]]:
    urls: list[str] = []
    for number, item in enumerate(items, 1):
        if isinstance(item, LocalFile):
            upload = _upload(item, number, where)
            item = yield from _remembered(f"file:{item.digest}", upload)  # noqa: PLW2901 - its URL
        urls.append(item)
    return urls


def _upload(file: LocalFile, number: int, where: Place) -> effects.Flow[str]:
    digest: str | None = yield effects.HashFile(file.path)
    path: str | None = file.path
    if digest != file.digest:
        path = yield effects.FetchFile(file.digest)
    if path is None:
        how = "is gone" if digest is None else "has changed"
        raise effects.StepRefusedError(f"attachments item {number} {how} since it was read")
    name = PureWindowsPath(file.path).name  # of either kind of path: it may be another machine's
    what = f"attachments item {number} could not be uploaded"
    return (yield from upload(path, name, where, what))


def upload(path: str, name: str, where: Place, what: str) -> effects.Flow[str]:
    """Learn the URL of a file. ``what`` says what went wrong if there is none."""
    response = yield from _answer_to_upload(path, name, where)
    uploaded = effects.content_of(response, _Uploaded, what).uploaded_files
    url = uploaded.get(name) or next(iter(uploaded.values()), None)
    if not url:
        raise effects.StepFailedError(f"{what}: the answer names no URL")
    return url


def _answer_to_upload(path: str, name: str, where: Place) -> effects.Flow[Response]:
    location, contact, conversation = where
    response: Response
    if contact is None:
        contact = yield from _remembered(f"owner:{conversation}", find_owner(conversation or ""))
    elif conversation is None:
        if _UPLOADS_NEED not in (yield effects.GetLookups([_UPLOADS_NEED])):
            response = yield endpoints.upload(path, name, location, contact)
            if not lacks_conversation(response):
                return response
            yield effects.PutLookups({_UPLOADS_NEED: "a conversation"})
        conversation = yield from _conversation(contact, location)
    response = yield endpoints.upload(path, name, location, contact, conversation)
    return response


_MARK: Final = "mark:"

_UNREAD: Final = "unread:"

LEAVE: Final = "-"
"""It was unread, or nobody knows: it stays as it is."""


def note_unread(where: Place, lane: int) -> effects.Flow[None]:
    """Learn whether a conversation is to be marked as read at its end, unless that is known."""
    location, contact, conversation = where
    who = conversation or contact or ""
    mark, unread = f"{_MARK}{lane}:{who}", f"{_UNREAD}{who}"
    known: dict[str, str] = yield effects.GetLookups([mark, unread])
    if mark in known:
        return
    value = known.get(unread)
    if value is None:
        response: Response
        if conversation:
            response = yield endpoints.get_conversation(conversation)
            found = _single(response)
        else:
            response = yield endpoints.search_conversations(location, contactId=contact)
            found = _listed(response, contact)
        is_read = is_absent(response) or (found is not None and not found.get("unreadCount"))
        value = (conversation or "") if is_read else LEAVE
    yield effects.PutLookups({mark: value, unread: value})


def unread_name(mark: str) -> str:
    """The name of the lookup that is forgotten together with a mark."""
    return _UNREAD + mark.removeprefix(_MARK).partition(":")[2]


def _single(response: Response) -> dict[str, Any] | None:
    """A conversation; None where it cannot be told."""
    found = json_object(response.body) if is_success(response) else None
    return found.get("conversation", found) if found else None


def _listed(response: Response, contact: str | None) -> dict[str, Any] | None:
    """The conversation of a contact in a search; empty where there is none."""
    entries = (_single(response) or {}).get("conversations")
    if not isinstance(entries, list):
        return None
    for entry in entries:
        if not isinstance(entry, dict):
            return None
        if text_of(entry.get("contactId")) in (contact, None):
            return entry
    return {}
