from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leadconnector_async import AccessError, LocationsError, RateLimit
from leadconnector_async.locations.token_sources import tokens_of
from leadconnector_async.locations.toml_file import AppSettings, Locations, read_locations

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
[oauth]
client_id = "app"
client_secret_env = "APP_SECRET"
store = "tokens.db"

[[company]]
id = "co"
refresh_token_env = "AGENCY"

[[location]]
id = "a"
token_env = "TOKEN_A"
limit = "25/10"
daily = 10000
providers = { Call = "call-provider", Custom = "other" }

[[location]]
id = "b"
token_command = ["pass", "show", "b"]
daily = 5000

[[location]]
id = "c"
refresh_token_env = "REFRESH_C"

[[location]]
id = "d"
company = "co"
"""
ONE = '[[location]]\nid = "a"\ntoken_env = "TOKEN_A"\n'
OAUTH = '[oauth]\nclient_id = "app"\nclient_secret_env = "S"\nstore = "t.db"\n'
SET = {"TOKEN_A": "pit-a", "APP_SECRET": "s3cr3t", "AGENCY": "refresh-agency"}


def written(folder: Path, text: str) -> str:
    """The path of a file with this text."""
    path = folder / "locations.toml"
    path.write_text(text)
    return str(path)


def read(folder: Path, text: str) -> Locations:
    """What a file with this text says."""
    return read_locations(written(folder, text))


def test_everything_that_a_file_can_say(tmp_path: Path) -> None:
    """The store is beside the file."""
    found = read(tmp_path, WHOLE)
    assert found.app == AppSettings("app", "APP_SECRET", str(tmp_path / "tokens.db"))
    assert found.companies == {"co": "AGENCY"}
    a, b, c, d = found.locations.values()
    assert (a.token_env, b.token_command) == ("TOKEN_A", ["pass", "show", "b"])
    assert (c.refresh_token_env, d.company) == ("REFRESH_C", "co")
    assert found.only is None
    assert read(tmp_path, ONE).only == "a"


def test_providers_of_a_location(tmp_path: Path) -> None:
    """By message type; none where none are known."""
    found = read(tmp_path, WHOLE)
    assert found.providers("a") == {"Call": "call-provider", "Custom": "other"}
    assert found.providers("b") == found.providers("elsewhere") == {}


@pytest.mark.parametrize(
    ("location", "default", "limit"),
    [
        ("a", RateLimit(), RateLimit(25, 10.0, 10_000)),
        ("b", RateLimit(), RateLimit(100, 10.0, 5000)),
        ("c", RateLimit(50, 10.0, 70), RateLimit(50, 10.0, 70)),
        ("elsewhere", RateLimit(), RateLimit()),
        ("a", None, RateLimit(25, 10.0, 10_000)),
        ("b", None, RateLimit(10**9, 10.0, 5000)),
        ("c", None, None),
    ],
)
def test_the_quota_of_a_location(
    location: str, default: RateLimit | None, limit: RateLimit | None, tmp_path: Path
) -> None:
    """Its own figures first, and the default's where it has none."""
    found = read(tmp_path, WHOLE)
    assert found.limits(default).get(location, default) == limit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no [[location]]"),
        ("id = ", "is no TOML"),
        ("[[locations]]", "locations is no key here: write [oauth], [[company]] or [[location]]"),
        ('[location]\nid = "a"', "location is no list of tables: write [[location]]"),
        ("[[location]]", "[[location]] number 1 has no id"),
        (ONE + '[[location]]\nid = " b"', "number 2 has no id, or spaces around it"),
        (ONE + ONE, "location a is there twice"),
        ('[[location]]\nid = "a"', "location a has no token: write token_env"),
        (ONE + 'token_command = ["x"]', "location a has token_env and token_command: keep one"),
        (ONE + "tokens = 1", "location a: Object contains unknown field `tokens`"),
        (ONE + "daily = true", "location a: Expected `int | null`, got `bool` - at `$.daily`"),
        (ONE + "daily = 0", "location a: Expected `int` >= 1 - at `$.daily`"),
        (ONE + 'limit = "25"', 'location a: limit is "25": write REQUESTS/SECONDS'),
        (ONE + 'limit = "25/inf"', "location a: limit is"),
        (ONE + 'providers = { call = "x" }', "location a: providers.call is no message type"),
        (ONE + 'providers = { Call = "" }', "location a: providers.Call is empty"),
        ('[[location]]\nid = "a"\ntoken_env = " "', "location a: token_env is empty"),
        ('[[location]]\nid = "a"\ntoken_command = []', "location a: token_command is empty"),
        ('[[location]]\nid = "a"\ncompany = "co"', "location a: company needs the app: write [oa"),
        ('[[location]]\nid = "a"\nrefresh_token_env = "R"', "refresh_token_env needs the app"),
        (OAUTH + '[[location]]\nid = "a"\ncompany = "co"', "company co is not here: write [[comp"),
        ('[[company]]\nid = "co"\nrefresh_token_env = "R"', "company co: refresh_token_env needs"),
        (OAUTH + '[[company]]\nid = "co"\n' * 1, "company co: Object missing required field"),
        (OAUTH + '[[company]]\nid = "co"\nrefresh_token_env = "R"\n' * 2, "company co is there tw"),
        (OAUTH.replace('"app"', '""'), "[oauth]: client_id is empty"),
        ('[oauth]\nclient_id = "app"', "[oauth]: Object missing required field"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, said: str, tmp_path: Path) -> None:
    """The error names the file, the location and the key, and says what to write."""
    with pytest.raises(LocationsError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "locations.toml") + ": ")
    assert said in str(caught.value)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    assert read(tmp_path, "\ufeff" + ONE).only == "a"


def test_a_token_in_the_place_of_its_variable_is_not_shown(tmp_path: Path) -> None:
    """The error asks for the name, and is safe in a log."""
    locations = read(tmp_path, ONE.replace("TOKEN_A", "pit-1234-secret"))
    with pytest.raises(LocationsError, match="name of a variable, not the token") as caught:
        tokens_of(locations, {})
    assert "secret" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """One that is not there."""
    with pytest.raises(LocationsError, match=r"none\.toml: cannot be read \(No such file"):
        read_locations(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "[oauth]: client_secret_env: the variable APP_SECRET is not set: export it"),
        ({"APP_SECRET": "s"}, "location a: token_env: the variable TOKEN_A is not set: export it"),
        ({**SET, "TOKEN_A": "p t"}, "location a: token_env: in TOKEN_A the token is empty or has"),
    ],
)
def test_variables_are_looked_up_when_tokens_are_needed(
    environ: dict[str, str], said: str, tmp_path: Path
) -> None:
    """And not by a dry run. A refresh token may be unset: the store may have its successor."""
    with pytest.raises(LocationsError) as caught:
        tokens_of(read(tmp_path, WHOLE), environ)
    assert said in str(caught.value)
    assert "p t" not in str(caught.value)
    tokens_of(read(tmp_path, WHOLE), SET)


async def test_a_location_that_is_not_listed_has_no_token(tmp_path: Path) -> None:
    """The message says where to add it; the others have theirs."""
    found = read(tmp_path, WHOLE)
    tokens = tokens_of(found, SET)
    assert await tokens.token("a") == "pit-a"
    for asked in (tokens.token("e"), tokens.renew("e", "x")):
        with pytest.raises(AccessError) as caught:
            await asked
        assert found.unlisted("e") in str(caught.value)
    assert found.missing(["a", "e"]) == {"e": found.unlisted("e")}
    assert "pit-a" not in repr(tokens)
    assert "show" not in repr(found)
