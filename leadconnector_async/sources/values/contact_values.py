"""Numbers and addresses of contacts, each in the one spelling under which it is looked up."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.sources import fields
from leadconnector_async.sources.base import SettledContact, needs
from leadconnector_async.sources.fields import WrongValueError, read_text, stripped, wrong_value
from leadconnector_async.sources.values import phone_numbers
from leadconnector_async.sources.values.phone_numbers import LETTER, digits, only_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from leadconnector_async.sources.values.phone_parsing import Number

_CACHED: Final = 16_384
"""Contacts are many times fewer than records, and come in runs."""

ADDRESS: Final = re.compile(r"[^\s<>()\[\]\"';,:|]+@[^\s<>()\[\]\"';,:|]+")

_NAMED: Final = re.compile(r"[^<]*<([^<>]+)>\W*|mailto:(.+)", re.IGNORECASE)

_PART: Final = re.compile(r"\w+")

_MAX_NAMED: Final = 16_384
"""Numbers whose names are remembered: memory has to stay bounded."""

_MAX_NAMES: Final = 2
"""Names of one number that are nothing strange: a maiden name, a spelling."""

MANY_NAMES: Final = "telephone numbers that stand with more than two names: is each one person's?"


@dataclass(eq=False, repr=False)
class Contacts:
    """Reads what names a contact. ``region`` is the country of numbers without a country code.

    ``possible`` takes numbers that nobody can have, if they have the length of one. ``notice`` is
    told what its owner should know of how a number was read. ``mine`` are the owner's own numbers,
    addresses and names, or ``@domain``.

    The packages that know numbers and addresses are imported with the first of either.

    Raises:
        SourceError: a package is not installed, or there is no such region.
    """

    region: str | None
    _: KW_ONLY
    possible: bool = False
    notice: Callable[[str], None] | None = None
    mine: Iterable[str] = ()

    def __post_init__(self) -> None:
        self.region = self.region and self.region.strip().upper()
        self._names: dict[str, tuple[str, frozenset[str]]] = {}
        self._mails: dict[str, str] = {}

    def phone(self, value: object) -> str:
        """Spell a number in E.164, without its extension."""
        number = read_number(read_text(value), self.region, possible=self.possible)
        if number.notice is not None and self.notice is not None:
            self.notice(number.notice)
        return number.e164

    def of_country(self, phone: str, code: str) -> object:
        """Spell a number of the country with that code, if it is another than the region."""
        region = _parsing().REGIONS_OF.get(code)
        if region in (None, self.region):
            return phone
        try:
            return read_number(phone, region, possible=self.possible).e164
        except WrongValueError as error:  # in the region it would be somebody else's
            return error

    def same(self, text: str) -> str:
        """Spell a number to be compared, whatever is wrong with it: its digits, if it is one."""
        if number := self._number(text):
            return number[1:]
        bare = "" if LETTER.search(text) else digits(text)
        return bare or stripped(text).casefold()

    def _number(self, text: str) -> str:
        """Spell a number; what is none is nothing."""
        try:
            return read_number(text, self.region, possible=self.possible).e164
        except WrongValueError:
            return ""

    @cached_property  # the package that reads them is not always there
    def own(self) -> set[str]:
        """The owner's numbers and names, as `same` spells them. Whoever learns of one adds it."""
        return {self.same(_bare(number)) for number in self.mine}

    def is_own(self, text: str) -> bool:
        """Tell a number, an address or a name of the owner, also with a name before it."""
        same = self.same(_bare(text))
        return same in self.own or f"@{same.rpartition('@')[2]}" in self.own

    def meant(self, phone: object, name: str, place: str) -> object:
        """Choose between a number and one in another place: that of nobody but the owner."""
        other = self._number(name)
        if not other or not isinstance(phone, str) or self.is_own(name):
            return phone
        if self.is_own(phone):
            return other
        if self._number(phone) in ("", other):  # what is none has an error of its own
            return phone
        return wrong_value("another_number", place=place)

    def others(self, addresses: Iterable[str]) -> list[str]:
        """Name each once, and the owner not at all."""
        spelled: dict[str, str] = {}
        for address in addresses:
            same = self.same(address)
            if not self.is_own(address) and not spelled.get(same, "").startswith("+"):
                spelled[same] = address
        return list(spelled.values())

    def email(self, value: object) -> str:
        """Spell an address in lower case. Nothing is looked up."""
        return _address(read_text(value))

    def noted(self, contact: Contact, type_: str) -> Contact:
        """Tell of a number that has many names, or an address that has many numbers.

        They may be a placeholder, a shop's, or those of whoever wrote to all. A mail is with its
        address, where another one came with the number before, as of an office.
        """
        phone, mail = contact.phone, contact.email
        if phone is None or self.notice is None:
            return contact
        if contact.name is not None and self.has_many(phone, contact.name):
            self.notice(MANY_NAMES)
        if mail is None or isinstance(contact, SettledContact):
            return contact
        if self.has_many(mail, phone):
            self.notice(fields.notice("many_numbers"))
        if len(self._mails) < _MAX_NAMED:
            self._mails.setdefault(phone, mail)
        if type_ != "Email" or self._mails.get(phone, mail) == mail:
            return contact
        self.notice(fields.notice("many_mails"))
        return SettledContact(None, mail, contact.name, said=phone)

    def has_many(self, of: str, name: str) -> bool:
        """Tell whether something came with more than two others, this one among them."""
        last, names = self._names.get(of, ("", frozenset[str]()))
        if name != last and len(names) <= _MAX_NAMES:
            if not names and len(self._names) >= _MAX_NAMED:
                del self._names[next(iter(self._names))]
            names |= {" ".join(sorted(_PART.findall(name.casefold())))}
            self._names[of] = name, names
        return len(names) > _MAX_NAMES

    def handle(self, given: Contact) -> Contact:
        """Read a whole one, as JSON holds it."""
        return Contact(
            phone=None if given.phone is None else self.phone(given.phone),
            email=None if given.email is None else self.email(given.email),
            name=None if given.name is None else read_text(given.name).strip(),
        )


