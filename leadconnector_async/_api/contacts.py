"""Finding or making the contact that a record names by number or address, without I/O.

Sources: the OpenAPI file for contacts (``/contacts/search/duplicate``, ``POST /contacts/``,
``POST /contacts/upsert``); that a refused duplicate names the existing contact in
``meta.contactId`` is reported from live use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

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


class _Contact(Struct):
    id: str


class _Answer(Struct):
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

    ``find`` looks by number, then by address. ``create`` looks first, and creates what is not
    there. ``upsert`` lets the API decide; it may overwrite an address, and drops one of two that
    belong to different contacts.
    """
    person = person or contact
    if mode != "upsert":
        ways = [("number", person.phone), ("email", person.email)]
        ways.sort(key=lambda way: way[1] != contact.key)  # what the record itself says comes first
        for field, value in ways:
            if value:
                answer: Answer = yield _look_up(location, field, value)
                found = None if answer.status == 404 else content_of(answer, _Answer, _LOOK_UP)
                if found is not None and found.contact is not None and found.contact.id:
                    return found.contact.id
        if mode == "find":
            raise StepRefusedError("no contact has this number or address, and none is created")
    answer = yield _make(location, person, mode)
    return _made(answer)


def _look_up(location: str, field: str, value: str) -> Request:
    query = urlencode({"locationId": location, field: value})  # a bare + would arrive as a space
    return Request("GET", f"/contacts/search/duplicate?{query}", CONTACTS_VERSION)


def _make(location: str, contact: Contact, mode: ContactMode) -> Request:
    path = "/contacts/upsert" if mode == "upsert" else "/contacts/"
    fields = {"locationId": location} | msgspec.to_builtins(contact)
    return Request("POST", path, CONTACTS_VERSION, _encode(fields))


def _made(answer: Answer) -> str:
    if 200 <= answer.status < 300:
        contact = content_of(answer, _Answer, _MAKE).contact
        if contact is None or not contact.id:
            raise StepFailedError(f"{_MAKE}: the answer names none")
        return contact.id
    known = _duplicate_of(answer.body) if answer.status in (400, 409) else None
    if not known:
        raise refused(answer, _MAKE)
    return known


def _duplicate_of(body: bytes) -> str | None:
    try:
        meta = _duplicates.decode(body).meta
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if meta is None else meta.contact_id
