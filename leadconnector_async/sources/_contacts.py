"""Numbers and addresses of contacts, each in the one spelling under which it is looked up."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Contact
from leadconnector_async.sources._values import Wrong, read_text

if TYPE_CHECKING:
    from collections.abc import Callable

_CACHED: Final = 16_384
"""Contacts are many times fewer than records, and come in runs."""


class Contacts:
    """Reads what names a contact. ``region`` is the country of numbers without a country code.

    The packages that know numbers and addresses are imported with the first of either.

    Raises:
        SourceError: a package is not installed, or there is no such region.
    """

    def __init__(self, region: str | None) -> None:
        self._region = None if region is None else region.strip().upper()
        self.readers: dict[str, Callable[[object], str]] = {
            "contact.phone": self.phone,
            "contact.email": self.email,
            "contact.name": self.name,
        }

    def phone(self, value: object) -> str:
        """Spell a number in E.164, without its extension."""
        return _e164(read_text(value), self._region)

    def email(self, value: object) -> str:
        """Spell an address in lower case. Nothing is looked up."""
        return _address(read_text(value))

    def name(self, value: object) -> str:
        """Take a name without the space around it."""
        return read_text(value).strip()

    def handle(self, given: Contact) -> Contact:
        """Read a whole one, as JSON holds it."""
        return Contact(
            phone=None if given.phone is None else self.phone(given.phone),
            email=None if given.email is None else self.email(given.email),
            name=None if given.name is None else self.name(given.name),
        )


@lru_cache(maxsize=_CACHED)
def _e164(text: str, region: str | None) -> str:
    try:
        import phonenumbers  # noqa: PLC0415 - an extra, and not every source names a number
    except ImportError as error:
        raise _lacking("contact.phone", "phonenumbers") from error
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise SourceError(
            f"--region {region} is no region: give the two letters of a country, such as US"
        )
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise _no_number(text, region, error.error_type) from None
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        # It would be looked up, and a contact made, under a number that nobody has.
        fix = "write the whole number with its area code, such as +12125550100"
        raise Wrong("lacks its area code", fix)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        country = f"for the country code +{number.country_code}"
        raise Wrong(
            f"is no possible telephone number {country}",
            "write the whole number with its country code, such as +12125550100",
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _no_number(text: str, region: str | None, kind: int) -> Wrong:
    from phonenumbers import NumberParseException  # noqa: PLC0415 - as above

    without_code = kind == NumberParseException.INVALID_COUNTRY_CODE
    if without_code and region is None and not text.strip().startswith("+"):
        fix = "write it as +12125550100, or give --region, such as --region US"
        return Wrong("has no country code", fix)
    if without_code:
        return Wrong("begins with no country code that exists", "write it as +12125550100")
    return Wrong("is no telephone number", "write one such as +12125550100")


@lru_cache(maxsize=_CACHED)
def _address(text: str) -> str:
    try:
        from email_validator import (  # noqa: PLC0415 - an extra, as above
            EmailNotValidError,
            validate_email,
        )
    except ImportError as error:
        raise _lacking("contact.email", "email-validator") from error
    try:
        found = validate_email(text.strip(), check_deliverability=False)
    except EmailNotValidError:
        raise Wrong("is no usable e-mail address", "write one such as me@example.com") from None
    return found.normalized.lower()


def _lacking(field: str, package: str) -> SourceError:
    return SourceError(
        f"{field} needs the package {package}: pip install 'leadconnector-async[contacts]'"
    )
