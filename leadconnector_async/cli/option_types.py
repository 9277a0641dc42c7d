"""Types of option values that click does not have."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import click

from leadconnector_async.leave_out import LEAVE_OUT

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    _Type = click.ParamType[Any]  # a generic in newer versions alone
else:
    _Type = click.ParamType

OFF: Final = "off"


class _ZoneType(_Type):
    name = "zone"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> ZoneInfo:
        """Find a time zone by its name."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - rarely needed

        try:
            return value if isinstance(value, ZoneInfo) else ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"{value!r} is no time zone: give one such as America/New_York", param, ctx)


class _OutboxType(click.Path):
    name = "file or url"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - the same
        """Take a URL as it is: who opens it says what is wrong, and shows no password."""
        from leadconnector_async.outbox.open import is_url  # noqa: PLC0415 - not needed for help

        return value if is_url(value) else super().convert(value, param, ctx)


OUTBOX: Final = _OutboxType(dir_okay=False)


class _MappingType(_Type):
    name = "field=column"
    envvar_list_splitter: ClassVar[str] = ";"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split at the first equals sign: columns may have more of them, fields have none.

        No column after it switches the field off.
        """
        if isinstance(value, tuple):
            return value
        field, equals, column = str(value).partition("=")
        if not (field.strip() and equals):
            self.fail(f"{value!r} is not FIELD=COLUMN, as in contactId=Contact", param, ctx)
        return field.strip(), column.strip()


class _AddressType(_Type):
    name = "host:port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Split at the last colon; an address of IPv6 stands in brackets."""
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or int(port) > MAX_PORT:
            self.fail(f"{value!r} is not HOST:PORT, such as 127.0.0.1:9464", param, ctx)
        return host.strip("[]"), int(port)


MAX_PORT: Final = 65_535

ADDRESS: Final = _AddressType()


class QuotaValue(NamedTuple):
    """So many requests in so many seconds."""

    requests: int
    seconds: float


class _QuotaType(_Type):
    name = "n/seconds"

    def __init__(self, *, may_be_off: bool) -> None:
        self._may_be_off = may_be_off

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> QuotaValue | str:
        """Read ``100/10``, or ``off`` where that is allowed."""
        if isinstance(value, QuotaValue):
            return value
        if value == OFF and self._may_be_off:
            return OFF
        requests, _, seconds = str(value).partition("/")
        try:
            quota = QuotaValue(int(requests), float(seconds))
        except ValueError:
            quota = QuotaValue(0, 0.0)
        if quota.requests < 1 or not 0 < quota.seconds < math.inf:
            or_off = ', or "off"' if self._may_be_off else ""
            self.fail(f"{value!r} is not REQUESTS/SECONDS, such as 100/10{or_off}", param, ctx)
        return quota


class _FormatType(_Type):
    name = "format"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Know the formats, and the plug-ins that are installed."""
        from leadconnector_async.sources.base import FORMATS  # noqa: PLC0415 - not for help
        from leadconnector_async.sources.plug_ins import plug_ins, unknown_format  # noqa: PLC0415 - the same

        name = str(value)
        if name not in FORMATS and name not in [point.name for point in plug_ins()]:
            self.fail(unknown_format(name), param, ctx)
        return name


class _DelimiterType(_Type):
    name = "char"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        r"""Take one character; ``\t`` and ``tab`` are the tabulator, which shells hide."""
        text = "\t" if value in ("\\t", "tab") else str(value)
        if len(text) != 1 or text in '"\r\n':
            self.fail(rf"{value!r} is not one character, such as ';' or '\t'", param, ctx)
        return text


class _KindsType(_Type):
    name = "kind"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Take names of kinds apart, and know each."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(","))
        for name in names:
            if name not in LEAVE_OUT:
                self.fail(f"{name!r} is no kind: give one of {', '.join(LEAVE_OUT)}", param, ctx)
        return names


class _DurationType(_Type):
    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read ``2h``, ``1h30m``, ``90s`` or a plain number of seconds."""
        if isinstance(value, float):
            return value
        text = str(value).strip().lower().replace(" ", "")
        seconds = 0.0
        if _DURATION.fullmatch(text):
            parts = _PART_OF_TIME.findall(text)
            seconds = sum(float(count) * _SECONDS[unit] for count, unit in parts)
        if not 0 < seconds < math.inf:
            self.fail(f"{value!r} is no time: give one such as 2h, 1h30m or 90s", param, ctx)
        return seconds


class _ShareType(_Type):
    name = "percent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read ``50%``, or 0.5."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            self.fail(f"{value!r} is no share: give one such as 50%", param, ctx)
        return share


_SECONDS: Final = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}

_PART_OF_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(min|[smhd]?)")

_DURATION: Final = re.compile(r"\d+(?:\.\d+)?|(?:\d+(?:\.\d+)?(?:min|[smhd]))+")

DURATION: Final = _DurationType()

SHARE: Final = _ShareType()

KINDS: Final = _KindsType()

ZONE: Final = _ZoneType()

MAPPING: Final = _MappingType()

QUOTA: Final = _QuotaType(may_be_off=False)

QUOTA_OR_OFF: Final = _QuotaType(may_be_off=True)

FORMAT: Final = _FormatType()

DELIMITER: Final = _DelimiterType()
