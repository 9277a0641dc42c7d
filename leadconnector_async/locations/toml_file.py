"""The locations, as plain values, and their file: TOML, checked strictly.

See ``docs/locations.md``.
"""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, field

from leadconnector_async.errors import LocationsError
from leadconnector_async.models import MESSAGE_TYPES
from leadconnector_async.outbox.open import is_url
from leadconnector_async.quota.limits import RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NOTHING: Final[Mapping[str, str]] = {}

_ENDLESS: Final = 10**9
"""Requests in an interval that no quota allows: stands for none, beside one of the day."""


class FromVariable(Struct, frozen=True):
    """A token in an environment variable."""

    name: str


class FromCommand(Struct, frozen=True):
    """A token that a command prints."""

    argv: tuple[str, ...]

    def __repr__(self) -> str:
        return f"FromCommand({len(self.argv)} words)"


class Installed(Struct, frozen=True):
    """A token of the app's own installation there, first refreshed with that of a variable."""

    variable: str


class FromCompany(Struct, frozen=True):
    """A token that the company's token gives."""

    company: str


Source = FromVariable | FromCommand | Installed | FromCompany


class AppSettings(Struct, frozen=True):
    """An OAuth app. ``store`` is the path or URL of its token store; None for the outbox's."""

    client_id: str
    secret_variable: str
    store: str | None


class StatedRate(Struct, frozen=True):
    """So many requests in so many seconds."""

    requests: int
    interval: float


class Location(Struct, frozen=True, kw_only=True):
    """One location. ``pace`` and ``daily`` (requests) are None where they are not known."""

    id: str
    source: Source
    pace: StatedRate | None = None
    daily: int | None = None
    providers: dict[str, str] = field(default_factory=dict)
    """The conversation provider of a message type."""

    def limit(self, default: RateLimit | None) -> RateLimit | None:
        """The quota to assume: the location's own figures, and the default's for the others."""
        if self.pace is None and self.daily is None:
            return default
        usual = default or RateLimit(requests=_ENDLESS, daily=None)
        pace = self.pace or StatedRate(usual.requests, usual.interval)
        return RateLimit(pace.requests, pace.interval, self.daily or usual.daily)


class Locations(Struct, frozen=True, kw_only=True):
    """All locations of a file, by their ids in its order. ``companies`` maps to variables."""

    file: str
    locations: dict[str, Location]
    app: AppSettings | None = None
    companies: dict[str, str] = field(default_factory=dict)

    @property
    def only(self) -> str | None:
        """The one location, if there is just one."""
        return next(iter(self.locations)) if len(self.locations) == 1 else None

    def providers(self, location_id: str) -> Mapping[str, str]:
        """The conversation provider of each message type that has one in this location."""
        location = self.locations.get(location_id)
        return _NOTHING if location is None else location.providers

    def limit(self, location_id: str, default: RateLimit | None) -> RateLimit | None:
        """The quota to assume for a location, whether it is listed or not."""
        location = self.locations.get(location_id)
        return default if location is None else location.limit(default)

    def limits(self, default: RateLimit | None) -> dict[str, RateLimit | None]:
        """The quota to assume for each location that is listed."""
        return {id_: location.limit(default) for id_, location in self.locations.items()}

    def missing(self, location_ids: Iterable[str]) -> dict[str, str]:
        """Those that are not listed, each with what to do about it."""
        return {id_: self.unlisted(id_) for id_ in location_ids if id_ not in self.locations}

    def unlisted(self, location_id: str) -> str:
        """What to say of a location that is not in the file."""
        return (
            f"location {location_id} is not in {self.file}: add a [[location]] with this id "
            "and its token, and run again"
        )


_SEE: Final = "see docs/locations.md"

_SOURCES: Final = ("token_env", "token_command", "refresh_token_env", "company")

_EITHER: Final = f"{', '.join(_SOURCES[:-1])} or {_SOURCES[-1]}"


class _OAuthTable(Struct, frozen=True, forbid_unknown_fields=True):
    client_id: str
    client_secret_env: str
    store: str | None = None


