"""Telephone numbers as people and programs write them, and what else stands in their place."""

import re
from typing import Final

from leadconnector_async.sources import fields
from leadconnector_async.sources.files.encoding import with_usual_digits

_PRESENTATIONS: Final = re.compile(r"-[1-4]")
"""Unknown, private, payphone and unavailable callers in Android's log of calls."""

_CELL_ERROR: Final = re.compile(r"#(?:N/A|[A-Z]+[!?]|DIV/0!)")

_SERVICE: Final = re.compile(r"[*#][\d*#]*|[2-9]11|1\d\d|000|999")
"""Codes that a telephone understands itself, and the three digits of emergencies and services."""

SHORT_CODE: Final = re.compile(r"\+?[1-9]\d{2,5}|[1-9]\d{2}-\d{3}")
"""The codes that companies send from."""

_HIDING: Final = re.compile(r"(?:[*]67|[*]82|#31#|[*]31#)\s*(?=[+(\d][\d ().-]{6})")
"""Dialled before a number to hide, or to show, one's own."""

_LABEL: Final = re.compile(r"(?<=\d)\s+\([^\W\d][^\d()]*\)$")
"""What kind of number it is, behind it: letters would be digits of a telephone's keys."""

_SCHEME: Final = re.compile(
    r"(?:callto|mms|mmsto|sms|smsto|tel|whatsapp):(?!.*phone-context)", re.IGNORECASE
)

_SIP: Final = re.compile(r"<?sips?:(\+?\d{7,15})@[^>]*>?", re.IGNORECASE)

_WHATSAPP: Final = re.compile(r"\+?(\d+)(?:[.:]\d+)*@(?:c\.us|s\.whatsapp\.net)", re.IGNORECASE)

_WHOLE_FLOAT: Final = re.compile(r"(\+?\d+)\.0+")

_POWER: Final = re.compile(r"(\d)(?:[.,](\d*))?e\+?(\d+)", re.IGNORECASE)

_PARAMETERS: Final = re.compile(r";(?:ext|isub|phone-context)=", re.IGNORECASE)

_BETWEEN: Final = re.compile(r"[;~,|&/\n]|\s(?:and|or)\s|\s(?=\+)", re.IGNORECASE)

_ENDS_TWICE: Final = re.compile(r"\d[\d\s().-]{5,}[/&]\s*\d{1,3}")
"""Two numbers that differ in their end, such as 030 1234567/68."""

_MAX_SERVICE: Final = 6
"""Digits of a short code."""

LETTER: Final = re.compile(r"[^\W\d_]")

_SENDER: Final = re.compile(r"[^\W\d_][^\s:+]*")
"""A sender that is a name may hold digits, and even such as could be a number."""

FEWEST_DIGITS: Final = 7
"""Of a number without its area code; and of what is a placeholder, since short codes repeat too."""


def is_one(text: str) -> bool:
    """Tell, sooner than `people_in` does, what can name one person only."""
    return _BETWEEN.search(text) is None


def people_in(text: str) -> list[str]:
    """Take apart what names several people by number; one number is left whole."""
    if _PARAMETERS.search(text):
        return [text]
    parts = [part for piece in _BETWEEN.split(text) if (part := piece.strip())]
    if not parts:
        return [text]
    if sum(len(digits(part)) >= FEWEST_DIGITS for part in parts) > 1 or "~" in text:
        return list({digits(part) or part: part for part in parts}.values())
    return [text]


def is_national(text: str) -> bool:
    """Tell a number that does not say its country; those of services are short."""
    is_whole = text.strip().startswith(("+", "00"))
    return not is_whole and not LETTER.search(text) and len(digits(text)) > _MAX_SERVICE


def only_number(text: str) -> str:
    """Take away what a program put around a number.

    Raises:
        WrongValueError: it is known to be none, or there are several.
    """
    text = _plain(text)
    callers = fields.table_of("names")["callers"]
    if _CELL_ERROR.fullmatch(text):
        raise fields.wrong_value("error_in_place_of_number")
    is_withheld = not text or text.strip("()<>[] ").casefold() in callers["withheld"]
    if is_withheld or _PRESENTATIONS.fullmatch(text) or text.removeprefix("+") in callers["digits"]:
        raise withheld()
    one, *others = people_in(text)
    if others or _ENDS_TWICE.fullmatch(text):
        raise several_people("number")
    if _SERVICE.fullmatch(one):
        raise numberless("is the number of a service, and no person's", "service-numbers")
    if _SENDER.fullmatch(one):
        raise nameless()
    return one


def _plain(text: str) -> str:
    if not text.isascii():
        text = with_usual_digits(text)
    text = _SCHEME.sub("", text.strip(" \t\r\n='\""), count=1)
    text = _SIP.sub(r"\1", text)
    if "@" in text:
        return _jabber(text)
    if whole := _WHOLE_FLOAT.fullmatch(text):
        return whole[1]
    if power := _POWER.fullmatch(text):
        first, rest, exponent = power[1], power[2] or "", int(power[3])
        if len(rest) == exponent:
            return first + rest
        raise fields.wrong_value("lost_digits")
    return _HIDING.sub("", _LABEL.sub("", text))


def _jabber(text: str) -> str:
    if number := _WHATSAPP.fullmatch(text):
        return f"+{number[1]}"
    host = text.rpartition("@")[2].lower()
    if host in ("g.us", "broadcast"):
        raise fields.wrong_value("group_in_place_of_number", kind="groups")
    if host in ("lid", "newsletter") or host.endswith("rcs.google.com"):
        raise numberless("is an id of a messenger, and no telephone number", "names")
    if "+" in text or len(people_in(text)) > 1:
        return text
    raise numberless("is an e-mail address, and no telephone number", "names")


def withheld() -> fields.WrongValueError:
    """Say that the other side did not show its number."""
    return numberless("is withheld, or not known", "withheld")


def nameless() -> fields.WrongValueError:
    """Say that it is the name of a sender."""
    ways = "write the person's number, give --people FILE that has it"
    return numberless("is a name, and no telephone number", "names", ways)


def numberless(
    wrong: str, kind: str, ways: str = "write the person's number"
) -> fields.WrongValueError:
    """Say what it is, of a kind that has no number of a person."""
    fix = f"{ways}, or give --leave-out {kind} or --no-number leave-out"
    return fields.WrongValueError(wrong, fix, kind=kind)


def several_people(what: str) -> fields.WrongValueError:
    """Say that a value names more people than one, by a number or an address each."""
    return fields.wrong_value("several_people", kind="groups", what=what)


def digits(text: str) -> str:
    """The digits of a text."""
    return "".join(filter(str.isdigit, text))
