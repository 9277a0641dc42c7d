"""Telephone numbers as people and programs write them: each in E.164, or what it is instead."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async._errors import SourceError
from leadconnector_async.sources._values import Wrong

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

_CACHED: Final = 16_384
"""Contacts are many times fewer than records, and come in runs."""

EXTENSION: Final = "extensions of telephone numbers, which are not kept"
BY_CODE: Final = "numbers without +, which are valid only if they begin with their country code"
_WITH_PLUS: Final = "write it with + and its country code, such as +12125550100"
_WHOLE: Final = "write the whole number with its country code, such as +12125550100"

_WITHHELD: Final = re.compile(
    r"anonymous|blocked|n/?a|nil|none|null|payphone|private|restricted|unavailable|unidentified|"
    r"unknown|withheld|(?:private|unknown|withheld) (?:caller|number)|no number|"
    r"(?:no )?caller id(?: blocked)?"
)
"""What logs say where a caller hid the number."""
_WITHHELD_DIGITS: Final = frozenset(
    ["266696687", "2562533", "7378742833", "8656696", "86282452253", "464"]
)
"""ANONYMOUS, BLOCKED, RESTRICTED, UNKNOWN, UNAVAILABLE and NO on a keypad, as Twilio gives them."""
_PRESENTATIONS: Final = re.compile(r"-[1-4]")
"""Unknown, private, payphone and unavailable callers in Android's log of calls."""
_SERVICE: Final = re.compile(r"[*#][\d*#]*|[2-9]11|1\d\d|000|999")
"""Codes that a telephone understands itself, and the three digits of emergencies and services."""
_SHORT: Final = re.compile(r"\+?[1-9]\d{2,5}|[1-9]\d{2}-\d{3}")
_HIDING: Final = re.compile(r"(?:[*]67|[*]82|#31#|[*]31#)\s*(?=[+(\d][\d ().-]{6})")
"""Dialled before a number to hide, or to show, one's own."""
_SCHEME: Final = re.compile(
    r"(?:callto|mms|mmsto|sms|smsto|tel|whatsapp):(?!.*phone-context)", re.IGNORECASE
)
_WHATSAPP: Final = re.compile(r"\+?(\d+)(?:[.:]\d+)*@(?:c\.us|s\.whatsapp\.net)", re.IGNORECASE)
_WHOLE_FLOAT: Final = re.compile(r"(\+?\d+)\.0+")
_POWER: Final = re.compile(r"(\d)(?:[.,](\d*))?e\+?(\d+)", re.IGNORECASE)
_PARAMETERS: Final = re.compile(r";(?:ext|isub|phone-context)=", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"[;~,|&/\n]|\s(?:and|or)\s|\s(?=\+)", re.IGNORECASE)
_ENDS_TWICE: Final = re.compile(r"\d[\d\s().-]{5,}[/&]\s*\d{1,3}")
"""Two numbers that differ in their end, such as 030 1234567/68."""
_LETTER: Final = re.compile(r"[^\W\d_]")
_SENDER: Final = re.compile(r"[^\W\d_][^\s:+]*")
"""A sender that is a name may hold digits, and even such as could be a number."""
_LONGEST_NAME: Final = 40
_FEWEST_DIGITS: Final = 7
"""Of a number without its area code; and of what is a placeholder, since short codes repeat too."""
_RUN: Final = "0123456789" * 3
_MEXICO: Final = 52
_MEXICAN: Final = 11
"""Digits of a Mexican mobile number with the 1 before it that was dropped in 2019."""


class Number(NamedTuple):
    """A number in E.164, and what is to be known of how it was read."""

    e164: str
    notice: str | None = None


def read_number(text: str, region: str | None, *, possible: bool = False) -> Number:
    """Spell a number in E.164.

    Without a country code it is one of ``region``. ``possible`` takes numbers of a length that
    exists, but never placeholders.

    Raises:
        Wrong: it is none, or that of nobody or of several people.
        SourceError: the package is not installed, or there is no such region.
    """
    found = _read(text, region, possible)
    if isinstance(found, Wrong):
        raise Wrong(found.wrong, found.fix, kind=found.kind)
    return found


def people_in(text: str) -> list[str]:
    """Take apart what names several people by number; one number is left whole."""
    if _PARAMETERS.search(text):
        return [text]
    parts = [part for piece in _BETWEEN.split(text) if (part := piece.strip())]
    if sum(len(_digits(part)) >= _FEWEST_DIGITS for part in parts) > 1 or "~" in text:
        return list({_digits(part) or part: part for part in parts}.values())
    return [text]


