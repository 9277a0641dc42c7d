from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest
from virtual_time import Clock

from leadconnector_async.sandbox import READ_SCOPES, Fault, Limits, SandboxConfig
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.server import SandboxBase
from leadconnector_async.sandbox.state import SandboxState

if TYPE_CHECKING:
    from leadconnector_async.sandbox.faults import FaultKind, When

VERSION = "2021-04-15"
ANY = "any"
SMS = {"type": "SMS", "contactId": "c", "message": "hi", "altId": "k"}
TWO = {"token-a": "loc-a", "token-b": "loc-b"}


def ask(
    state: SandboxState, token: str = ANY, target: str = "", version: str | None = VERSION
) -> tuple[int, Any, dict[str, str]]:
    """Post an SMS, or get ``target``; status, decoded answer, headers."""
    headers = {"Authorization": f"Bearer {token}"} | ({"Version": version} if version else {})
    if target:
        reply = respond(state, "GET", target, headers, b"").reply
    else:
        path = "/conversations/messages/inbound"
        reply = respond(state, "POST", path, headers, orjson.dumps(SMS)).reply
    try:
        content = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        content = None
    return reply.status, content, dict(reply.headers)


@pytest.mark.parametrize("version", [None, "2020-01-01", "latest"])
def test_a_missing_or_invented_version_is_401(version: str | None) -> None:
    """In the API's words."""
    status, answer, _ = ask(SandboxState(SandboxConfig()), version=version)
    assert (status, answer["message"]) == (401, "version header was not found.")


def test_any_token_is_let_in_until_tokens_are_configured() -> None:
    """Then an unknown one is 401."""
    assert ask(SandboxState(SandboxConfig()))[0] == 200
    status, answer, _ = ask(SandboxState(SandboxConfig(tokens=TWO)))
    assert (status, answer["message"]) == (401, "Invalid token: access token is invalid")


def test_no_token_is_401() -> None:
    """An empty or oddly written header is no token, even in an open sandbox."""
    state = SandboxState(SandboxConfig())
    assert ask(state, token="")[0] == 401
    reply = respond(state, "GET", "/conversations/x", {"Version": VERSION}, b"").reply
    assert reply.status == 401


def test_a_token_reaches_its_own_location() -> None:
    """A known token of another location is 403."""
    state = SandboxState(SandboxConfig(tokens=TWO))
    target = "/conversations/messages/export?locationId=loc-a"
    assert ask(state, "token-a", target)[0] == 200
    status, answer, _ = ask(state, "token-b", target)
    assert status == 403
    assert answer["message"] == "The token does not have access to this location."


def test_the_token_decides_where_a_message_goes() -> None:
    """The inbound body names no location."""
    state = SandboxState(SandboxConfig(tokens=TWO))
    ask(state, "token-b")
    ask(state, "token-a")
    assert [one.location_id for one in state.store.messages()] == ["loc-b", "loc-a"]
    assert state.store.counts == {"loc-a": 1, "loc-b": 1}


def test_an_open_sandbox_has_one_location_under_any_name() -> None:
    """What was sent is found whatever location is asked for."""
    state = SandboxState(SandboxConfig())
    ask(state)
    assert ask(state, target="/conversations/messages/export?locationId=whatever")[1]["total"] == 1


def test_reads_can_be_forbidden() -> None:
    """A token without the scope is 401, in words that no refresh helps."""
    state = SandboxState(SandboxConfig(denied_scopes=READ_SCOPES))
    assert ask(state)[0] == 200
    for target in ("/conversations/messages/export?locationId=x", "/conversations/x"):
        status, answer, _ = ask(state, target=target)
        assert (status, answer["message"]) == (401, "The token is not authorized for this scope.")


def test_an_unknown_address_is_404() -> None:
    """And is counted as such."""
    exchange = respond(SandboxState(SandboxConfig()), "GET", "/nowhere", {}, b"")
    assert (exchange.endpoint, exchange.reply.status) == ("unknown", 404)


