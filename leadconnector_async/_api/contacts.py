"""Finding or making the contact that a record names by number or address, without I/O.

Sources: the OpenAPI file for contacts (``/contacts/search/duplicate``, ``POST /contacts/``). From
reports of live use: a refused duplicate names the existing contact in ``meta.contactId``; a
creation that was answered 422 made the contact all the same (highlevel-api-docs 64); and an upsert
by an additional address of a contact makes that the primary one and deletes the other (337), which
is why ``/contacts/upsert`` is never called.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, Struct

from leadconnector_async._api.dialogue import StepFailedError, StepRefusedError, content_of, refused
from leadconnector_async._transport import Request

if TYPE_CHECKING:
    from leadconnector_async._api.dialogue import Dialogue
    from leadconnector_async._messages import Contact
    from leadconnector_async._transport import Answer

CONTACTS_VERSION: Final = "2021-07-28"
ContactMode = Literal["find", "create", "upsert"]
_LOOK_UP: Final = "the contact could not be looked up"
_MAKE: Final = "the contact could not be created"
_OTHER: Final = (
    "the search gives a contact that shows another number or address: give it this one in "
    "LeadConnector, or give the record its contactId"
)
_PUNCTUATION: Final = re.compile(r"[+\s().-]")


class _Contact(Struct, rename="camel"):
    id: str
    phone: Any = UNSET
    email: Any = UNSET
    additional_phones: Any = None
    additional_emails: Any = None


class _Found(Struct):
    contact: _Contact | list[_Contact] | None = None
    contacts: list[_Contact] | None = None


class _Made(Struct):
    contact: _Contact | None = None


class _Meta(Struct, rename="camel"):
    contact_id: str | None = None


class _Duplicate(Struct):
    meta: _Meta | None = None


_duplicates: Final = msgspec.json.Decoder(_Duplicate)
_encode: Final = msgspec.json.Encoder().encode


def find_contact(
    location: str, contact: Contact, mode: ContactMode, person: Contact | None = None
) -> Dialogue[str]:
    """Learn a contact's id. ``person`` is who it is, where more is known than the record says.

    ``find`` looks by number and by address. ``create`` looks first, and creates what is not there;
    so does ``upsert``. What the record itself says is looked for first.
    """
    person = person or contact
    ways = [("number", person.phone), ("email", person.email)]
    ways.sort(key=lambda way: way[1] != contact.key)
    others: set[str] = set()
    found: str | None = yield from _look(location, ways, others)
    if found is not None:
        return found
    if mode == "find":
        raise StepRefusedError(
            _OTHER if others else "no contact has this number or address, and none is created"
        )
    answer: Answer = yield _make(location, person)
    if 400 <= answer.status < 500 and answer.status != 408:
        known = _duplicate_of(answer.body) if answer.status in (400, 409) else None
        if known in others:
            raise StepRefusedError(_OTHER)
        if not known:
            known = yield from _look(location, ways, others)
        if not known:
            raise refused(answer, _MAKE)
        return known
    made = content_of(answer, _Made, _MAKE).contact
    if made is None or not made.id:
        raise StepFailedError(f"{_MAKE}: the answer names none")
    return made.id


def _look(
    location: str, ways: list[tuple[str, str | None]], others: set[str]
) -> Dialogue[str | None]:
    """The one contact that has this number, or else this address.

    ``others`` takes the ids of those that the search gave and that have another one. Of one that
    shows none, nothing speaks against it.
    """
    for field, value in ways:
        if not value:
            continue
        answer: Answer = yield _look_up(location, field, value)
        if answer.status == 404:
            continue
        found = content_of(answer, _Found, _LOOK_UP)
        given = found.contact if isinstance(found.contact, list) else [found.contact]
        given = [*given, *(found.contacts or ())]
        shown = [contact for contact in given if contact is not None and contact.id]
        ids = {contact.id for contact in shown if _has(contact, field, value)}
        if len(ids) > 1:
            raise StepRefusedError(
                f"{len(ids)} contacts have this {'address' if field == 'email' else field}: "
                "give the contactId of the right one"
            )
        if ids:
            return ids.pop()
        others.update(contact.id for contact in shown)
    return None


def _has(contact: _Contact, field: str, value: str) -> bool:
    """Whether it is the contact's own, after normalization; or may be, where none is shown."""
    first, more = (
        (contact.email, contact.additional_emails)
        if field == "email"
        else (contact.phone, contact.additional_phones)
    )
    if first is UNSET and not more:
        return True
    texts = [first, *(more if isinstance(more, list) else ())]
    texts += [text for item in texts if isinstance(item, dict) for text in item.values()]
    return _normal(value) in [_normal(text) for text in texts if isinstance(text, str)]


def _normal(text: str) -> str:
    """An address in small letters; a number without its plus and punctuation."""
    text = text.strip().lower()
    return text if "@" in text else _PUNCTUATION.sub("", text)


def _look_up(location: str, field: str, value: str) -> Request:
    query = urlencode({"locationId": location, field: value})  # a bare + would arrive as a space
    return Request("GET", f"/contacts/search/duplicate?{query}", CONTACTS_VERSION)


def _make(location: str, contact: Contact) -> Request:
    fields = {"locationId": location} | msgspec.to_builtins(contact)
    return Request("POST", "/contacts/", CONTACTS_VERSION, _encode(fields))


def _duplicate_of(body: bytes) -> str | None:
    try:
        meta = _duplicates.decode(body).meta
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if meta is None else meta.contact_id