@lru_cache(maxsize=_CACHED)
def _read(text: str, region: str | None, possible: bool) -> Number | Wrong:  # noqa: FBT001 - cached
    try:
        import phonenumbers  # noqa: PLC0415 - an extra, and not every source names a number
    except ImportError as error:
        raise lacking("contact.phone", "phonenumbers") from error
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise SourceError(
            f"--region {region} is no region: give the two letters of a country, such as US"
        )
    try:
        plain = _plain(text)
        _refuse_withheld(plain)
        plain = _only_one(plain)
        return _number(plain, region, possible=possible)
    except Wrong as error:
        return error


def _plain(text: str) -> str:
    """Take away what a program put around a number."""
    if not text.isascii():
        folded = unicodedata.normalize("NFKC", text)
        text = "".join(_ascii(char) for char in folded if unicodedata.category(char) != "Cf")
    text = _SCHEME.sub("", text.strip(" \t\r\n='\""), count=1)
    if "@" in text:
        return _jabber(text)
    if whole := _WHOLE_FLOAT.fullmatch(text):
        return whole[1]
    if power := _POWER.fullmatch(text):
        first, rest, exponent = power[1], power[2] or "", int(power[3])
        if len(rest) == exponent:
            return first + rest
        raise Wrong(
            "has lost digits in a spreadsheet, which shortened it to a power of ten",
            "write the whole number, or export the column as text",
        )
    return _HIDING.sub("", text)


def _ascii(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    return char if digit is None else str(digit)


def _jabber(text: str) -> str:
    if number := _WHATSAPP.fullmatch(text):
        return f"+{number[1]}"
    host = text.rpartition("@")[2].lower()
    if host in ("g.us", "broadcast"):
        raise Wrong(
            "is a group, and no person",
            "write the number of the one who wrote or received it, or give --leave-out groups",
            kind="groups",
        )
    if host in ("lid", "newsletter") or host.endswith("rcs.google.com"):
        raise _numberless("is an id of a messenger, and no telephone number", "names")
    if "+" in text or len(people_in(text)) > 1:
        return text
    raise _numberless("is an e-mail address, and no telephone number", "names")


def _refuse_withheld(text: str) -> None:
    words = text.strip("()<>[] ").casefold()
    digits = text.removeprefix("+")
    if (
        not text
        or _WITHHELD.fullmatch(words)
        or _PRESENTATIONS.fullmatch(text)
        or digits in _WITHHELD_DIGITS
    ):
        raise withheld()


def _only_one(text: str) -> str:
    one, *others = people_in(text)
    if others or _ENDS_TWICE.fullmatch(text):
        raise Wrong(
            "names several people",
            "write one record for each, with one number in it, or give --leave-out groups",
            kind="groups",
        )
    return one


def _number(text: str, region: str | None, *, possible: bool) -> Number:
    import phonenumbers  # noqa: PLC0415 - an extra, as above

    if _SERVICE.fullmatch(text):
        raise _numberless("is the number of a service, and no person's", "service-numbers")
    if _SENDER.fullmatch(text):
        raise _nameless()
    given = _parsed(text, region)
    other = _by_code(text, region)
    if other == given:
        other = None
    for placeholder in (_digits(text), *_spellings(given), *_spellings(other)):
        _refuse_placeholder(placeholder)
    number = _chosen(text, region, given, other)
    if number is None and possible and given is not None and other is None:
        reason = phonenumbers.is_possible_number_with_reason(given)
        number = given if reason == phonenumbers.ValidationResult.IS_POSSIBLE else None
    if number is None:
        raise _refusal(text, region, given, coded=other is not None)
    notice = EXTENSION if number.extension else None
    if number is other and not text.startswith("00"):
        notice = BY_CODE
    return Number(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), notice)


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    import phonenumbers  # noqa: PLC0415 - an extra, as above

    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _by_code(text: str, region: str | None) -> PhoneNumber | None:
    """Read a number without + as if it had one: the country code is there, or 00 before it."""
    from phonenumbers import country_code_for_region  # noqa: PLC0415 - an extra, as above

    digits = _digits(text)
    if "+" in text or _LETTER.search(text):
        return None
    if digits.startswith("00"):
        return _parsed(f"+{digits[2:]}", None)
    if region is not None and digits.startswith(str(country_code_for_region(region))):
        return _parsed(f"+{digits}", None)
    return None


