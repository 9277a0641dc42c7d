"""Finding or making the contact that a record names by number or address, without I/O.

A `ContactSearch` says which request to make next and is fed the answers, as `search.Search` is.

Sources: the OpenAPI file for contacts (``/contacts/search/duplicate``, ``POST /contacts/``,
``POST /contacts/upsert``); that a refused duplicate names the existing contact in
``meta.contactId`` is reported from live use.
"""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from leadconnector_async._api.answers import read_refusal
from leadconnector_async._transport import Answer, Request

CONTACTS_VERSION: Final = "2021-07-28"
ContactMode = Literal["find", "create", "upsert"]


class Handle(Struct, frozen=True, omit_defaults=True):
    """What a record knows of its contact: a number in E.164, an address, a name."""

    phone: str | None = None
    email: str | None = None
    name: str | None = None

    def __repr__(self) -> str:
        known = [field for field in ("phone", "email", "name") if getattr(self, field)]
        return f"Handle({', '.join(known)})"


class _Contact(Struct):
    id: str


class _Answer(Struct):
    contact: _Contact | None = None


class _Meta(Struct, rename="camel"):
    contact_id: str | None = None


class _Duplicate(Struct):
    meta: _Meta | None = None


_answers: Final = msgspec.json.Decoder(_Answer)
_duplicates: Final = msgspec.json.Decoder(_Duplicate)
_encode: Final = msgspec.json.Encoder().encode


class Known(Struct, frozen=True):
    """The contact exists, now or from before."""

    contact_id: str


class NoContact(Struct, frozen=True):
    """There is no such contact, and there will not be one."""

    reason: str


class Delayed(Struct, frozen=True):
    """It could not be found out this time."""

    reason: str


class ContactSearch:
    """One attempt to learn a contact's id.

    ``find`` looks by number, then by address. ``create`` looks first, and creates what is not
    there. ``upsert`` lets the API decide; it may overwrite an address, and drops one of two that
    belong to different contacts.
    """

    def __init__(self, location: str, handle: Handle, mode: ContactMode) -> None:
        self._location = location
        self._handle = handle
        self._mode = mode
        looks = [("number", handle.phone), ("email", handle.email)]
        self._looks = [] if mode == "upsert" else [(name, value) for name, value in looks if value]

    def request(self) -> Request:
        """The next request to make."""
        if self._looks:
            name, value = self._looks[0]
            query = urlencode({"locationId": self._location, name: value})
            return Request("GET", f"/contacts/search/duplicate?{query}", CONTACTS_VERSION)
        fields = {"locationId": self._location} | msgspec.to_builtins(self._handle)
        path = "/contacts/upsert" if self._mode == "upsert" else "/contacts/"
        return Request("POST", path, CONTACTS_VERSION, _encode(fields))

    def feed(self, answer: Answer) -> Known | NoContact | Delayed | None:
        """Take the answer to `request`; None asks for another request."""
        if answer.status >= 500 or answer.status == 408:
            return Delayed(f"the contact could not be asked for: {answer.status}")
        if self._looks:
            return self._after_look(answer)
        if 200 <= answer.status < 300:
            known = _known(answer.body)
            return known or Delayed("the API answered without a contact")
        try:
            duplicate = _duplicates.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            duplicate = _Duplicate()
        if duplicate.meta is not None and duplicate.meta.contact_id:
            return Known(duplicate.meta.contact_id)
        return _refused(answer)

    def _after_look(self, answer: Answer) -> Known | NoContact | Delayed | None:
        if answer.status not in (200, 404):
            return _refused(answer)
        known = _known(answer.body) if answer.status == 200 else None
        if known is not None:
            return known
        del self._looks[0]
        if not self._looks and self._mode == "find":
            return NoContact("no contact has this number or address")
        return None


def _known(body: bytes) -> Known | None:
    try:
        found = _answers.decode(body).contact
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return Known(found.id) if found else None


def _refused(answer: Answer) -> NoContact:
    refusal = read_refusal(answer.status, answer.body)
    return NoContact(f"the contact was refused: {refusal.status} {refusal.message}")
