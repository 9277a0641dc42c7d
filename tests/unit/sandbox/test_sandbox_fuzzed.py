"""Requests that make no sense, to every route of the sandbox, get an answer in JSON and no 5xx."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import orjson
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from leadconnector_async.models import MESSAGE_TYPES
from leadconnector_async.sandbox import OAuthApp, OAuthInstallation, Sandbox, SandboxConfig
from leadconnector_async.sandbox.app import ROUTES, respond
from leadconnector_async.sandbox.state import SandboxState

APP = OAuthApp(
    client_id="c",
    client_secret="s",  # noqa: S106 - opens nothing
    installations=(OAuthInstallation(refresh_token="r", company_id="co"),),  # noqa: S106
    company_locations={"co": ("loc",)},
)
TOKENS = {"token": "loc"}
VERSIONS: Final = ("2021-04-15", "2021-07-28", "2023-02-21", "v3")
FIELDS: Final = (
    *("type", "contactId", "conversationId", "conversationProviderId", "message", "html"),
    *("subject", "emailFrom", "emailTo", "emailCc", "emailBcc", "emailMessageId", "altId"),
    *("direction", "date", "attachments", "call", "locationId", "email", "phone", "name", "id"),
    *("additionalEmails", "attachmentUrls", "tags", "companyId", "refreshToken", "grantType"),
)
QUERY: Final = (
    *("locationId", "contactId", "conversationId", "limit", "cursor", "channel", "startDate"),
    *("endDate", "sortOrder", "lastMessageId", "type", "startAfterDate", "query", "sort", "id"),
    *("number", "email"),
)
ODD: Final = (
    *("", "0", "-1", "9" * 5000, "\ud800", "\x00", "☃", "a\r\nb: c", "loc", "c", "Custom", "Email"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-02-30", "2024-01-01"),
    *("W10=", "WzFd", "W251bGwsMV0=", "WyJhIiwiYiJd", "WzEsMl0=", "WzFlOTk5LDFd", "=", "é"),
    *("http://[", "https://x.example/a.png", "asc", "TYPE_SMS,TYPE_EMAIL", "null"),
)

MAX_TARGET: Final = 8_000
"""Characters: longer ones are refused by the HTTP library, in its own words."""

texts = st.sampled_from(ODD) | st.text(max_size=20)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

fields = st.dictionaries(st.sampled_from(FIELDS), values, max_size=8)

plausible = st.fixed_dictionaries(
    {"type": st.sampled_from(MESSAGE_TYPES), "contactId": st.sampled_from(["c", "d"])},
    optional={"locationId": st.just("loc"), "date": texts, "call": fields, "attachments": values},
)

multipart = st.builds(
    lambda names, contents: (
        b"".join(
            b'--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
            % (name.encode("utf-8", "replace"), name.encode("utf-8", "replace"), content)
            for name, content in zip(names, contents, strict=False)
        )
        + b"--x--\r\n"
    ),
    st.lists(st.sampled_from(["fileAttachment", 'a".png', *FIELDS]), max_size=4),
    st.lists(st.binary(max_size=10), min_size=4, max_size=4),
)


def encoded(content: Any) -> bytes:  # noqa: ANN401 - any JSON
    """JSON as a client without care writes it: lone surrogates and all."""
    try:
        return orjson.dumps(content)
    except TypeError:
        return repr(content).encode("utf-8", "surrogatepass")


bodies = (
    (plausible | fields | values).map(encoded)
    | multipart
    | st.binary(max_size=30)
    | st.dictionaries(st.sampled_from(FIELDS), texts, max_size=4).map(
        lambda form: urlencode(form, errors="surrogatepass").encode()
    )
)

content_types = st.sampled_from(
    ["application/json", "multipart/form-data; boundary=x", "multipart/form-data", "", "text/html"]
)

targets = st.builds(
    lambda route, part, query: (
        route.method,
        route.path.replace("{}", quote(part, safe="", errors="surrogatepass") or "x")
        + "?"
        + urlencode(query, errors="surrogatepass"),
    ),
    st.sampled_from(ROUTES),
    texts,
    st.dictionaries(st.sampled_from(QUERY), texts, max_size=5),
)

requests = st.tuples(targets, bodies, content_types, st.sampled_from(VERSIONS))


def assert_sensible(status: int, body: bytes) -> None:
    """An answer in JSON that is no failure of the sandbox; an empty one is the API's habit."""
    assert status < 500
    assert body == b"" or isinstance(orjson.loads(body), dict)


@pytest.mark.slow
@pytest.mark.honest_sandbox
@pytest.mark.parametrize("config", [{"closed": False}, {"tokens": TOKENS, "oauth": APP}, {}])
@given(st.data())
def test_no_request_makes_it_fail(config: dict[str, Any], data: st.DataObject) -> None:
    """Neither itself, nor what it has left behind for a later one."""
    state = SandboxState(SandboxConfig(**config))
    for (method, target), body, kind, version in data.draw(st.lists(requests, max_size=6)):
        headers = {"Authorization": "Bearer token", "Version": version, "Content-Type": kind}
        reply = respond(state, method, target, headers, body).reply
        assert_sensible(reply.status, reply.body)
    headers = {"Authorization": "Bearer token", "Version": "v3"}
    for target in (
        "/conversations/search?locationId=loc",
        "/conversations/messages/export?locationId=loc&limit=500",
        *(f"/conversations/{one.id}/messages" for one in state.store.conversations()),
        *(f"/conversations/messages/{one.id}" for one in state.store.messages()),
        *(f"/conversations/messages/email/{one.id}" for one in state.store.messages()),
    ):
        reply = respond(state, "GET", target, headers, b"").reply
        assert_sensible(reply.status, reply.body)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(requests, min_size=10, max_size=40))
def test_no_request_makes_the_server_fail(many: list[Any]) -> None:
    """The same over a socket, with what an HTTP client can send."""

    async def send_all() -> None:
        async with Sandbox(SandboxConfig(closed=False)) as sandbox, aiohttp.ClientSession() as http:
            for (method, target), body, kind, version in many:
                if len(target) > MAX_TARGET:
                    continue
                headers = {"Authorization": "Bearer x", "Version": version, "Content-Type": kind}
                async with http.request(
                    method, sandbox.url + target, data=body, headers=headers
                ) as answer:
                    assert_sensible(answer.status, await answer.read())

    asyncio.run(send_all())
