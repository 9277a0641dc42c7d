"""Types of option values that click does not have."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

import click

from leadconnector_async.leave_out import LEAVE_OUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from leadconnector_async.quota.limits import RateLimit

    _Type = click.ParamType[Any]  # a generic in newer versions alone
else:
    _Type = click.ParamType

OFF: Final = "off"

MAX_PORT: Final = 65_535


class _OutboxType(click.Path):
    name = "file or url"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - click's
        """Take a URL as it is: who opens it says what is wrong, and shows no password."""
        from leadconnector_async.outbox.open import is_url  # noqa: PLC0415 - not needed for help

        if value in ("-", ":memory:"):  # a file of that name would be made
            self.fail("no outbox is a stream or in memory: give one such as history.db", param, ctx)
        return value if is_url(value) else super().convert(value, param, ctx)


OUTBOX: Final = _OutboxType(dir_okay=False)


class TimeRange(click.FloatRange):
    """A range of times, each with an end."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - click's
        """Refuse ``nan``, which no bound does, and ``inf``, which no clock waits for."""
        time = super().convert(value, param, ctx)
        if not math.isfinite(time):
            self.fail(f"{value!r} is no time: give a number", param, ctx)
        return time


class _TextType(_Type):
    """A type whose texts a function reads: what it raises as ValueError says what is wrong."""

    name = "text"

    def __init__(self, read: Callable[[str], object]) -> None:
        self._read = read

    def convert(self, value: Any, param: Any, ctx: Any) -> object:  # noqa: ANN401 - the same
        """Read it."""
        try:
            return self._read(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


class _MappingType(_TextType):
    envvar_list_splitter: ClassVar[str] = ";"


@_TextType
def zone(text: str) -> ZoneInfo:
    """Know the zone."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - rarely needed

    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text!r} is no time zone: give one such as America/New_York") from None


@_MappingType
def mapping(text: str) -> tuple[str, str]:
    """Split at the first equals sign: columns may have more of them, fields have none.

    No column after it switches the field off.
    """
    field, equals, column = text.partition("=")
    if not (field.strip() and equals):
        raise ValueError(f"{text!r} is not FIELD=COLUMN, as in contactId=Contact")
    return field.strip(), column.strip()


def _id_type(of: str, example: str) -> _TextType:
    """Take an id: a name would stay in the outbox as a location that no token opens."""

    def read(text: str) -> str:
        if not re.fullmatch(r"[\w.:-]+", id_ := text.strip(), re.ASCII):
            raise ValueError(f"{text!r} is no {of}'s id: give one such as {example}")
        return id_

    return _TextType(read)


_WHERE: Final = "which stands in the address of its pages, behind /location/"

location: Final = _id_type("location", f"ve9EPM428h8vShlRW1KT, {_WHERE}")

provider: Final = _id_type("provider", "61d6d1f9cdac7612faf80753")


@_TextType
def address(text: str) -> tuple[str, int]:
    """Split at the last colon; an address of IPv6 stands in brackets."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > MAX_PORT:
        raise ValueError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:9464")
    return host.strip("[]"), int(port)


def _read_quota(text: str, or_off: str = "") -> RateLimit:
    """Read ``100/10``."""
    from leadconnector_async.locations.toml_file import stated_rate  # noqa: PLC0415 - not for help

    rate = stated_rate(text)
    if rate is None:
        raise ValueError(f"{text!r} is not REQUESTS/SECONDS, such as 100/10{or_off}")
    return rate


quota: Final = _TextType(_read_quota)


@_TextType
def quota_or_off(text: str) -> RateLimit | str:
    """Read ``100/10``, or the word."""
    return OFF if text == OFF else _read_quota(text, ', or "off"')


@_TextType
def file_format(text: str) -> str:
    """Know the formats, and the plug-ins that are installed."""
    from leadconnector_async.sources.base import FORMATS  # noqa: PLC0415 - not for help
    from leadconnector_async.sources.plug_ins import plug_ins, unknown_format  # noqa: PLC0415 - the same

    if text not in FORMATS and text not in [point.name for point in plug_ins()]:
        raise ValueError(unknown_format(text))
    return text


@_TextType
def delimiter(text: str) -> str:
    r"""Take one character; ``\t`` and ``tab`` are the tabulator, which shells hide."""
    char = "\t" if text in ("\\t", "tab") else text
    if len(char) != 1 or char in '"\r\n':
        raise ValueError(rf"{text!r} is not one character, such as ';' or '\t'")
    return char


@_TextType
def kinds(text: str) -> tuple[str, ...]:
    """Take names of kinds apart, and know each."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in LEAVE_OUT:
            raise ValueError(f"{name!r} is no kind: give one of {', '.join(LEAVE_OUT)}")
    return names


_SECONDS: Final = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}

_PART_OF_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(min|[smhd]?)")

_DURATION: Final = re.compile(r"\d+(?:\.\d+)?|(?:\d+(?:\.\d+)?(?:min|[smhd]))+")


@_TextType
def duration(text: str) -> float:
    """Read ``2h``, ``1h30m``, ``90s`` or a plain number of seconds."""
    plain = text.strip().lower().replace(" ", "")
    parts = _PART_OF_TIME.findall(plain) if _DURATION.fullmatch(plain) else ()
    seconds = sum(float(count) * _SECONDS[unit] for count, unit in parts)
    if not 0 < seconds < math.inf:
        raise ValueError(f"{text!r} is no time: give one such as 2h, 1h30m or 90s")
    return seconds


@_TextType
def share(text: str) -> float:
    """Read ``50%``, or 0.5."""
    plain = text.strip()
    try:
        part = float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    except ValueError:
        part = 0.0
    if not 0 < part <= 1:
        raise ValueError(f"{text!r} is no share: give one such as 50%")
    return part
