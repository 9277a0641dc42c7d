"""The contacts that the sandbox knows, and how they are found again."""

from __future__ import annotations

import re
from typing import Any, Final

_PUNCTUATION: Final = re.compile(r"[\s().-]")


def normal_phone(number: str) -> str:
    """A number without its punctuation."""
    return _PUNCTUATION.sub("", number)


class ContactBook:
    """Contacts by location and id, with an index for each field that tells duplicates."""

    def __init__(self) -> None:
        self._contacts: dict[tuple[str, str], dict[str, Any]] = {}
        self._index: dict[tuple[str, str, str], str] = {}
        self._keys: dict[tuple[str, str], list[tuple[str, str, str]]] = {}

    def __contains__(self, who: tuple[str, str]) -> bool:
        return who in self._contacts

    def get(self, location: str, contact_id: str) -> dict[str, Any] | None:
        """A contact's fields."""
        return self._contacts.get((location, contact_id))

    def all(self) -> list[dict[str, Any]]:
        """Every contact, in the order of creation."""
        return list(self._contacts.values())

    def find(self, location: str, field: str, value: str | None) -> dict[str, Any] | None:
        """The contact with this ``email`` or ``phone``."""
        if not value:
            return None
        contact_id = self._index.get((location, field, _normal(field, value)))
        return None if contact_id is None else self._contacts[location, contact_id]

    def put(self, contact: dict[str, Any]) -> None:
        """Add a contact, or index its changed fields again. A field's first owner keeps it."""
        who = contact["locationId"], contact["id"]
        self.remove(*who)
        self._contacts[who] = contact
        keys = [
            (who[0], field, _normal(field, contact[field]))
            for field in ("email", "phone")
            if contact.get(field)
        ]
        self._keys[who] = [key for key in keys if self._index.setdefault(key, who[1]) == who[1]]

    def remove(self, location: str, contact_id: str) -> None:
        """Forget a contact, if it is there."""
        self._contacts.pop((location, contact_id), None)
        for key in self._keys.pop((location, contact_id), ()):
            del self._index[key]


def _normal(field: str, value: str) -> str:
    return normal_phone(value) if field == "phone" else value.strip().lower()
