"""Telephone numbers that exist, by libphonenumber's rules. Importing this needs the extra."""

from typing import Final, NamedTuple

import phonenumbers

from leadconnector_async.sources.fields import WrongValueError, wrong_value
from leadconnector_async.sources.values import phone_numbers as texts

EXTENSION: Final = "extensions of telephone numbers, which are not kept"

NAMED: Final = "names beside telephone numbers in one cell, which are not kept"

BY_CODE: Final = "numbers without +, which are valid only if they begin with their country code"

_MAX_NAME: Final = 40

_RUN: Final = "0123456789" * 3

_MEXICO: Final = 52

_MEXICAN: Final = 11
"""Digits of a Mexican mobile number with the 1 before it that was dropped in 2019."""

REGIONS: Final = frozenset(phonenumbers.SUPPORTED_REGIONS)

REGIONS_OF: Final = {
    str(code): regions[0]
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
    if regions[0] in REGIONS
}
"""The first country of each code."""


class Number(NamedTuple):
    """A number in E.164, and what is to be known of how it was read."""

    e164: str
    notice: str | None = None


def parse_number(text: str, region: str | None, *, possible: bool) -> Number:
    """Read one number, without a country code as one of ``region``.

    Raises:
        WrongValueError: it is that of nobody.
    """
    given = _parsed(text, region)
    other = _by_code(text, region)
    if other == given:
        other = None
    for placeholder in (texts.digits(text), *_spellings(given), *_spellings(other)):
        _refuse_placeholder(placeholder)
    number = _chosen(text, region, given, other)
    if number is None and possible and given is not None and other is None:
        reason = phonenumbers.is_possible_number_with_reason(given)
        number = given if reason == phonenumbers.ValidationResult.IS_POSSIBLE else None
    if number is None:
        raise _refusal(text, region, given, coded=other is not None)
    notice = EXTENSION if number.extension else None
    if notice is None and texts.LETTER.search(text):
        own = phonenumbers.national_significant_number(number)
        notice = NAMED if texts.digits(text).endswith(own) else None
    if number is other and not text.startswith("00"):
        notice = BY_CODE
    return Number(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), notice)


_Found = phonenumbers.PhoneNumber | None


def _parsed(text: str, region: str | None) -> _Found:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _by_code(text: str, region: str | None) -> _Found:
    """Read a number without + as if it had one: the country code is there, or 00 before it."""
    digits = texts.digits(text)
    if "+" in text or texts.LETTER.search(text):
        return None
    if digits.startswith("00"):
        return _parsed(f"+{digits[2:]}", None)
    if region is not None and digits.startswith(str(phonenumbers.country_code_for_region(region))):
        return _parsed(f"+{digits}", None)
    return None


def _chosen(text: str, region: str | None, given: _Found, other: _Found) -> _Found:
    """Take the reading that is the number of somebody."""
    is_given = given is not None and phonenumbers.is_valid_number(given)
    if other is not None and phonenumbers.is_valid_number(other):
        if not is_given:
            return other
        # Where numbers are dialled with a trunk prefix, one without it is in no national form.
        trunk = phonenumbers.ndd_prefix_for_region(region or "ZZ", strip_non_digits=True)
        if trunk and not text.startswith((trunk, "00")):
            return other
        if not text.startswith("00"):
            raise wrong_value("two_countries")
    if is_given:
        return given
    return None if given is None else _mexican(given)


def _mexican(given: phonenumbers.PhoneNumber) -> _Found:
    """Drop the 1 that was dialled before mobile numbers of Mexico until 2019."""
    digits = phonenumbers.national_significant_number(given)
    if given.country_code != _MEXICO or len(digits) != _MEXICAN or digits[0] != "1":
        return None
    number = _parsed(f"+{_MEXICO}{digits[1:]}", None)
    return number if number is not None and phonenumbers.is_valid_number(number) else None


def _spellings(number: _Found) -> tuple[str, ...]:
    if number is None:
        return ()
    digits = phonenumbers.national_significant_number(number)
    return digits, f"{number.country_code}{digits}"


def _refuse_placeholder(digits: str) -> None:
    if len(digits) < texts.FEWEST_DIGITS:
        return
    if len(set(digits)) == 1 or digits in _RUN or digits in _RUN[::-1]:
        raise wrong_value("placeholder")


def _refusal(text: str, region: str | None, given: _Found, *, coded: bool) -> WrongValueError:
    """Say what a text is that is no number of a person."""
    if texts.SHORT_CODE.fullmatch(text):
        return texts.numberless("is a short code, and no person's number", "short-codes")
    if given is None:
        return _no_number(text, region)
    if texts.LETTER.search(text) and len(texts.digits(text)) < texts.FEWEST_DIGITS:
        return texts.nameless()
    return wrong_value("no_plus") if coded else _no_possible(given)


def _no_possible(given: phonenumbers.PhoneNumber) -> WrongValueError:
    reason = phonenumbers.is_possible_number_with_reason(given)
    if reason == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        # It would be looked up, and a contact made, under a number that nobody has.
        return wrong_value("no_area_code")
    if reason == phonenumbers.ValidationResult.IS_POSSIBLE:
        return wrong_value("invalid_number", code=given.country_code)
    return wrong_value("impossible_number", code=given.country_code)


def _no_number(text: str, region: str | None) -> WrongValueError:
    try:
        phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        without_code = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
    if without_code and region is None and not text.startswith("+"):
        return wrong_value("no_country_code")
    if without_code:
        return wrong_value("unknown_country_code")
    if texts.LETTER.search(text) and len(text) <= _MAX_NAME:
        return texts.nameless()
    return wrong_value("no_number")