def _chosen(
    text: str, region: str | None, given: PhoneNumber | None, other: PhoneNumber | None
) -> PhoneNumber | None:
    """Take the reading that is the number of somebody."""
    import phonenumbers  # noqa: PLC0415 - an extra, as above

    is_given = given is not None and phonenumbers.is_valid_number(given)
    if other is not None and phonenumbers.is_valid_number(other):
        if not is_given:
            return other
        # Where numbers are dialled with a trunk prefix, one without it is in no national form.
        trunk = phonenumbers.ndd_prefix_for_region(region or "ZZ", strip_non_digits=True)
        if trunk and not text.startswith((trunk, "00")):
            return other
        if not text.startswith("00"):
            raise Wrong(
                "is a number with its country code, and another one without it",
                _WITH_PLUS,
            )
    if is_given:
        return given
    return None if given is None else _mexican(given)


def _mexican(given: PhoneNumber) -> PhoneNumber | None:
    """Drop the 1 that was dialled before mobile numbers of Mexico until 2019."""
    import phonenumbers  # noqa: PLC0415 - an extra, as above

    digits = phonenumbers.national_significant_number(given)
    if given.country_code != _MEXICO or len(digits) != _MEXICAN or digits[0] != "1":
        return None
    number = _parsed(f"+{_MEXICO}{digits[1:]}", None)
    return number if number is not None and phonenumbers.is_valid_number(number) else None


def _spellings(number: PhoneNumber | None) -> tuple[str, ...]:
    from phonenumbers import national_significant_number  # noqa: PLC0415 - an extra, as above

    if number is None:
        return ()
    digits = national_significant_number(number)
    return digits, f"{number.country_code}{digits}"


def _refuse_placeholder(digits: str) -> None:
    if len(digits) < _FEWEST_DIGITS:
        return
    if len(set(digits)) == 1 or digits in _RUN or digits in _RUN[::-1]:
        raise Wrong(
            "is a placeholder, such as 0000000000 or 1234567890, and nobody's number",
            "write the person's own, or an address, or take the record out",
        )


def _refusal(text: str, region: str | None, given: PhoneNumber | None, *, coded: bool) -> Wrong:
    """Say what a text is that is no number of a person."""
    if _SHORT.fullmatch(text):
        return _numberless("is a short code, and no person's number", "short-codes")
    if given is None:
        return _no_number(text, region)
    if _LETTER.search(text) and len(_digits(text)) < _FEWEST_DIGITS:
        return _nameless()
    if coded:
        wrong = "lacks a digit, or the + before its country code"
        return Wrong(wrong, _WITH_PLUS)
    return _no_possible(given)


def _no_possible(given: PhoneNumber) -> Wrong:
    import phonenumbers  # noqa: PLC0415 - an extra, as above

    reason = phonenumbers.is_possible_number_with_reason(given)
    if reason == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        # It would be looked up, and a contact made, under a number that nobody has.
        fix = "write the whole number with its area code, such as +12125550100"
        return Wrong("lacks its area code", fix)
    country = f"for the country code +{given.country_code}"
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return Wrong(f"is no possible telephone number {country}", _WHOLE)
    wrong = f"is no valid telephone number {country}: nobody can have it"
    return Wrong(wrong, "correct it, or give --numbers possible to take it all the same")


def _no_number(text: str, region: str | None) -> Wrong:
    from phonenumbers import NumberParseException, parse  # noqa: PLC0415 - an extra, as above

    try:
        parse(text, region)
    except NumberParseException as error:
        without_code = error.error_type == NumberParseException.INVALID_COUNTRY_CODE
    if without_code and region is None and not text.startswith("+"):
        fix = "write it as +12125550100, or give --region, such as --region US"
        return Wrong("has no country code", fix)
    if without_code:
        return Wrong("begins with no country code that exists", "write it as +12125550100")
    if _LETTER.search(text) and len(text) <= _LONGEST_NAME:
        return _nameless()
    return Wrong("is no telephone number", "write one such as +12125550100")


def withheld() -> Wrong:
    """Say that the other side did not show its number."""
    return _numberless("is withheld, or not known", "withheld")


def _nameless() -> Wrong:
    return _numberless("is a name, and no telephone number", "names")


def _numberless(wrong: str, kind: str) -> Wrong:
    fix = f"write the person's number, or give --leave-out {kind} or --no-number leave-out"
    return Wrong(wrong, fix, kind=kind)


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def lacking(field: str, package: str) -> SourceError:
    """Say which package reads a field."""
    return SourceError(
        f"{field} needs the package {package}: pip install 'leadconnector-async[contacts]'"
    )
