"""What each type of message needs and allows, as one table.

Sources: ``ProcessMessageBodyDto`` of the OpenAPI file, and reports of live use where the file and
the service differ (the file marks both ids as required; the service wants one of them).

And contacts that a program names, each in the one spelling under which it is looked up. Nothing is
guessed, and no package is needed, so that a record has the same key wherever it is made.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from leadconnector_async.data_files import read_toml
from leadconnector_async.models import CHOICES, Call, Contact, MessageFields, MessageType, Problem


class TypeRule(Struct, frozen=True):
    """What one type needs and allows."""

    provider: bool = False
    """Needs ``conversationProviderId``: without it the API answers 400, or drops the message."""
    mail: bool = False
    """Allows subject, html, and the other fields of an e-mail."""
    call: bool = False
    """Allows ``call``."""
    content: bool = True
    """Needs a text, an html body, or an attachment."""
    read_as: tuple[str, ...] = ()
    """The ``messageType`` under which the API gives it back. Empty: not known, compare without."""


RULES: Final = msgspec.convert(read_toml(__package__, "message_types"), dict[MessageType, TypeRule])

NEED_PROVIDER: Final[tuple[str, ...]] = tuple(name for name, rule in RULES.items() if rule.provider)
"""Types that cannot do without the id of a provider."""

SENT_AS_CUSTOM: Final = frozenset({"SMS", "Email"})
"""Types whose own provider needs no id. Messages of a further provider are ``Custom`` ones with its
id (reports of live use)."""

_API_NAMES: Final = {field.name: field.encode_name for field in fields(MessageFields)}

_MAIL_FIELDS: Final = (
    *("subject", "html", "email_from", "email_to", "email_cc", "email_bcc", "email_message_id"),
)

_IDS: Final = (
    *("contact_id", "conversation_id", "conversation_provider_id", "email_message_id", "alt_id"),
)

_TEXTS: Final = ("message", "subject", "html")

_DIRECTIONS: Final = CHOICES["direction"]

_STATUSES: Final = frozenset((None, *CHOICES["call.status"]))


def validate(
    message: MessageFields, *, named: bool = False, files: bool = False
) -> tuple[Problem, ...]:
    """Every rule that a well-typed message breaks; empty if the API should take it.

    ``named``: its contact is known by number or address. ``files``: it has attachments that are
    uploaded before it is sent.
    """
    rule = RULES.get(message.type)
    if rule is None:
        return (Problem("type", "is not a type of message", f"use one of {', '.join(RULES)}"),)
    texts = message.message, message.subject, message.html
    if is_plainly_good(message) and not any("\0" in (text or "") for text in texts):
        return ()
    return tuple(_problems(message, rule, named=named, files=files))


def is_plainly_good(message: MessageFields) -> bool:
    """The common case in a few look-ups: nothing that `validate` says, but for NULs in texts."""
    rule, who = RULES.get(message.type), message.contact_id
    if rule is None or not who or not who.isprintable() or who.isspace():
        return False
    if rule.content and not (message.message or (rule.mail and message.html)):
        return False
    provider, call = message.conversation_provider_id, message.call
    return (
        message.conversation_id is message.email_message_id is message.alt_id is None
        and message.attachments is None
        and (not rule.provider if provider is None else provider.isalnum())
        and message.direction in _DIRECTIONS
        and message.date is not None
        and message.date.tzinfo is not None
        and (
            rule.mail
            or (
                message.subject is message.html is message.email_from is message.email_to is None
                and message.email_cc is message.email_bcc is None
            )
        )
        and (call is None or (rule.call and call.status in _STATUSES))
    )


_BACKSLASH: Final = ord("\\")


def has_nul(body: bytes) -> bool:
    """Tell whether a text of an encoded message may have a NUL character."""
    return _BACKSLASH in body and body.find(b"\\u0000") >= 0  # `in` would first try a number


def _problems(
    message: MessageFields, rule: TypeRule, *, named: bool = False, files: bool = False
) -> Iterator[Problem]:
    if not (named or message.contact_id or message.conversation_id):
        fix = "give contactId or conversationId, or else contact.phone or contact.email, "
        yield Problem("contactId", "is missing", f"{fix}to be looked up")
    for attribute in _IDS:
        value, name = getattr(message, attribute), _API_NAMES[attribute]
        if value is None:
            continue
        if not value.strip():
            yield Problem(name, "is empty", "leave the field out or give an id")
        elif not value.isprintable():
            yield Problem(name, "has control characters", "give the id alone")
    if rule.provider and not message.conversation_provider_id:
        fix = f"type {message.type} needs the id of its provider: give it, or --provider"
        yield Problem("conversationProviderId", "is missing", fix)
    if message.direction not in _DIRECTIONS:
        wrong = "is missing" if message.direction is None else "is not a direction"
        yield Problem("direction", wrong, "say inbound or outbound; the API would assume outbound")
    if message.date is not None and message.date.tzinfo is None:
        yield Problem("date", "has no offset", "add one, as in 2024-05-01T09:30:00+02:00")
    yield from _content_problems(message, rule, files=files)
    if message.call is not None:
        yield from _call_problems(message.type, message.call, rule)


def _content_problems(message: MessageFields, rule: TypeRule, *, files: bool) -> Iterator[Problem]:
    if not rule.mail:
        for attribute in _MAIL_FIELDS:
            if getattr(message, attribute):
                mails = " and ".join(name for name, rule in RULES.items() if rule.mail)
                fix = f"only {mails} carry it; the API would drop it"
                yield Problem(_API_NAMES[attribute], f"does not belong to type {message.type}", fix)
    if rule.content and not (files or message.message or message.html or message.attachments):
        content = "message, html or attachments" if rule.mail else "message or attachments"
        yield Problem("message", "is missing", f"type {message.type} needs {content}")
    for name in _TEXTS:
        if "\0" in (getattr(message, name) or ""):
            yield Problem(name, "has a NUL character", "remove it: the file may be damaged")
    for url in message.attachments or ():
        if not url.startswith(("https://", "http://")) or not url.isprintable() or " " in url:
            yield Problem("attachments", "has an entry that is no URL", "give public https:// URLs")
            break


def _call_problems(type_: str, call: Call, rule: TypeRule) -> Iterator[Problem]:
    if not rule.call:
        calls = ", ".join(name for name, rule in RULES.items() if rule.call)
        yield Problem("call", f"does not belong to type {type_}", f"only {calls} carry it")
    if call.status not in _STATUSES:
        fix = f"use one of {', '.join(CHOICES['call.status'])}"
        yield Problem("call.status", "is not a status", fix)


HALF: Final = "has half a character", "remove lone surrogates"


def as_builtin(value: object) -> object:
    """What a text or date of a subclass is, such as of a parser or a data frame."""
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.timetz())
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError


_PUNCTUATION: Final = re.compile(r"[\s().-]")

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")

_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")


def verified_contact(given: Contact) -> tuple[Contact | None, tuple[Problem, ...]]:
    """Spell a contact, whose fields may be of any type; or say what is wrong with it."""
    try:
        contact = msgspec.json.decode(msgspec.json.encode(given, enc_hook=as_builtin), type=Contact)
    except UnicodeEncodeError:
        return None, (Problem("contact", *HALF),)
    except (msgspec.ValidationError, TypeError, ValueError):
        return None, (Problem("contact", "has a wrong type", "give its fields as text"),)
    contact = Contact(
        phone=_PUNCTUATION.sub("", contact.phone or "") or None,
        email=(contact.email or "").strip().lower() or None,
        name=(contact.name or "").strip() or None,
    )
    problems = tuple(_contact_problems(contact))
    return (None if problems else contact), problems


def _contact_problems(contact: Contact) -> Iterator[Problem]:
    if not contact.key:
        yield Problem("contact", "has no number and no address", "give its phone or its email")
    if contact.phone and not _E164.fullmatch(contact.phone):
        yield Problem("contact.phone", "is no number in E.164", "write it as +12125550100")
    if contact.email and not (_ADDRESS.fullmatch(contact.email) and contact.email.isprintable()):
        yield Problem("contact.email", "is no e-mail address", "write one such as me@example.com")