def test_each_location_has_its_own_quota() -> None:
    """Per app and location; a location may have limits of its own."""
    config = SandboxConfig(
        tokens=TWO, limits=Limits(max=3), location_limits={"loc-b": Limits(max=1)}
    )
    state = SandboxState(config, Clock())
    assert [ask(state, "token-a")[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert [ask(state, "token-b")[0] for _ in range(2)] == [200, 429]
    assert ask(state, "token-a")[2]["X-RateLimit-Max"] == "3"
    assert state.store.total == 4


def test_reads_and_refusals_cost_quota_too() -> None:
    """Every request that is let in is counted, and its answer has the headers."""
    state = SandboxState(SandboxConfig(limits=Limits(max=2)), Clock())
    status, _, headers = ask(state, target="/conversations/none")
    assert (status, headers["X-RateLimit-Remaining"]) == (400, "1")
    ask(state)
    assert ask(state)[0] == 429


def test_the_quota_returns() -> None:
    """After the interval."""
    clock = Clock()
    state = SandboxState(SandboxConfig(limits=Limits(max=1, interval=10.0)), clock)
    assert [ask(state)[0], ask(state)[0]] == [200, 429]
    clock.now += 10
    assert ask(state)[0] == 200


def test_others_may_use_the_quota_up() -> None:
    """``consume`` draws on the budget of the same app, and says how much it got."""
    base = SandboxBase()
    base.state = SandboxState(SandboxConfig(tokens=TWO, limits=Limits(max=5)), Clock())
    assert base.consume("loc-a", 3) == 3
    assert [ask(base.state, "token-a")[0] for _ in range(3)] == [200, 200, 429]
    assert base.consume("loc-a") == 0
    assert ask(base.state, "token-b")[0] == 200
    open_one = SandboxBase()
    open_one.state = SandboxState(SandboxConfig(limits=Limits(max=5)), Clock())
    assert open_one.consume(n=9) == 5
    assert ask(open_one.state)[0] == 429


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("401", 401),
        ("401_nested", 401),
        ("422", 422),
        ("429", 429),
        ("500", 500),
        ("502", 502),
        ("503", 503),
        ("504", 504),
        ("garbage", 200),
    ],
)
@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
def test_a_fault_is_before_or_after_storing(
    kind: str,
    status: int,
    when: When,
    stored: int,
) -> None:
    """The answer is the same, and only the store tells the two apart."""
    state = SandboxState(SandboxConfig(faults=(Fault(cast("FaultKind", kind), when, nth=(1,)),)))
    assert ask(state)[0] == status
    assert state.store.total == stored
    assert ask(state)[0] == 200
    assert state.store.total == stored + 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_may_lack_its_id(when: When) -> None:
    """A success without a ``messageId``, or with one that is a number."""
    faults = (Fault("no_id", when, nth=(1,)), Fault("id_type", when, nth=(2,)))
    state = SandboxState(SandboxConfig(faults=faults))
    status, answer, _ = ask(state)
    assert (status, answer["success"], "messageId" in answer) == (200, True, False)
    assert ask(state)[1]["messageId"] == 12345


def test_a_success_may_be_made_up() -> None:
    """Faults of the wire before storing cut an answer that claims what is not so."""
    state = SandboxState(SandboxConfig(faults=(Fault("cut"),)))
    _, answer, _ = ask(state)
    assert (len(answer["messageId"]), len(answer["conversationId"])) == (20, 20)
    assert state.store.total == 0


def test_headers_may_lie() -> None:
    """The message is stored and answered; only the rate headers are wrong."""
    faults = (Fault("rates_garbage", nth=(1,)), Fault("rates_contradictory", nth=(2,)))
    state = SandboxState(SandboxConfig(faults=faults))
    status, answer, headers = ask(state)
    assert (status, answer["messageId"]) == (200, state.store.messages()[0].id)
    assert headers["X-RateLimit-Max"] == "lots"
    _, _, headers = ask(state)
    assert int(headers["X-RateLimit-Remaining"]) > int(headers["X-RateLimit-Max"])
    assert state.store.total == 2


