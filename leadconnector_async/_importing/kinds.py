"""What kind of message a refused record is, as far as it says so itself."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from leadconnector_async._messages import DIRECTIONS, MESSAGE_TYPES
from leadconnector_async._records import milliseconds
from leadconnector_async.sources._dates import Dates
from leadconnector_async.sources._form import decoded
from leadconnector_async.sources._names import flat
from leadconnector_async.sources._reform import as_api_names
from leadconnector_async.sources._values import Wrong

_TYPES: Final = {name.lower(): name for name in MESSAGE_TYPES}
_UNKNOWN: Final = (None, None, None)


def kind_of_refused(
    form: bytes | None, raw: bytes | None
) -> tuple[str | None, str | None, int | None]:
    """Give the type, the direction, and the date in Unix milliseconds; None for what is not known.

    ``form`` and ``raw`` are those of the record's source.
    """
    if form is None or raw is None:
        return _UNKNOWN
    try:
        record = as_api_names(form, raw)
    except (ValueError, LookupError, TypeError):  # what is refused may be of any shape
        return _UNKNOWN
    if isinstance(record, str):
        return _UNKNOWN
    values = flat(record)
    direction = str(values.get("direction")).lower()
    return (
        _TYPES.get(str(values.get("type")).lower()),
        direction if direction in DIRECTIONS else None,
        _moment(values.get("date"), decoded(form).timezone),
    )


def _moment(date: object, zone: str | None) -> int | None:
    try:
        moment = Dates(ZoneInfo(zone) if zone else None).read(date)
    except (Wrong, ValueError, OverflowError):
        return None
    return None if moment is None else milliseconds(moment)