def read_number(text: str, region: str | None, *, possible: bool = False) -> Number:
    """Spell a number in E.164.

    Without a country code it is one of ``region``. ``possible`` takes numbers of a length that
    exists, but never placeholders.

    Raises:
        WrongValueError: it is none, or that of nobody or of several people.
        SourceError: the package is not installed, or there is no such region.
    """
    found = _read(text, region, possible)
    if isinstance(found, WrongValueError):
        raise WrongValueError(found.wrong, found.fix, kind=found.kind)
    return found


def _parsing() -> ModuleType:
    with needs("contact.phone", "phonenumbers", "contacts"):
        from leadconnector_async.sources.values import phone_parsing  # noqa: PLC0415 - often not needed
    return phone_parsing


@lru_cache(maxsize=_CACHED)
def _read(text: str, region: str | None, possible: bool) -> Number | WrongValueError:  # noqa: FBT001 - cached
    phone_parsing = _parsing()
    if region is not None and region not in phone_parsing.REGIONS:
        fix = "give the two letters of a country, such as US"
        raise SourceError(f"--region {region} is no region: {fix}")
    try:
        found: Number = phone_parsing.parse_number(only_number(text), region, possible=possible)
    except WrongValueError as error:
        return error
    return found


@lru_cache(maxsize=_CACHED)
def _address(text: str) -> str:
    with needs("contact.email", "email-validator", "contacts"):
        from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - as above
    text = text.strip()
    if len({address.casefold() for address in ADDRESS.findall(text)}) > 1:
        raise phone_numbers.several_people("address")
    if named := _NAMED.fullmatch(text):
        text = (named[1] or named[2]).strip()
    try:
        found = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        raise wrong_value("no_address") from None
    return found.normalized.lower()


def _bare(text: str) -> str:
    """Give an address without the name before it."""
    inner = text[:-1].rpartition("<")[2]
    return inner if text.endswith(">") and "@" in inner else text
