from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import orjson
import pytest

from leadconnector_async.api.endpoints import probes
from leadconnector_async.doctor import (
    AllNeeds,
    Kind,
    Needs,
    app_finding,
    clock_finding,
    provider_findings,
    room_finding,
    scope_finding,
    sqlite_finding,
)
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = 1_700_000_000.0
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


def test_an_outbox_that_cannot_be_written_is_a_fault(bound_by_modes: Path) -> None:
    """The file itself, and its folder, which has to take the log."""
    outbox = bound_by_modes / "o.db"
    outbox.touch(mode=0o600)
    assert room_finding(str(outbox), 0).state == "ok"
    outbox.chmod(0o400)
    assert room_finding(str(outbox), 0).found == f"{outbox} cannot be written"
    bound_by_modes.chmod(0o500)
    found = room_finding(str(outbox), 0)
    bound_by_modes.chmod(0o700)
    assert (found.state, found.found) == ("fault", f"the folder {bound_by_modes} cannot be written")


def test_short_rows_want_the_room_that_they_take() -> None:
    """As measured: 60,000 rows of 62 bytes, sent; of a million, more lacked than is kept free."""
    assert AllNeeds({"l": Needs(records=60_000)}, 3_708_928).room > 19_537_920


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ((3, 51, 3), "ok"),
        ((3, 52, 0), "ok"),
        ((3, 51, 2), "warning"),
        ((3, 50, 7), "ok"),
        ((3, 50, 6), "warning"),
        ((3, 44, 6), "ok"),
        ((3, 40, 1), "warning"),
    ],
)
def test_the_fault_of_sqlite_is_named(version: tuple[int, ...], state: str) -> None:
    """Where it is not repaired: an import works all the same."""
    found = sqlite_finding(version)
    assert found.state == state
    assert (found.fix is not None) is (state == "warning")


@pytest.mark.parametrize(
    ("date", "skew", "state"),
    [
        (DATE, 0, "ok"),
        (DATE, -4, "ok"),
        (DATE, 30, "warning"),
        (DATE, -61, "fault"),
        (DATE, 3600, "fault"),
        (None, 0, "note"),
        ("yesterday", 0, "note"),
    ],
)
def test_a_clock_that_is_wrong(date: str | None, skew: float, state: str) -> None:
    """Some seconds are nothing; a minute makes messages without a date unrecognisable."""
    assert clock_finding(date, NOON + skew).state == state


def test_the_app_is_told_by_the_form_of_the_token() -> None:
    """Its claims say which; nothing of the token itself is in the finding."""
    claims = {"authClass": "Location", "oauthMeta": {"client": "app-1", "scopes": []}}
    body = urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")
    assert "app app-1, for a Location" in app_finding(f"head.{body}.secret").found
    assert "private integration" in app_finding("pit-secret").found
    for token in ("secret", "a.b.c", "a.e30.c", f"a.{body}"):
        assert "secret" not in app_finding(token).found


def test_a_provider_with_the_wrong_kind_of_token() -> None:
    """A custom provider takes its own app's token."""
    needs = Needs(kinds={Kind("Custom", "p1"), Kind("SMS")})
    (found,) = provider_findings(needs, "pit-x")
    assert (found.state, "p1" in found.found) == ("warning", True)
    (found,) = provider_findings(needs, "other")
    assert found.state == "note"


def scopes_by(status: int, body: bytes) -> Iterator[tuple[str, str]]:
    """What is found for each scope where all of the API answers so."""
    for probe in probes("l"):
        finding = scope_finding(probe, Response(status, {}, body), by_handle=True)
        yield finding.state, finding.found


@pytest.mark.parametrize("status", [200, 404, 422])
@pytest.mark.parametrize(
    ("body", "what"),
    [(b"", "an empty body"), (b" <HTML>secret", "an HTML page"), (b"secret", "no JSON")],
)
def test_what_answers_in_the_place_of_the_api_grants_nothing(
    status: int, body: bytes, what: str
) -> None:
    """A proxy, a captive portal, another server: no scope is told by it, and no text repeated."""
    for state, found in scopes_by(status, body):
        assert state != "ok"
        assert found == f"cannot tell: answered {status} with {what}"


def test_a_list_without_its_entries_grants_nothing() -> None:
    """What ``verify`` and a look could not read either."""
    unread = [found for state, found in scopes_by(200, b'{"conversations": 1}') if state != "ok"]
    assert unread == [
        "cannot tell: answered 200 with JSON without a list of conversations",
        "cannot tell: answered 200 with JSON without a list of messages",
    ]
