"""Finding or making the contact that a record names by number or address, without I/O.

Sources: the OpenAPI file for contacts (``/contacts/search/duplicate``, ``POST /contacts/``). From
reports of live use: a refused duplicate names the existing contact in ``meta.contactId``; a
creation that was answered 422 made the contact all the same (highlevel-api-docs 64); and an upsert
by an additional address of a contact makes that the primary one and deletes the other (337), which
is why no import calls ``/contacts/upsert``.

Opening the conversation of a contact, or finding it, without I/O.

Sources: the OpenAPI file for conversations; that one which exists is refused with "already exists"
is reported from live use. A contact has one conversation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import msgspec

from leadconnector_async.api import effects, endpoints, responses
from leadconnector_async.api.listings import conversation_of, text_of
from leadconnector_async.models import Contact, FoundContact, UpsertedContact
from leadconnector_async.transport.base import Request, Response

if TYPE_CHECKING:
    from leadconnector_async.policy import ContactMode

_LOOK: Final = "the contact could not be looked up"

_MAKE: Final = "the contact could not be created"

_UPSERT: Final = "the contact could not be upserted"

_OTHER: Final = (
    "the search gives a contact that shows another number or address: give it this one in "
    "LeadConnector, or give the record its contactId"
)

_PUNCTUATION: Final = re.compile(r"[+\s().-]")


class _ContactReply(msgspec.Struct, rename="camel"):
    contact: Any = None
    contacts: Any = None
    new: Any = None
    conversation: Any = None
    contact_id: Any = None
    error: Any = None
    status_code: Any = None


def get_contact(contact: str) -> Request:
    """One contact."""
    return Request("GET", f"/contacts/{quote(contact, safe='')}", endpoints.CONTACTS_VERSION)


def person_of(answer: dict[str, Any]) -> dict[str, object] | None:
    """What finds a contact elsewhere, as columns of an export; None for nothing that does."""
    found = answer.get("contact")
    contact: dict[str, Any] = found if isinstance(found, dict) else {}
    names = (text_of(contact.get(name)) for name in ("firstName", "lastName"))
    person = {
        "contactPhone": text_of(contact.get("phone")),
        "contactEmail": text_of(contact.get("email")),
        "contactName": text_of(contact.get("name")) or " ".join(filter(None, names)),
    }
    known = bool(person["contactPhone"] or person["contactEmail"])
    return {name: text for name, text in person.items() if text} if known else None


def find_contact(
    location: str, contact: Contact, mode: ContactMode, person: Contact | None = None
) -> effects.Flow[str]:
    """Learn a contact's id. ``person`` is who it is, where more is known than the record says.

    ``find`` looks by number and by address. ``create`` looks first, and creates what is not there;
    so does ``upsert``. What the record itself says is looked for first.
    """
    person = person or contact
    ways = [("number", person.phone), ("email", person.email)]
    ways.sort(key=lambda way: way[1] != contact.key)
    others: dict[str, dict[str, Any]] = {}
    found: dict[str, Any] | None = yield from _look(location, ways, others)
    if found is not None:
        return str(found["id"])
    if mode == "find":
        nobody = "no contact has this number or address, and none is created"
        raise effects.StepRefusedError(_OTHER if others else nobody)
    response: Response = yield make_contact(location, person)
    if responses.is_refusal(response):
        known = _id_in(responses.json_object(response.body).get("meta"), "contactId")
        if known in others:
            raise effects.StepRefusedError(_OTHER)
        if not known:
            found = yield from _look(location, ways, others)
            known = str(found["id"]) if found else None
        if not known:
            raise effects.refused(response, _MAKE)
        return known
    made = _id_in(effects.content_of(response, _ContactReply, _MAKE).contact)
    if not made:
        raise effects.StepFailedError(f"{_MAKE}: the answer names none")
    yield effects.PutLookups({f"made:{contact.key}": made})  # of which reports give the number
    return made


def look_up_contact(location: str, contact: Contact) -> effects.Flow[FoundContact | None]:
    """Who has this number, or else this address; or who the search gives for it."""
    others: dict[str, dict[str, Any]] = {}
    ways = [("number", contact.phone), ("email", contact.email)]
    found: dict[str, Any] | None = yield from _look(location, ways, others)
    found = found or next(iter(others.values()), None)
    return None if found is None else _read_contact(found)


def upsert_contact(location: str, contact: Contact) -> effects.Flow[UpsertedContact]:
    """Change the contact that the API takes it for, or make one."""
    response: Response = yield _post("/contacts/upsert", location, contact)
    answer = effects.content_of(response, _ContactReply, _UPSERT)
    if not _id_in(answer.contact):
        raise effects.StepFailedError(f"{_UPSERT}: the answer names none")
    given = (("phone", contact.phone), ("email", contact.email))
    return UpsertedContact(
        contact=_read_contact(answer.contact),
        new=answer.new is True,
        dropped=tuple(n for n, value in given if value and not _has(answer.contact, n, value)),
    )


def _read_contact(fields: dict[str, Any]) -> FoundContact:
    further = fields.get("additionalEmails")
    texts = [one.get("email") if isinstance(one, dict) else one for one in _listed(further)]
    return FoundContact(
        id=str(fields["id"]),
        first_name=text_of(fields.get("firstName")),
        last_name=text_of(fields.get("lastName")),
        additional_emails=tuple(text for text in texts if isinstance(text, str)),
        **{name: text_of(fields.get(name)) for name in ("phone", "email", "name")},
    )


def _look(
    location: str, ways: list[tuple[str, str | None]], others: dict[str, dict[str, Any]]
) -> effects.Flow[dict[str, Any] | None]:
    """The one contact that has this number, or else this address.

    ``others`` takes those, by their ids, that the search gave and that have another one. Of one
    that shows none, nothing speaks against it.
    """
    for field, value in ways:
        if not value:
            continue
        query = urlencode({"locationId": location, field: value})  # a bare + would become a space
        path = f"/contacts/search/duplicate?{query}"
        response: Response = yield Request("GET", path, endpoints.CONTACTS_VERSION)
        if responses.is_absent(response):
            continue
        found = effects.content_of(response, _ContactReply, _LOOK)
        given = [*_listed(found.contact), *_listed(found.contacts)]
        if not any(given) and (found.error or found.status_code not in (None, response.status)):
            raise effects.unreadable(_LOOK)  # an error within a success tells of no contact
        shown: dict[str, dict[str, Any]] = {
            id_: contact | {"id": id_} for contact in given if (id_ := _id_in(contact))
        }
        found_ids = [id_ for id_, contact in shown.items() if _has(contact, field, value)]
        if len(found_ids) > 1:
            what = "address" if field == "email" else field
            wrong = f"{len(found_ids)} contacts have this {what}"
            raise effects.StepRefusedError(f"{wrong}: give the contactId of the right one")
        if found_ids:
            return shown[found_ids[0]]
        others |= shown
    return None


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _id_in(entry: object, name: str = "id") -> str | None:
    return text_of(entry.get(name)) if isinstance(entry, dict) else None


def _has(contact: dict[str, Any], field: str, value: str) -> bool:
    """Whether it is the contact's own, after normalization; or may be, where none is shown."""
    name = "email" if field == "email" else "phone"
    others = contact.get("additionalEmails" if name == "email" else "additionalPhones")
    if name not in contact and not others:
        return True
    texts = [contact.get(name), *(others if isinstance(others, list) else ())]
    texts += [text for item in texts if isinstance(item, dict) for text in item.values()]
    return _normal(value) in [_normal(text) for text in texts if isinstance(text, str)]