class _CompanyTable(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    refresh_token_env: str


class _LocationTable(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    token_env: str | None = None
    token_command: list[str] | None = None
    refresh_token_env: str | None = None
    company: str | None = None
    limit: str | None = None
    daily: int | None = None
    providers: dict[str, str] = {}


def read_locations(path: str) -> Locations:
    """Read a file of locations. No variable is looked up, and no command run.

    Raises:
        LocationsError: it cannot be read, or something in it cannot be meant.
    """
    try:
        data = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise LocationsError(
            f"{path}: cannot be read ({error.strerror}): give --locations the file of locations"
        ) from error
    except ValueError as error:  # of TOML or of UTF-8, whose texts quote no more than a character
        raise LocationsError(f"{path}: is no TOML ({error}): {_SEE}") from error
    return _LocationsReader(path).locations(data)


class _LocationsReader:
    """One file, whose name stands in each error."""

    def __init__(self, path: str) -> None:
        self._path = path

    def locations(self, data: dict[str, Any]) -> Locations:
        """Check the whole file."""
        for key in data.keys() - {"oauth", "company", "location"}:
            raise self._error(f"{key} is no key here: write [oauth], [[company]] or [[location]]")
        app = self._app(data.get("oauth"))
        companies = self._companies(data.get("company", []), app)
        locations: dict[str, Location] = {}
        for place, table in self._tables("location", data.get("location", [])):
            location = self._location(place, table, app, companies)
            if location.id in locations:
                raise self._error(f"{place} is there twice: remove one")
            locations[location.id] = location
        if not locations:
            raise self._error("it has no [[location]]: write one for each")
        return Locations(file=self._path, locations=locations, app=app, companies=companies)

    def _error(self, what: str) -> LocationsError:
        return LocationsError(f"{self._path}: {what}")

    def _tables(self, key: str, tables: object) -> list[tuple[str, dict[str, Any]]]:
        """Each table under the name that errors give it: its id, or its number."""
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise self._error(f"{key} is no list of tables: write [[{key}]]")
        named = []
        for number, table in enumerate(tables, 1):
            id_ = table.get("id")
            if not isinstance(id_, str) or not id_.strip() or id_ != id_.strip():
                raise self._error(f'[[{key}]] number {number} has no id: write id = "…"')
            named.append((f"{key} {id_}", table))
        return named

    def _converted(self, place: str, table: object, kind: type[Any]) -> Any:  # noqa: ANN401 - of that kind
        try:
            return msgspec.convert(table, kind)
        except msgspec.ValidationError as error:
            raise self._error(f"{place}: {error}: {_SEE}") from error

    def _app(self, table: object) -> AppSettings | None:
        if table is None:
            return None
        found: _OAuthTable = self._converted("[oauth]", table, _OAuthTable)
        store = found.store
        for key in _OAuthTable.__struct_fields__:
            if (value := getattr(found, key)) is not None:
                self._filled("[oauth]", key, value)
        if store is not None and not is_url(store):
            store = str(Path(self._path).parent / store)
        return AppSettings(found.client_id, found.client_secret_env, store)

    def _filled(self, place: str, key: str, value: str) -> None:
        if not value.strip():
            raise self._error(f"{place}: {key} is empty: fill it in, or remove it")

    def _companies(self, tables: object, app: AppSettings | None) -> dict[str, str]:
        companies: dict[str, str] = {}
        for place, table in self._tables("company", tables):
            found: _CompanyTable = self._converted(place, table, _CompanyTable)
            self._filled(place, "refresh_token_env", found.refresh_token_env)
            self._needs_app(place, "refresh_token_env", app)
            if found.id in companies:
                raise self._error(f"{place} is there twice: remove one")
            companies[found.id] = found.refresh_token_env
        return companies

    def _needs_app(self, place: str, key: str, app: AppSettings | None) -> None:
        if app is None:
            raise self._error(
                f"{place}: {key} needs the app: write [oauth] with client_id, client_secret_env "
                "and store"
            )

    def _location(
        self, place: str, table: dict[str, Any], app: AppSettings | None, companies: dict[str, str]
    ) -> Location:
        found: _LocationTable = self._converted(place, table, _LocationTable)
        self._check_providers(place, found.providers)
        if found.daily is not None and found.daily < 1:
            raise self._error(f"{place}: daily is {found.daily}: write a whole number above 0")
        return Location(
            id=found.id,
            source=self._source(place, found, app, companies),
            pace=None if found.limit is None else self._pace(place, found.limit),
            daily=found.daily,
            providers=found.providers,
        )

    def _source(
        self, place: str, found: _LocationTable, app: AppSettings | None, companies: dict[str, str]
    ) -> Source:
        given = [key for key in _SOURCES if getattr(found, key) is not None]
        if not given:
            raise self._error(f"{place} has no token: write {_EITHER}")
        if len(given) > 1:
            raise self._error(f"{place} has {' and '.join(given)}: keep one of them")
        if found.token_command is not None:
            if not found.token_command or not found.token_command[0].strip():
                raise self._error(f'{place}: token_command is empty: write ["program", "word"]')
            return FromCommand(tuple(found.token_command))
        value = str(getattr(found, given[0]))
        self._filled(place, given[0], value)
        if given[0] == "token_env":
            return FromVariable(value)
        self._needs_app(place, given[0], app)
        if given[0] == "refresh_token_env":
            return Installed(value)
        if value not in companies:
            raise self._error(f"{place}: company {value} is not here: write [[company]] with it")
        return FromCompany(value)

    def _pace(self, place: str, limit: str) -> StatedRate:
        requests, _, seconds = limit.partition("/")
        try:
            pace = StatedRate(int(requests), float(seconds))
        except ValueError:
            pace = StatedRate(0, 0.0)
        if pace.requests < 1 or not 0 < pace.interval < math.inf:
            raise self._error(
                f'{place}: limit is "{limit}": write REQUESTS/SECONDS, such as "25/10"'
            )
        return pace

    def _check_providers(self, place: str, providers: dict[str, str]) -> None:
        for type_, id_ in providers.items():
            if type_ not in MESSAGE_TYPES:
                known = ", ".join(MESSAGE_TYPES)
                raise self._error(
                    f"{place}: providers.{type_} is no message type: write one of {known}"
                )
            self._filled(place, f"providers.{type_}", id_)
