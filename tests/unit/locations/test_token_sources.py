"""Imports with a file of locations, through the command, into a sandbox with an OAuth app."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

import pytest
from cli_harness import leadconnector, result_of, sms, write_jsonl

from leadconnector_async import LocationsError
from leadconnector_async.locations.token_sources import tokens_of
from leadconnector_async.locations.toml_file import read_locations
from leadconnector_async.sandbox import (
    Fault,
    Limits,
    OAuthApp,
    OAuthInstallation,
    SandboxConfig,
    SandboxThread,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

REFRESH_COMPANY, REFRESH_OWN = "refresh-co", "refresh-own"
APP = OAuthApp(
    client_id="app",
    client_secret="client-secret",  # noqa: S106 - opens nothing
    installations=(
        OAuthInstallation(refresh_token=REFRESH_COMPANY, company_id="co"),
        OAuthInstallation(refresh_token=REFRESH_OWN, company_id="co", location_id="own"),
    ),
    company_locations={"co": ("derived", "other")},
    expires_in=60,
)
CONFIG = SandboxConfig(tokens={"pit-env": "env", "pit-command": "command"}, oauth=APP)
LOCATIONS = f"""
[oauth]
client_id = "app"
client_secret_env = "APP_SECRET"
store = "tokens.db"

[[company]]
id = "co"
refresh_token_env = "REFRESH_CO"

[[location]]
id = "env"
token_env = "TOKEN_ENV"

[[location]]
id = "command"
token_command = ['{sys.executable}', "-c", "print('pit-command')"]

[[location]]
id = "derived"
company = "co"
"""
VARIABLES = {"APP_SECRET": "client-secret", "REFRESH_CO": "refresh-co", "TOKEN_ENV": "pit-env"}
SECRETS = ("pit-env", "pit-command", "client-secret", "refresh-co", "access-", "refresh-")


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """A sandbox with an app and two tokens."""
    with SandboxThread(CONFIG) as sandbox:
        yield sandbox


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of three locations."""
    path = tmp_path / "locations.toml"
    path.write_text(LOCATIONS)
    return path


def test_tokens_of_oauth_stand_in_the_outbox_where_it_is_a_database(file: Path) -> None:
    """Unless the file names another store; beside a file they need one of their own."""
    there, elsewhere = "postgresql://u@h/d?schema=s", "postgresql://u@h/d?schema=t"
    for store, outbox, found in (
        ("", there, "<TokenDatabase postgresql://u@h/d?schema=s>"),
        (f'store = "{elsewhere}"', there, f"<TokenDatabase {elsewhere}>"),
        ('store = "tokens.db"', there, f"<TokenStore {file.parent / 'tokens.db'}>"),
        ("", "import.db", "store"),
        ("", None, "store"),
    ):
        file.write_text(LOCATIONS.replace('store = "tokens.db"', store), "utf-8")
        locations = read_locations(str(file))
        if found == "store":
            with pytest.raises(LocationsError, match=r'write store = "tokens\.db"'):
                tokens_of(locations, VARIABLES, outbox=outbox)
        else:
            oauth = tokens_of(locations, VARIABLES, outbox=outbox)._oauth
            assert repr(oauth) == f"<OAuth app {found}>"


def with_tokens(*arguments: object, **changes: str) -> Result:
    """Run the command with the variables that the file names."""
    return leadconnector(*arguments, stdin=None, **(VARIABLES | changes))


def history(folder: Path, *locations: str, each: int = 10) -> Path:
    """A file with so many records of each location."""
    records = [sms(n, id=f"{at}{n}", locationId=at) for n in range(each) for at in locations]
    return write_jsonl(folder / "history.jsonl", records)


def words(sandbox: SandboxThread, file: Path, command: str = "import") -> list[str]:
    """The command and its options; sources come after."""
    options = ["--base-url", sandbox.url, "--locations", str(file), "--json"]
    return [command, *options, "--outbox", str(file.parent / "o.db")]


@pytest.mark.slow
def test_three_kinds_of_tokens_in_one_import(
    sandbox: SandboxThread, file: Path, tmp_path: Path
) -> None:
    """From a variable, a command and an agency; verified; and nothing of them is shown."""
    source = history(tmp_path, "env", "command", "derived")
    run = with_tokens(*words(sandbox, file), source)
    assert run.exit_code == 0, run.output
    assert Counter(message.location_id for message in sandbox.messages) == {
        "env": 10,
        "command": 10,
        "derived": 10,
    }
    assert sandbox.requests["token", 200] == sandbox.requests["location_token", 200] == 1
    verified = with_tokens(*words(sandbox, file, "verify"))
    assert verified.exit_code == 0, verified.output
    assert result_of(verified.stdout)["agrees"]
    assert sandbox.requests["token", 200] == 1  # the store had it
    for secret in SECRETS:
        assert secret not in run.output + verified.output