def _normal(text: str) -> str:
    """An address in small letters; a number without its plus and punctuation."""
    text = text.strip().lower()
    return text if "@" in text else _PUNCTUATION.sub("", text)


def made_contact(response: Response) -> str | None:
    """The id of the contact that was made, where one was: also by an answer that says otherwise."""
    body = response.body if responses.is_success(response) else b""
    return _id_in(responses.json_object(body).get("contact"))


def delete_contact(contact: str) -> Request:
    """Remove a contact, and its conversation with it."""
    return Request("DELETE", f"/contacts/{quote(contact, safe='')}", endpoints.CONTACTS_VERSION)


def make_contact(location: str, contact: Contact) -> Request:
    """Make a contact. One that exists is refused, with its id."""
    return _post("/contacts/", location, contact)


def _post(path: str, location: str, contact: Contact) -> Request:
    fields = {"locationId": location} | msgspec.to_builtins(contact)
    return Request("POST", path, endpoints.CONTACTS_VERSION, msgspec.json.encode(fields))


_OPEN: Final = "the conversation could not be opened"

_FIND: Final = "the conversation could not be found"


def open_conversation(location: str, contact: str) -> effects.Flow[str]:
    """Learn the id of a contact's conversation."""
    response: Response = yield endpoints.open_conversation(location, contact)
    if responses.exists_already(response):
        response = yield endpoints.search_conversations(location, contactId=contact)
        try:
            known = conversation_of(effects.body_of(response, _FIND), contact)
        except ValueError:
            raise effects.unreadable(_FIND) from None
        if known is None:
            raise effects.StepLagsError(f"{_FIND}: the search does not show it yet")
        return known
    opened = _id_in(effects.content_of(response, _ContactReply, _OPEN).conversation)
    if opened is None:
        raise effects.unreadable(_OPEN)
    return opened


def find_owner(conversation: str) -> effects.Flow[str]:
    """Learn the id of a conversation's contact."""
    response: Response = yield endpoints.get_conversation(conversation)
    what = "the conversation's contact could not be found"
    contact = text_of(effects.content_of(response, _ContactReply, what).contact_id)
    if contact is None:
        raise effects.unreadable(what)
    return contact
