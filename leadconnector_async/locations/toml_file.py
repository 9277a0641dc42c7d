"""The locations, as plain values, and their file: TOML, checked strictly.

See ``docs/locations.md``.
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from leadconnector_async.arguments import AtLeastOne
from leadconnector_async.errors import LocationsError
from leadconnector_async.models import MESSAGE_TYPES
from leadconnector_async.outbox.open import is_url
from leadconnector_async.quota.limits import UNLIMITED, RateLimit


def stated_rate(text: str) -> RateLimit | None:
    """Read ``100/10``; None where it is none."""
    requests, _, seconds = text.partition("/")
    try:
        return RateLimit(int(requests), float(seconds))
    except ValueError:
        return None


class AppSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OAuth app. ``store`` is the path or URL of its token store; None for the outbox's."""

    client_id: str
    client_secret_env: str
    store: str | None = None


class _CompanyTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    refresh_token_env: str


class Location(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One location, as its table says it. One of the four that tell its token is there."""

    id: str
    token_env: str | None = None
    """The variable that holds it."""
    token_command: list[str] | None = None
    """The command that prints it."""
    refresh_token_env: str | None = None
    """The variable that holds the first refresh token of the app's own installation there."""
    company: str | None = None
    """The company whose token gives it."""
    limit: str | None = None
    daily: AtLeastOne | None = None
    """Requests a day; None where that is not known."""
    providers: dict[str, str] = msgspec.field(default_factory=dict)
    """The conversation provider of a message type."""

    def quota(self, default: RateLimit | None) -> RateLimit | None:
        """The quota to assume: the location's own figures, and the default's for the others."""
        if self.limit is None and self.daily is None:
            return default
        usual = default or UNLIMITED
        rate = stated_rate(self.limit or "") or usual
        return RateLimit(rate.requests, rate.interval, self.daily or usual.daily)

    def __repr__(self) -> str:
        return f"Location({self.id!r})"


class Locations(msgspec.Struct, frozen=True, kw_only=True):
    """All locations of a file, by their ids in its order. ``companies`` maps to variables."""

    file: str
    locations: dict[str, Location]
    app: AppSettings | None = None
    companies: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def only(self) -> str | None:
        """The one location, if there is just one."""
        return next(iter(self.locations)) if len(self.locations) == 1 else None

    def providers(self, location_id: str) -> Mapping[str, str]:
        """The conversation provider of each message type that has one in this location."""
        location = self.locations.get(location_id)
        return {} if location is None else location.providers

    def limits(self, default: RateLimit | None) -> dict[str, RateLimit | None]:
        """The quota to assume for each location that is listed."""
        return {id_: location.quota(default) for id_, location in self.locations.items()}

    def missing(self, location_ids: Iterable[str]) -> dict[str, str]:
        """Those that are not listed, each with what to do about it."""
        return {id_: self.unlisted(id_) for id_ in location_ids if id_ not in self.locations}

    def unlisted(self, location_id: str) -> str:
        """What to say of a location that is not in the file."""
        fix = "add a [[location]] with this id and its token, and run again"
        return f"location {location_id} is not in {self.file}: {fix}"


_SEE: Final = "see docs/locations.md"

_SOURCES: Final = ("token_env", "token_command", "refresh_token_env", "company")


def read_locations(path: str) -> Locations:
    """Read a file of locations. No variable is looked up, and no command run.

    Raises:
        LocationsError: it cannot be read, or something in it cannot be meant.
    """
    try:
        data = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        wrong = f"cannot be read ({error.strerror})"
        raise LocationsError(f"{path}: {wrong}: give --locations the file of locations") from error
    except ValueError as error:  # of TOML or of UTF-8, whose texts quote no more than a character
        raise LocationsError(f"{path}: is no TOML ({error}): {_SEE}") from error
    return _LocationsReader(path).locations(data)


class _LocationsReader:
    """One file, whose name stands in each error."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._app: AppSettings | None = None
        self._companies: dict[str, str] = {}

    def locations(self, data: dict[str, Any]) -> Locations:
        """Check the whole file."""
        for key in data.keys() - {"oauth", "company", "location"}:
            raise self._error(f"{key} is no key here: write [oauth], [[company]] or [[location]]")
        self._app = self._read_app(data.get("oauth"))
        self._read_companies(data.get("company", []))
        found: dict[str, Location] = {}
        for place, table in self._tables("location", data.get("location", [])):
            location = self._location(place, table)
            if location.id in found:
                raise self._error(f"{place} is there twice: remove one")
            found[location.id] = location
        if not found:
            raise self._error("it has no [[location]]: write one for each")
        return Locations(file=self._path, locations=found, app=self._app, companies=self._companies)

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
                wrong = f"[[{key}]] number {number} has no id, or spaces around it"
                raise self._error(f'{wrong}: write id = "…"')
            named.append((f"{key} {id_}", table))
        return named

    def _converted(self, place: str, table: object, kind: type[Any]) -> Any:  # noqa: ANN401 - of that kind
        try:
            return msgspec.convert(table, kind)
        except msgspec.ValidationError as error:
            raise self._error(f"{place}: {error}: {_SEE}") from error

    def _read_app(self, table: object) -> AppSettings | None:
        if table is None:
            return None
        found: AppSettings = self._converted("[oauth]", table, AppSettings)
        for key in AppSettings.__struct_fields__:
            if (value := getattr(found, key)) is not None:
                self._filled("[oauth]", key, value)
        if found.store is None or is_url(found.store):
            return found
        return msgspec.structs.replace(found, store=str(Path(self._path).parent / found.store))

    def _filled(self, place: str, key: str, value: str) -> None:
        if not value.strip():
            raise self._error(f"{place}: {key} is empty: fill it in, or remove it")

    def _read_companies(self, tables: object) -> None:
        for place, table in self._tables("company", tables):
            found: _CompanyTable = self._converted(place, table, _CompanyTable)
            self._filled(place, "refresh_token_env", found.refresh_token_env)
            self._check_app(place, "refresh_token_env")
            if found.id in self._companies:
                raise self._error(f"{place} is there twice: remove one")
            self._companies[found.id] = found.refresh_token_env

    def _check_app(self, place: str, key: str) -> None:
        if self._app is None:
            fix = "write [oauth] with client_id, client_secret_env and store"
            raise self._error(f"{place}: {key} needs the app: {fix}")

    def _location(self, place: str, table: dict[str, Any]) -> Location:
        found: Location = self._converted(place, table, Location)
        self._check_providers(place, found.providers)
        self._check_source(place, found)
        if found.limit is not None and stated_rate(found.limit) is None:
            fix = 'write REQUESTS/SECONDS, such as "25/10"'
            raise self._error(f'{place}: limit is "{found.limit}": {fix}')
        return found

    def _check_source(self, place: str, found: Location) -> None:
        given = [key for key in _SOURCES if getattr(found, key) is not None]
        if not given:
            either = f"{', '.join(_SOURCES[:-1])} or {_SOURCES[-1]}"
            raise self._error(f"{place} has no token: write {either}")
        if len(given) > 1:
            raise self._error(f"{place} has {' and '.join(given)}: keep one of them")
        if found.token_command is not None:
            if not found.token_command or not found.token_command[0].strip():
                raise self._error(f'{place}: token_command is empty: write ["program", "word"]')
            return
        self._filled(place, given[0], str(getattr(found, given[0])))
        if found.token_env is None:
            self._check_app(place, given[0])
        if found.company not in (None, *self._companies):
            wrong = f"company {found.company} is not here"
            raise self._error(f"{place}: {wrong}: write [[company]] with it")

    def _check_providers(self, place: str, providers: dict[str, str]) -> None:
        for type_, id_ in providers.items():
            if type_ not in MESSAGE_TYPES:
                fix = f"write one of {', '.join(MESSAGE_TYPES)}"
                raise self._error(f"{place}: providers.{type_} is no message type: {fix}")
            self._filled(place, f"providers.{type_}", id_)
