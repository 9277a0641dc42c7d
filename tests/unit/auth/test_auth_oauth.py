from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from oauth_kit import APP, FIRST_OWN, SECRET, Direct, direct, oauth
from virtual_time import Clock

from leadconnector_async import AccessError, FateUnknownError, NotSentError, OAuth
from leadconnector_async.auth.store import NOTHING, TokenStore
from leadconnector_async.sandbox import Fault, SandboxConfig, SandboxThread
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.transport.base import Request

NAME = "app/Location/own"
REFRESH, DERIVE = "/oauth/token", "/oauth/locationToken"
NEWER_DERIVE = "/oauth/location-token"


async def test_tokens_are_cached_and_renewed_ahead_of_their_end(tmp_path: Path) -> None:
    """An installation's own, and an agency's for two locations: one refresh for both."""
    clock = Clock()
    transport = direct(clock)
    tokens = oauth(tmp_path, transport, clock=clock)
    for _ in range(3):
        for location in ("own", "loc-1", "loc-2"):
            assert transport.accepts(await tokens.token(location), location)
    assert transport.sent == {REFRESH: 2, DERIVE: 2}
    clock.now += 899
    await asyncio.gather(*(tokens.token(where) for where in ("own", "loc-1", "loc-2")))
    assert transport.sent == {REFRESH: 2, DERIVE: 2}
    clock.now += 2
    for location in ("own", "loc-1", "loc-2"):
        assert transport.accepts(await tokens.token(location), location)
    assert transport.sent == {REFRESH: 4, DERIVE: 4}


async def test_the_newer_version_has_its_own_path_body_and_spelling(tmp_path: Path) -> None:
    """JSON in camelCase; a location's token comes with a refresh token of its own.

    That is kept before the token is used, and serves the next time, without the agency.
    """
    clock = Clock()
    bodies: list[bytes | None] = []
    store = TokenStore(tmp_path / "tokens.db")
    transport = direct(clock, "v3")
    transport.on_send = lambda request, _: bodies.append(request.body)
    tokens = oauth(tmp_path, transport, clock=clock)
    token = await tokens.token("loc-1")
    assert transport.accepts(token, "loc-1")
    assert transport.sent == {REFRESH: 1, NEWER_DERIVE: 1}
    kept = await store.read("app/Location/loc-1")
    assert kept.access == token
    clock.now += 901
    assert transport.accepts(await tokens.token("loc-1"), "loc-1")
    assert transport.sent == {REFRESH: 2, NEWER_DERIVE: 1}
    kept = await store.read("app/Location/loc-1")
    del transport.state.refresh_tokens[kept.refresh or ""]
    clock.now += 901
    assert transport.accepts(await tokens.token("loc-1"), "loc-1")
    assert transport.sent[NEWER_DERIVE] == 2
    body = json.loads(bodies[0] or b"")
    assert body.keys() == {"clientId", "clientSecret", "grantType", "refreshToken", "userType"}


@pytest.mark.parametrize("version", [None, "v3"])
async def test_an_answer_of_the_other_spelling_is_kept_all_the_same(
    tmp_path: Path, version: str | None
) -> None:
    """Thrown away, its refresh token would be lost, and it works once."""

    class Respelled(Direct):
        async def send(self, request: Request, token: str, may_send: object = None) -> Response:
            response = await super().send(request, token, may_send)
            older, newer = ("access_token", "refresh_token"), ("accessToken", "refreshToken")
            names = dict(zip(older + newer, newer + older, strict=True))
            found = json.loads(response.body).items()
            fields = {names.get(name, name): value for name, value in found}
            return Response(response.status, {}, json.dumps(fields).encode())

    transport = Respelled(direct().state, version)
    tokens = oauth(tmp_path, transport)
    assert transport.accepts(await tokens.token("own"), "own")
    kept = await TokenStore(tmp_path / "tokens.db").read(NAME)
    assert kept.refresh in transport.state.refresh_tokens


async def test_a_refused_token_is_renewed_once_for_all_locations(tmp_path: Path) -> None:
    """The agency's and its locations' have ended before their time: one refresh, two derivations.

    Two hundred requests in two locations wait for it.
    """
    clock, ours = Clock(), Clock()
    transport = direct(clock)
    tokens = oauth(tmp_path, transport, clock=ours)
    old = {location: await tokens.token(location) for location in ("loc-1", "loc-2")}
    clock.now += 1001
    transport.sent.clear()
    asked = [*old] * 100
    renewed = await asyncio.gather(*(tokens.renew(where, old[where]) for where in asked))
    for location, token in zip(asked, renewed, strict=True):
        assert token
        assert transport.accepts(token, location)
    assert transport.sent[REFRESH] == 1
    assert transport.sent[DERIVE] <= 4  # each with the agency's old token, and with the new one