@pytest.mark.parametrize(
    ("fault", "retry_after"),
    [
        (Fault("429"), None),
        (Fault("429", seconds=7), "7"),
        (Fault("retry_past"), "Wed, 21 Oct 2015 07:28:00 GMT"),
        (Fault("retry_far"), "31536000"),
    ],
)
def test_retry_after_may_be_anything(fault: Fault, retry_after: str | None) -> None:
    """Absent, short, long gone, a year ahead."""
    status, _, headers = ask(SandboxState(SandboxConfig(faults=(fault,))))
    assert (status, headers.get("Retry-After")) == (429, retry_after)


@pytest.mark.parametrize(("kind", "status"), [("redirect_302", 302), ("redirect_307", 307)])
def test_a_redirect_names_another_host(kind: str, status: int) -> None:
    """Whoever follows it takes the token along."""
    fault = Fault(cast("FaultKind", kind), target="http://other.invalid/x")
    got, _, headers = ask(SandboxState(SandboxConfig(faults=(fault,))))
    assert (got, headers["Location"]) == (status, "http://other.invalid/x")


def test_html_is_an_answer_too() -> None:
    """A page instead of JSON, with 200."""
    state = SandboxState(SandboxConfig(faults=(Fault("html"),)))
    reply = respond(
        state,
        "POST",
        "/conversations/messages/inbound",
        {"Authorization": "Bearer x", "Version": VERSION},
        b"{}",
    ).reply
    assert (reply.status, reply.content_type) == (200, "text/html; charset=utf-8")


def test_faults_find_what_a_request_names() -> None:
    """500 for one provider, and for no other record."""
    fault = Fault("500", match={"conversationProviderId": "p"})
    state = SandboxState(SandboxConfig(faults=(fault,)))
    headers = {"Authorization": "Bearer x", "Version": VERSION}
    found = [
        respond(
            state,
            "POST",
            "/conversations/messages/inbound",
            headers,
            orjson.dumps(SMS | {"conversationProviderId": provider}),
        ).reply.status
        for provider in ("p", "q")
    ]
    assert found == [500, 200]


def test_tokens_can_have_locations_of_their_own() -> None:
    """Any token is let in, and sees what it stored itself, under whatever name it asks."""
    state = SandboxState(SandboxConfig(apart=True, limits=Limits(max=4)), Clock())
    export = "/conversations/messages/export?locationId="
    ask(state, "a")
    ask(state, "b")
    ask(state, "b")
    assert ask(state, "a", export + "mine")[1]["total"] == 1
    assert ask(state, "b", export + "yours")[1]["total"] == 2
    assert [ask(state, "b")[0] for _ in range(2)] == [200, 429]
    assert ask(state, "a")[0] == 200


def test_faults_find_their_alt_id() -> None:
    """A rule for one ``altId`` leaves every other record alone."""
    state = SandboxState(
        SandboxConfig(faults=(Fault("500", alt_id="k"), Fault("503", alt_id="other")))
    )
    assert ask(state)[0] == 500
    headers = {"Authorization": "Bearer x", "Version": VERSION}
    for body, status in ((orjson.dumps(SMS | {"altId": '"altId"'}), 200), (b'{"altId"', 400)):
        reply = respond(state, "POST", "/conversations/messages/inbound", headers, body).reply
        assert reply.status == status


def test_settings_change_while_it_runs() -> None:
    """New limits start afresh, new tokens count at once, what is stored stays."""
    state = SandboxState(SandboxConfig(limits=Limits(max=1)), Clock())
    assert [ask(state)[0], ask(state)[0]] == [200, 429]
    state.reconfigure(limits=Limits(max=2))
    assert ask(state)[0] == 200
    state.reconfigure(tokens={"new": "loc"}, faults=(Fault("503", nth=(1,)),))
    assert ask(state)[0] == 401
    assert ask(state, "new")[0] == 503
    assert state.store.total == 2
