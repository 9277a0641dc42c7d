"""Whom a row is with: what its columns say of the contact, and of the two sides."""

import re
from collections.abc import Callable, Mapping
from email.utils import getaddresses
from typing import Final

from leadconnector_async.sources.fields import expression, notice, wrong_value
from leadconnector_async.sources.mappings.mapping import ColumnNames, FieldRule, as_list
from leadconnector_async.sources.mappings.rules import Row, unique, word_of
from leadconnector_async.sources.values.contact_values import ADDRESS, Contacts
from leadconnector_async.sources.values.phone_numbers import digits

Values = dict[str, object]

_NAME_AND_NUMBER: Final = re.compile(r"([^<(\d+]*[^\W\d][^<(\d+]*)[<(](\+?[\d .()-]{7,})[>)]")

_ONLY_NUMBER: Final = re.compile(r"[0-9]{10,}|(?![0-9]+\Z)[0-9+\-.() ]+")
"""A telephone number in place of a name. Fewer figures alone are rather a customer's."""


class RowContact:
    """Settles what together names the contact of a row: its number, address and name."""

    def __init__(self, contacts: Contacts, rules: Mapping[str, FieldRule]) -> None:
        self._contacts = contacts
        parts = ("phone", "email", "name")
        self._number, self._address, self._name = (
            rules.get(f"contact.{part}", FieldRule()) for part in parts
        )

    def settle(self, values: Values, row: Row) -> list[str]:
        """Settle it; return what has to be told.

        An address in a column of neither side, beside the numbers of both, is taken away, and a
        name with it: nobody knows whose it is.
        """
        self._part(values, row)
        self._see_to_mail(values, row)
        if "contact.phone" not in values:
            return []
        self._see_to_number(values, row)
        number, address = self._number, self._address
        sides = all(_sides(number, row))
        whose = _first_of(row, number.column)
        if whose.casefold().startswith("external"):  # beside it the owner's people are named
            sides, whose = True, ""
        mail, name = values.get("contact.email"), values.get("contact.name")
        is_own = isinstance(mail, str) and self._contacts.is_own(mail)
        if is_own or (mail and sides and not whose and _of_either(address, row)):
            del values["contact.email"]
            # Of the same person.
            is_lost = _of_either(self._name, row) and values.pop("contact.name", None)
            return [notice("nobodys")] if is_lost or not is_own else []
        phone = values["contact.phone"]
        are_texts = isinstance(phone, str) and isinstance(name, str)
        is_told = are_texts and _of_either(self._name, row)
        is_many = is_told and self._contacts.has_many(str(name), self._contacts.same(str(phone)))
        return [notice("many_with_name")] if is_many else []

    def _part(self, values: Values, row: Row) -> None:
        """Take the name and the address out of the place of the number."""
        phone = values.get("contact.phone")
        if not isinstance(phone, str):
            return
        if phone.endswith((">", ")")) and (both := _NAME_AND_NUMBER.fullmatch(phone)):
            phone = values["contact.phone"] = both[2]
            values.setdefault("contact.name", both[1].strip("\"' "))
        if "@" not in phone or ("contact.email" in values and _first_of(row, self._number.column)):
            return
        is_number = ":" in phone or phone.partition("@")[0].lstrip("+").isdecimal()  # as is sip:…
        if not is_number and not expression("messenger_id").search(phone):
            values.setdefault("contact.email", values.pop("contact.phone"))

    def _see_to_number(self, values: Values, row: Row) -> None:
        """Read it by its country, and compare one that may be the owner's with the others."""
        rule, phone, name = self._number, values["contact.phone"], values.get("contact.name")
        if rule.code and isinstance(phone, str):
            phone = self._of_country(phone, row)
        if isinstance(name, str) and not any(map(str.isalpha, name)):
            del values["contact.name"]
            phone = self._contacts.meant(phone, name, "that in place of the name")
        for column in as_list(self._name.column):
            if _ONLY_NUMBER.fullmatch(text := word_of(row, column)):
                whose = _first_of(row, rule.column)
                if _of_either(rule, row) or not (whose or any(_sides(rule, row))):
                    phone = self._contacts.meant(phone, text, f"that in {column}")
        direction = values.get("direction")
        if not rule.code and isinstance(direction, str) and _of_either(rule, row):
            end = _first_of(row, rule.inbound if direction == "inbound" else rule.outbound)
            phone = self._contacts.meant(phone, end and word_of(row, end), f"that in {end}")
        values["contact.phone"] = phone

    def _see_to_mail(self, values: Values, row: Row) -> None:
        """Compare an address that may be the owner's with those of the other side."""
        mail, direction = values.get("contact.email"), values.get("direction")
        rule, number = self._address, self._number
        if not (isinstance(mail, str) and isinstance(direction, str) and _of_either(rule, row)):
            return
        both = "contact.phone" in values  # then the sides' columns are of that
        others = _addresses(row, rule.inbound, [] if both else number.inbound)
        owners = _addresses(row, rule.outbound, [] if both else number.outbound)
        if direction == "outbound":
            others, owners = owners, others
        said = ADDRESS.findall(str(mail).casefold())
        if not others or not others.keys().isdisjoint(said):
            return
        if self._contacts.is_own(str(mail)) or not owners.keys().isdisjoint(said):
            values["contact.email"] = " ".join(others)
            return
        values["contact.email"] = wrong_value("another_address", column=next(iter(others.values())))

    def _of_country(self, phone: str, row: Row) -> object:
        """Read a number by the code of its country, which has a column of its own."""
        rule = self._number
        words = (word_of(row, column).partition(".")[0] for column in rule.code)  # as in 44.0
        code = next(filter(None, (digits(word).lstrip("0") for word in words)), "")
        is_of_it = _first_of(row, rule.column) or not any(_sides(rule, row))
        return self._contacts.of_country(phone, code) if code and is_of_it else phone


def spread(values: dict[str, object], is_own: Callable[[str], bool]) -> bool:
    """Let a mail to several people be with the first who is not its owner; the others are cc.

    One that was received went to its owner. Tells whether there are several.
    """
    to = values.get("emailTo")
    found = getaddresses([to.replace(";", ",")]) if isinstance(to, str) else []
    people = [address for _, address in found if "@" in address]
    if len(people) < 2:  # noqa: PLR2004 - several
        return False
    is_in = values.get("direction") == "inbound"
    first = next((one for one in people if is_own(one) == is_in), people[0])
    cc = values.get("emailCc")
    others = [*people, *(cc if isinstance(cc, list) else [])]
    values["emailCc"] = unique(one for one in others if one != first)
    if values.get("contact.email") == to:
        values["contact.email"] = first
    values["emailTo"] = first
    return True


def _addresses(row: Row, *columns: ColumnNames) -> dict[str, str]:
    """Find the addresses in some columns, each with its column."""
    names = (name for some in columns for name in as_list(some))
    found = ((one, name) for name in names for one in ADDRESS.findall(word_of(row, name)))
    return {address.casefold(): name for address, name in found}


def _first_of(row: Row, columns: ColumnNames) -> str:
    """Name the first column that is filled."""
    return next((name for name in as_list(columns) if word_of(row, name)), "")


def _sides(rule: FieldRule, row: Row) -> tuple[str, str]:
    """Name the columns of both sides that are filled."""
    return _first_of(row, rule.inbound), _first_of(row, rule.outbound)


def _of_either(rule: FieldRule, row: Row) -> str:
    """Name the column of a value that may be of either side."""
    whose = "" if isinstance(rule.column, str) else _first_of(row, rule.column)
    return "" if expression("others_column").search(whose.casefold()) else whose