async def test_a_pair_is_in_the_store_before_it_is_used(tmp_path: Path) -> None:
    """When the agency's token is first sent, it and its successor are on the disk."""
    store = TokenStore(tmp_path / "tokens.db")
    seen = []
    transport = direct()

    def look(request: Request, token: str) -> None:
        with ThreadPoolExecutor(1) as thread:  # this one's loop is at work
            kept = thread.submit(asyncio.run, store.read("app/Company/co")).result()
        if request.path == REFRESH:
            assert kept.asked is not None
            assert kept.refresh is None
        else:
            assert kept.access == token
            assert kept.refresh in transport.state.refresh_tokens
            assert kept.asked is None
        seen.append(request.path)

    transport.on_send = look
    await oauth(tmp_path, transport).token("loc-1")
    assert seen == [REFRESH, DERIVE]


async def test_an_answer_without_a_refresh_token_leaves_the_one_that_was_sent(
    tmp_path: Path,
) -> None:
    """It works on (RFC 6749, 6): forgotten, the app would have to be installed again."""
    clock, transport = Clock(), direct()

    async def send(request: Request, _token: str) -> Response:
        assert FIRST_OWN.encode() in (request.body or b"")
        return Response(200, {}, b'{"access_token":"a%d","expires_in":1000}' % clock.now)

    transport.send = send  # type: ignore[method-assign, assignment]
    for _ in range(2):
        tokens = oauth(tmp_path, transport, clock=clock)
        assert await tokens.token("own") == f"a{clock.now:.0f}"
        clock.now += 5000
    assert (await TokenStore(tmp_path / "tokens.db").read(NAME)).refresh == FIRST_OWN


async def test_the_next_process_uses_what_is_stored(tmp_path: Path) -> None:
    """Without a request while the token lives; then with the stored successor, not the first."""
    clock = Clock()
    transport = direct(clock)
    first = await oauth(tmp_path, transport, clock=clock).token("own")
    assert await oauth(tmp_path, transport, clock=clock, first={}).token("own") == first
    assert transport.sent == {REFRESH: 1}
    clock.now += 5000
    again = await oauth(tmp_path, transport, clock=clock).token("own")
    assert transport.accepts(again, "own")
    assert transport.sent == {REFRESH: 2}


def test_two_providers_on_one_store_refresh_once(tmp_path: Path) -> None:
    """The one that comes second finds what the first one has stored."""

    async def scenario() -> None:
        transport = direct()
        pair = [oauth(tmp_path, transport) for _ in range(2)]
        first, second = await asyncio.gather(*(tokens.token("own") for tokens in pair))
        assert first == second
        assert transport.sent == {REFRESH: 1}
        renewed = await asyncio.gather(*(tokens.renew("own", first) for tokens in pair))
        assert renewed[0] == renewed[1] != first
        assert transport.sent == {REFRESH: 2}

    asyncio.run(scenario())
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.db"]


@pytest.mark.parametrize("wrong", [{"client_id": None}, {"client_secret": ""}, {"store": ""}])
def test_what_no_app_has_is_refused_by_its_name(wrong: dict[str, Any]) -> None:
    """Such as a variable that is not set: the API would be asked with it, or no file be kept."""
    given = {"client_id": "app", "client_secret": "s", "store": "tokens.db"} | wrong
    with pytest.raises((TypeError, ValueError), match=f"{next(iter(wrong))} is .*: give"):
        OAuth(**given)