@pytest.mark.parametrize(("others", "said"), [(1, "1 more location"), (2, "2 more locations")])
def test_the_error_counts_the_locations_that_could_not_go_on(
    sandbox: SandboxThread, file: Path, tmp_path: Path, others: int, said: str
) -> None:
    """The first is named in full."""
    source = history(tmp_path, "env", *(f"unknown{n}" for n in range(others + 1)), each=1)
    run = with_tokens(*words(sandbox, file), source)
    assert run.exit_code == 1
    assert result_of(run.stdout)["error"].endswith(f"(and {said} could not go on)")


@pytest.mark.slow
def test_tokens_that_end_in_the_middle_are_renewed_once(
    sandbox: SandboxThread, file: Path, tmp_path: Path
) -> None:
    """A second goes by with each request, and a token lives for sixty."""
    ticks = count(1)
    sandbox.state.clock = lambda: float(next(ticks))
    source = history(tmp_path, "derived", each=200)
    run = with_tokens(*words(sandbox, file), source, "--quota", "100000/0.1")
    assert run.exit_code == 0, run.output
    assert len({message.fields["altId"] for message in sandbox.messages}) == 200
    assert len(sandbox.messages) == 200
    refreshes = sandbox.requests["token", 200]
    assert 3 <= refreshes <= 10
    assert sandbox.requests["token", 400] == 0
    assert result_of(run.stdout)["pending"] == 0


def test_a_location_that_is_not_listed_stops_alone(
    sandbox: SandboxThread, file: Path, tmp_path: Path
) -> None:
    """Its records stay pending; the same command sends them once it is listed."""
    source = history(tmp_path, "env", "other")
    run = with_tokens(*words(sandbox, file), source)
    assert run.exit_code == 1
    assert f"location other is not in {file}: add a [[location]]" in run.stderr
    result = result_of(run.stdout)
    assert (result["sent"], result["pending"], result["failed"]) == (10, 10, 0)
    file.write_text(LOCATIONS + '[[location]]\nid = "other"\ncompany = "co"\n')
    run = with_tokens(*words(sandbox, file), source)
    assert run.exit_code == 0, run.output
    assert result_of(run.stdout)["sent"] == 10


@pytest.mark.slow
def test_tokens_that_cannot_be_had_stop_their_location_alone(
    sandbox: SandboxThread, file: Path, tmp_path: Path
) -> None:
    """A command that fails, and a refresh token that was used up."""
    file.write_text(LOCATIONS.replace("print('pit-command')", "raise SystemExit(7)"))
    source = history(tmp_path, "env", "command", "derived")
    run = with_tokens(*words(sandbox, file), source, REFRESH_CO="used-up")
    assert run.exit_code == 1
    result = result_of(run.stdout)
    assert (result["sent"], result["pending"]) == (10, 20)
    errors = {of["location"]: of["error"] for of in result["locations"]}
    assert "the token_command of location command ended with exit status 7" in errors["command"]
    assert "the refresh token of company co is refused (400 invalid_grant)" in errors["derived"]
    assert "set REFRESH_CO to its new refresh token, and run again" in errors["derived"]
    run = with_tokens(*words(sandbox, file), source)
    assert result_of(run.stdout)["sent"] == 10


def test_what_is_in_doubt_waits_for_a_token(
    sandbox: SandboxThread, file: Path, tmp_path: Path
) -> None:
    """Without one nothing can be looked for, which proves nothing: it stays pending."""
    source = history(tmp_path, "derived", each=1)
    sandbox.set_faults(Fault("drop", "after", endpoint="inbound"))

    def clock() -> float:
        if not sandbox.stored:
            return 0.0
        sandbox.state.refresh_tokens.clear()
        return 1000.0

    sandbox.state.clock = clock
    command = (*words(sandbox, file), source, "--look-after", "0.1")
    run = with_tokens(*command)
    assert run.exit_code == 1
    assert "the refresh token of company co is refused" in run.stderr
    assert sandbox.requests["search", 401] > 0
    assert (result_of(run.stdout)["pending"], result_of(run.stdout)["unresolved"]) == (1, 0)
    sandbox.set_faults()
    sandbox.state.refresh_tokens["new"] = APP.installations[0]
    sandbox.state.clock = lambda: 2000.0
    run = with_tokens(*command, REFRESH_CO="new")
    assert run.exit_code == 0, run.output
    assert len(sandbox.messages) == 1


