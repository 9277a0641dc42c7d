"""Contacts that a program names: each in the one spelling under which it is looked up.

Nothing is guessed here, and no package is needed, so that a record has the same key wherever it is
made: a number has its country code, and a number that only people can read is a problem.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async._messages import Contact, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_PUNCTUATION: Final = re.compile(r"[\s().-]")
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")


def verified_contact(given: Contact) -> tuple[Contact | None, tuple[Problem, ...]]:
    """Spell a contact, whose fields may be of any type; or say what is wrong with it."""
    try:
        contact = msgspec.convert(msgspec.to_builtins(given), Contact)
    except (msgspec.ValidationError, TypeError, ValueError):
        return None, (Problem("contact", "has a wrong type", "give its fields as text"),)
    contact = Contact(
        phone=_PUNCTUATION.sub("", contact.phone or "") or None,
        email=(contact.email or "").strip().lower() or None,
        name=(contact.name or "").strip() or None,
    )
    problems = tuple(_problems(contact))
    return (None if problems else contact), problems


def _problems(contact: Contact) -> Iterator[Problem]:
    if not contact.key:
        yield Problem("contact", "has no number and no address", "give its phone or its email")
    if contact.phone and not _E164.fullmatch(contact.phone):
        yield Problem("contact.phone", "is no number in E.164", "write it as +12125550100")
    if contact.email and not (_ADDRESS.fullmatch(contact.email) and contact.email.isprintable()):
        yield Problem("contact.email", "is no e-mail address", "write one such as me@example.com")