PROCESS = """
import asyncio, sys
from leadconnector_async import LeadConnector, OAuth
async def main(url, store):
    tokens = OAuth("app", "secret-of-app", store=store, refresh_tokens={"own": "first-own"})
    async with LeadConnector(tokens, base_url=url):
        sys.stdin.readline()
        print(await tokens.token("own"))
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_processes_on_one_store_refresh_once(tmp_path: Path) -> None:
    """Started together, against a server."""
    with SandboxThread(SandboxConfig(oauth=APP)) as sandbox:
        words = [sys.executable, "-c", PROCESS, sandbox.url, str(tmp_path / "tokens.db")]
        pipe = subprocess.PIPE
        processes = [
            subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        results = [process.communicate() for process in processes]
        assert results[0][0] == results[1][0] != "", results
        assert sandbox.requests == {("token", 200): 1}


async def test_a_refused_refresh_token_says_what_to_do(tmp_path: Path) -> None:
    """And is not tried again for each request."""
    transport = direct()
    tokens = oauth(tmp_path, transport, first={"own": "used-up"})
    for _ in range(3):
        with pytest.raises(AccessError) as caught:
            await tokens.token("own")
        said = str(caught.value)
        assert "the refresh token of location own is refused (400 invalid_grant): " in said
        assert "install the app there again" in said
        assert "used-up" not in said
    assert transport.sent == {REFRESH: 1}
    with pytest.raises(AccessError, match="there is no refresh token of company co"):
        await tokens.token("loc-1")


async def test_a_new_refresh_token_from_outside_is_tried_when_the_stored_one_is_refused(
    tmp_path: Path,
) -> None:
    """As after the app was installed again; the stored one goes first while it works."""
    clock = Clock()
    transport = direct(clock)
    await oauth(tmp_path, transport, clock=clock).token("own")
    clock.now += 5000
    await oauth(tmp_path, transport, clock=clock, first={"own": "again-own"}).token("own")
    assert "again-own" in transport.state.refresh_tokens
    stored = await TokenStore(tmp_path / "tokens.db").read(NAME)
    del transport.state.refresh_tokens[stored.refresh or ""]
    clock.now += 5000
    tokens = oauth(tmp_path, transport, clock=clock, first={"own": "again-own"})
    assert transport.accepts(await tokens.token("own"), "own")
    assert "again-own" not in transport.state.refresh_tokens


async def test_an_answer_that_was_lost_is_told_when_its_token_is_refused(tmp_path: Path) -> None:
    """The refresh was done, its pair never came: no silent loss."""
    transport = direct()

    def lose(request: Request, response: Response) -> None:
        raise FateUnknownError(f"{request.path} {response.status}")

    transport.on_answer = lose
    with pytest.raises(NotSentError, match="cannot be renewed now"):
        await oauth(tmp_path, transport).token("own")
    transport.on_answer = lambda _request, _response: None
    for _ in range(2):
        with pytest.raises(AccessError, match="since an earlier refresh was cut off before"):
            await oauth(tmp_path, transport).token("own")


async def test_a_refresh_that_was_not_sent_leaves_no_mark(tmp_path: Path) -> None:
    """The next one goes through."""
    transport = direct()

    def refuse(request: Request, _token: str) -> None:
        raise NotSentError(request.path)

    transport.on_send = refuse
    tokens = oauth(tmp_path, transport)
    with pytest.raises(NotSentError):
        await tokens.token("own")
    assert await TokenStore(tmp_path / "tokens.db").read(NAME) == NOTHING
    transport.on_send = lambda _request, _token: None
    assert transport.accepts(await tokens.token("own"), "own")


async def test_wrong_credentials_of_the_app_are_told_as_such(tmp_path: Path) -> None:
    """They say nothing of the refresh token."""
    tokens = oauth(tmp_path, direct(), secret="wrong-secret")  # noqa: S106 - opens nothing
    with pytest.raises(AccessError, match=r"the OAuth app was refused \(401\)") as caught:
        await tokens.token("own")
    assert "wrong-secret" not in str(caught.value)


async def test_a_location_that_the_company_has_not_is_told(tmp_path: Path) -> None:
    """The agency's own token is good, and the others are served."""
    transport = direct()
    tokens = oauth(tmp_path, transport)
    with pytest.raises(AccessError, match="company co gives no token for location elsewhere"):
        await tokens.token("elsewhere")
    assert await tokens.token("loc-1")
    assert transport.sent[REFRESH] == 1


async def test_an_api_that_is_busy_or_broken_is_asked_later(tmp_path: Path) -> None:
    """It costs the location nothing but time."""
    transport = direct()
    tokens = oauth(tmp_path, transport)
    for endpoint in ("token", "location_token"):
        transport.state.faults.set((Fault("500", endpoint=endpoint, nth=(1,)),))
        with pytest.raises(NotSentError, match="the API answered 500"):
            await tokens.token("loc-1")
    assert await tokens.token("loc-1")


async def test_one_client_has_a_provider_at_a_time(tmp_path: Path) -> None:
    """And without one it says so."""
    transport = direct()
    tokens = oauth(tmp_path, transport)
    with pytest.raises(RuntimeError, match="has this OAuth already"):
        tokens.attach_transport(transport)
    await tokens.detach_transport()
    with pytest.raises(RuntimeError, match="give it to LeadConnector"):
        await tokens.token("own")


async def test_nothing_that_is_shown_holds_a_secret(tmp_path: Path) -> None:
    """Neither the app's nor a token."""
    tokens = oauth(tmp_path, direct())
    token = await tokens.token("own")
    shown = repr([tokens, *vars(tokens).values(), *tokens._caches.values()])
    for secret in (token, SECRET):
        assert secret not in shown.replace("{'own': 'first-own', 'co': 'first-co'}", "")
