"""Completing a message: from its body and its late parts to the request that stores it.

What is learned on the way is remembered as *facts*, by location and name:

=====================  ===========================================================
name                   value
=====================  ===========================================================
``contact:WHO``        id of the contact with this number or address
``conversation:ID``    id of the conversation of contact ID
``owner:ID``           id of the contact of conversation ID
``file:DIGEST``        URL of the uploaded file with this content
``mail:WHO:ID``        ``emailMessageId`` of the thread that mail ID belongs to
``person:WHO``         number, address and name of who has this number or address
=====================  ===========================================================

Source of the bodies: ``ProcessMessageBodyDto`` and ``ProcessOutboundMessageBodyDto`` of the OpenAPI
file for conversations. ``emailMessageId`` names a thread by that of an earlier *answer*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import orjson
from msgspec import Struct

from leadconnector_async._api import requests
from leadconnector_async._api.contacts import find_contact
from leadconnector_async._api.conversations import find_owner, open_conversation
from leadconnector_async._api.dialogue import (
    Inspect,
    Learn,
    Recall,
    StepFailedError,
    StepRefusedError,
    content_of,
)
from leadconnector_async._api.late import LocalFile
from leadconnector_async._messages import Contact

if TYPE_CHECKING:
    from leadconnector_async._api.contacts import ContactMode
    from leadconnector_async._api.dialogue import Dialogue
    from leadconnector_async._api.late import Late
    from leadconnector_async._transport import Answer

_OF_CALLS: Final = frozenset(
    [
        *("type", "attachments", "conversationId", "conversationProviderId"),
        *("altId", "date", "call"),
    ]
)
"""All that the endpoint for outbound calls knows. It finds the contact by its conversation."""


class _Ids(Struct, rename="camel"):
    contact_id: str | None = None
    conversation_id: str | None = None
    email_message_id: str | None = None


class _Uploaded(Struct, rename="camel"):
    uploaded_files: dict[str, str]


_contacts: Final = msgspec.json.Decoder(Contact)
_ids: Final = msgspec.json.Decoder(_Ids)


class Completed(Struct, frozen=True):
    """The request's path and body, and what is to be remembered once it is stored.

    ``mails`` are names of facts: of the thread that this message begins, or else joins.
    """

    path: str
    body: bytes
    thread: str | None = None
    mails: tuple[str, ...] = ()

    def facts(self, email_message_id: str | None) -> dict[str, str] | None:
        """What the answer teaches."""
        thread = self.thread or email_message_id
        return dict.fromkeys(self.mails, thread) if thread else None

    def __repr__(self) -> str:
        return f"Completed({self.path!r})"


def mail_facts(late: Late, who: str) -> tuple[str, ...]:
    """The names of the facts that tell a mail's thread, in the conversation with ``who``."""
    return tuple(f"mail:{who}:{name}" for name in (late.mail, *late.answers) if name)


def contact_fact(contact: Contact) -> str:
    """The name of the fact that tells a contact's id."""
    return f"contact:{contact.key}"


def conversation_fact(contact: str) -> str:
    """The name of the fact that tells a contact's conversation."""
    return f"conversation:{contact}"


def place_facts(payload: bytes, late: Late) -> set[str]:
    """The names of the facts that tell where a message belongs."""
    ids, names = _ids.decode(payload), set()
    if late.contact is not None:
        names.add(contact_fact(late.contact))
    if ids.contact_id:
        names.add(conversation_fact(ids.contact_id))
    if ids.conversation_id:
        names.add(f"owner:{ids.conversation_id}")
    return names


PERSON: Final = "person:"
"""What the names of facts begin with that are known from the records themselves."""


def complete(
    payload: bytes, late: Late, *, location: str, mode: ContactMode, version: str
) -> Dialogue[Completed]:
    """Complete one message."""
    ids = _ids.decode(payload)
    contact, conversation = ids.contact_id, ids.conversation_id
    added: dict[str, object] = {}
    if late.contact is not None and not contact and not conversation:
        contact = added["contactId"] = yield from _contact(late.contact, location, mode)
    who = contact or conversation or ""  # as the record says it, whatever else is learned below
    if late.files or (late.outbound_call and not conversation):
        contact, conversation = yield from _place(contact, conversation, location, version)
    if late.files:
        where = location, contact or "", conversation or ""
        added["attachments"] = yield from _attachments(late.attachments, where, version)
    mails = mail_facts(late, who)
    thread = ids.email_message_id
    if mails and thread is None:
        thread = yield from _thread(mails)
        if thread is not None:
            added["emailMessageId"] = thread
    if late.outbound_call:
        fields = orjson.loads(payload) | added | {"conversationId": conversation}
        kept = {name: value for name, value in fields.items() if name in _OF_CALLS}
        return Completed(requests.OUTBOUND_CALL_PATH, orjson.dumps(kept))
    return Completed(requests.INBOUND_PATH, _with(payload, added), thread, mails)


def _with(payload: bytes, added: dict[str, object]) -> bytes:
    """Add fields to an encoded object that has some, and none of these."""
    return payload[:-1] + b"," + orjson.dumps(added)[1:] if added else payload


def _remembered(name: str, learn: Dialogue[str]) -> Dialogue[str]:
    known: dict[str, str] = yield Recall([name])
    if name in known:
        return known[name]
    value = yield from learn
    yield Learn({name: value})
    return value


def _contact(contact: Contact, location: str, mode: ContactMode) -> Dialogue[str]:
    name = f"{PERSON}{contact.key}"
    known: dict[str, str] = yield Recall([contact_fact(contact), name])
    person = _contacts.decode(known[name]) if name in known else contact
    search = find_contact(location, contact, mode, person)
    return (yield from _remembered(contact_fact(contact), search))


def _place(
    contact: str | None, conversation: str | None, location: str, version: str
) -> Dialogue[tuple[str, str]]:
    """The contact and its conversation, where one of them is known."""
    if conversation is None:
        contact = contact or ""
        opening = open_conversation(location, contact, version)
        conversation = yield from _remembered(conversation_fact(contact), opening)
    elif contact is None:
        owner = find_owner(conversation, version)
        contact = yield from _remembered(f"owner:{conversation}", owner)
    return contact, conversation


def _attachments(
    items: list[str | LocalFile], where: tuple[str, str, str], version: str
) -> Dialogue[list[str]]:
    urls: list[str] = []
    for number, item in enumerate(items, 1):
        if isinstance(item, LocalFile):
            upload = _upload(item, number, where, version)
            item = yield from _remembered(f"file:{item.digest}", upload)  # noqa: PLW2901 - its URL
        urls.append(item)
    return urls


def _upload(
    file: LocalFile, number: int, where: tuple[str, str, str], version: str
) -> Dialogue[str]:
    digest: str | None = yield Inspect(file.path)
    if digest != file.digest:
        how = "is gone" if digest is None else "has changed"
        raise StepRefusedError(f"attachments item {number} {how} since it was read")
    what = f"attachments item {number} could not be uploaded"
    request = requests.upload(file, *where, version)
    answer: Answer = yield request
    uploaded = content_of(answer, _Uploaded, what).uploaded_files
    name = request.upload.name if request.upload else ""
    url = uploaded.get(name) or next(iter(uploaded.values()), None)
    if not url:
        raise StepFailedError(f"{what}: the answer names no URL")
    return url


def _thread(mails: tuple[str, ...]) -> Dialogue[str | None]:
    """The thread of the nearest mail that has one: its own, where an answer to it came first."""
    known: dict[str, str] = yield Recall(list(mails))
    return next((known[name] for name in mails if name in known), None)