def test_the_only_location_is_the_default(sandbox: SandboxThread, tmp_path: Path) -> None:
    """And --location says otherwise."""
    file = tmp_path / "one.toml"
    file.write_text('[[location]]\nid = "env"\ntoken_env = "TOKEN_ENV"\n')
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    run = with_tokens(*words(sandbox, file), source)
    assert run.exit_code == 0, run.output
    assert [message.location_id for message in sandbox.messages] == ["env"]
    source = write_jsonl(tmp_path / "h.jsonl", [sms(2)])
    run = with_tokens(*words(sandbox, file), source, "--location", "else")
    assert run.exit_code == 1
    assert "location else is not in" in run.stderr


@pytest.mark.slow
def test_each_location_has_its_own_quota(tmp_path: Path) -> None:
    """The one with the lower figures is never told to slow down; the dry run counts with them."""
    limits = {"low": Limits(max=10, interval=0.5, headers=False)}
    config = SandboxConfig(tokens={"t1": "low", "t2": "high"}, location_limits=limits)
    file = tmp_path / "l.toml"
    file.write_text(
        '[[location]]\nid = "low"\ntoken_env = "T1"\nlimit = "10/0.5"\n'
        '[[location]]\nid = "high"\ntoken_env = "T2"\nlimit = "10000/1"\n'
    )
    source = history(tmp_path, "low", "high", each=20)
    with SandboxThread(config) as sandbox:
        planned = leadconnector(*words(sandbox, file), source, "--dry-run")
        assert planned.exit_code == 0, planned.output
        assert result_of(planned.stdout)["estimate_s"] == 1.0
        run = leadconnector(*words(sandbox, file), source, T1="t1", T2="t2")
        assert run.exit_code == 0, run.output
        assert result_of(run.stdout)["throttled"] == 0


def test_a_dry_run_tells_of_locations_that_are_not_listed(file: Path, tmp_path: Path) -> None:
    """It needs no token, no variable and no command."""
    source = history(tmp_path, "env", "other")
    run = leadconnector("import", source, "--dry-run", "--locations", file)
    assert run.exit_code == 1
    assert f"location other is not in {file}" in run.stderr
    run = leadconnector("import", history(tmp_path, "env"), "--dry-run", "--locations", file)
    assert run.exit_code == 0, run.output


def test_the_sandbox_rehearses_it(file: Path, tmp_path: Path) -> None:
    """With tokens of its own: no variable and no command is needed."""
    source = history(tmp_path, "env", "command", "other")
    run = leadconnector(
        "import", source, "--sandbox", "--locations", file, "--json", "--outbox", tmp_path / "s.db"
    )
    assert run.exit_code == 1
    assert "location other is not in" in run.stderr
    assert (result_of(run.stdout)["sent"], result_of(run.stdout)["pending"]) == (20, 10)


@pytest.mark.parametrize("command", [("import", "h.jsonl"), ("verify",)])
def test_what_is_missing_or_double_is_told_before_anything_is_done(
    command: tuple[str, ...], file: Path, tmp_path: Path
) -> None:
    """A variable that is not set, a file that is not there, and a token beside the file."""
    source = history(tmp_path, "env")
    outbox = tmp_path / "o.db"
    leadconnector("import", source, "--sandbox", "--outbox", outbox)
    options = ("--outbox", outbox, "--locations")
    arguments = (command[0], source) if command[1:] else command
    run = leadconnector(*arguments, *options, file)
    assert run.exit_code == 1
    assert f"{file}: [oauth]: client_secret_env: the variable APP_SECRET is not set" in run.stderr
    run = leadconnector(*arguments, *options, tmp_path / "none.toml")
    assert run.exit_code == 1
    assert "none.toml: cannot be read" in run.stderr
    run = leadconnector(*arguments, *options, file, LEADCONNECTOR_TOKEN="t")  # noqa: S106 - none
    assert run.exit_code == 2
    assert "not both: unset LEADCONNECTOR_TOKEN" in run.stderr
