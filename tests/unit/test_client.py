"""The client against a real server on loopback: a receipt, or an error that tells."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from fault_harness import QUICK
from msgspec.structs import replace

from leadconnector_async import (
    AccessError,
    Call,
    ClosedError,
    DailyQuotaSpentError,
    FateUnknownError,
    InboundMessage,
    Ingestor,
    InvalidMessageError,
    LeadConnector,
    NotSentError,
    RateLimit,
    RefusedError,
    ThrottledError,
)
from leadconnector_async.models import MESSAGE_TYPES, MessageType
from leadconnector_async.sandbox import Fault, Limits, Sandbox, SandboxConfig, SandboxThread

TOKEN = "pit-0123456789"
WHEN = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)


def client(sandbox: Sandbox, **changes: object) -> LeadConnector:
    """A client of the sandbox with short waits."""
    options: dict[str, Any] = {
        "location_id": sandbox.location_id,
        "base_url": sandbox.url,
        "policy": QUICK,
    }
    return LeadConnector(TOKEN, **options | changes)


def full(kind: MessageType) -> InboundMessage:
    """A message with every field that the contract has for its type."""
    mail = kind in ("Email", "Custom")
    call = kind in ("Call", "IVR_Call", "Campaign_Call", "Campaign_VoiceMail")
    return InboundMessage(
        type=kind,
        contact_id="ve9EPM428h8vShlRW1KT",
        conversation_id="conversation00000001",
        conversation_provider_id="61d6d1f9cdac7612faf80753",
        direction="inbound",
        date=WHEN,
        message='Grüße, 你好 & "hello"',
        subject="A subject" if mail else None,
        html="<p>A body</p>" if mail else None,
        email_from="sender@company.com" if mail else None,
        email_to="jane@example.com" if mail else None,
        email_cc=["john1@doe.com", "john2@doe.com"] if mail else None,
        email_bcc=["john3@doe.com"] if mail else None,
        email_message_id="thread-0001" if mail else None,
        alt_id=f"alt-{kind}",
        attachments=["https://storage.example/a.pdf", "https://storage.example/b.png"],
        call=Call(to="+15037081210", from_="+15037081211", status="completed") if call else None,
    )


@pytest.mark.parametrize("kind", MESSAGE_TYPES)
async def test_every_field_of_every_type_arrives_as_it_was_given(kind: MessageType) -> None:
    """Compared field by field with what the server received."""
    async with Sandbox() as sandbox, client(sandbox) as api:
        message = full(kind)
        receipt = await api.add_inbound_message(message)
        (stored,) = sandbox.messages
        expected: dict[str, Any] = {
            "type": kind,
            "contactId": message.contact_id,
            "conversationId": message.conversation_id,
            "conversationProviderId": message.conversation_provider_id,
            "direction": "inbound",
            "date": "2024-05-01T09:30:00Z",
            "message": message.message,
            "subject": message.subject,
            "html": message.html,
            "emailFrom": message.email_from,
            "emailTo": message.email_to,
            "emailCc": message.email_cc,
            "emailBcc": message.email_bcc,
            "emailMessageId": message.email_message_id,
            "altId": message.alt_id,
            "attachments": message.attachments,
            "call": message.call
            and {"to": "+15037081210", "from": "+15037081211", "status": "completed"},
        }
        assert stored.fields == {name: v for name, v in expected.items() if v is not None}
        assert receipt.message_id == stored.id
        assert receipt.conversation_id == stored.conversation_id


def text() -> InboundMessage:
    """A plain message."""
    return InboundMessage(
        type="SMS", contact_id="c1", direction="inbound", date=WHEN, message="secret words"
    )


async def test_a_date_of_any_zone_is_sent_in_utc_and_empty_lists_are_left_out() -> None:
    """The API answers 422 to an empty list of attachments."""
    async with Sandbox() as sandbox, client(sandbox) as api:
        message = InboundMessage(
            type="SMS",
            contact_id="c1",
            direction="outbound",
            date=datetime.fromisoformat("2024-05-01T11:30:00+02:00"),
            message="x",
            attachments=[],
        )
        await api.add_inbound_message(message)
        assert sandbox.messages[0].fields["date"] == "2024-05-01T09:30:00Z"
        assert "attachments" not in sandbox.messages[0].fields


async def test_a_receipt_tells_what_is_left_of_the_quota() -> None:
    """By the headers of its answer; nothing, where they are silent."""
    limits = Limits(max=10, interval=5.0, daily=100)
    async with Sandbox(SandboxConfig(limits=limits)) as sandbox, client(sandbox) as api:
        receipt = await api.add_inbound_message(text())
        assert receipt.success
        assert receipt.contact_id == text().contact_id
        assert receipt.quota is not None
        assert (receipt.quota.max, receipt.quota.remaining) == (10, 9)
        assert receipt.quota.daily_remaining == 99
        assert receipt.message
        assert receipt.message not in repr(receipt)
    silent = SandboxConfig(limits=Limits(headers=False))
    async with Sandbox(silent) as sandbox, client(sandbox) as api:
        assert (await api.add_inbound_message(text())).quota is None


async def test_an_invalid_message_is_refused_before_any_request() -> None:
    """All problems are told at once."""
    async with Sandbox() as sandbox, client(sandbox) as api:
        with pytest.raises(
            InvalidMessageError, match=r"contactId is missing.*direction is missing"
        ):
            await api.add_inbound_message(InboundMessage(type="SMS", message="x"))
        assert not sandbox.requests


async def test_a_2xx_without_a_message_id_is_a_refusal() -> None:
    """The API drops messages with a 201 and an empty body."""
    async with (
        Sandbox(SandboxConfig(faults=(Fault("no_id"),))) as sandbox,
        client(sandbox) as api,
    ):
        with pytest.raises(RefusedError, match="nothing was stored") as caught:
            await api.add_inbound_message(text())
        assert caught.value.status == 200


async def test_a_refusal_carries_the_apis_words_and_never_the_token() -> None:
    """Status, message, canonical code; the bearer token appears nowhere."""
    config = SandboxConfig(tokens={"another-token": "L"})
    async with Sandbox(config) as sandbox, client(sandbox) as api:
        with pytest.raises(AccessError, match="Invalid token") as caught:
            await api.add_inbound_message(text())
        assert caught.value.status == 401
        chain: BaseException | None = caught.value
        while chain is not None:
            assert TOKEN not in f"{chain!s} {chain!r}"
            assert "secret words" not in f"{chain!s} {chain!r}"
            chain = chain.__cause__ or chain.__context__
        assert TOKEN not in repr(api)


async def test_a_429_is_waited_out() -> None:
    """The request is sent again after the pause, and stored once."""
    config = SandboxConfig(
        faults=(Fault("429", nth=(1,), seconds=0.0),),
        limits=Limits(window="off", headers=False),
    )
    quick = RateLimit(100, 0.1, None)
    async with Sandbox(config) as sandbox, client(sandbox, limit=quick) as api:
        await api.add_inbound_message(text())
        assert len(sandbox.messages) == 1


@pytest.mark.slow
async def test_a_429_without_end_is_told() -> None:
    """After the policy's attempts the caller hears of it."""
    config = SandboxConfig(
        faults=(Fault("429", seconds=0.0),), limits=Limits(window="off", headers=False)
    )
    quick = RateLimit(100, 0.1, None)
    async with Sandbox(config) as sandbox, client(sandbox, limit=quick) as api:
        with pytest.raises(ThrottledError):
            await api.add_inbound_message(text())


async def test_a_spent_day_is_told_without_a_request() -> None:
    """The headers of the last answer said that nothing is left."""
    config = SandboxConfig(limits=Limits(daily=1))
    async with Sandbox(config) as sandbox, client(sandbox) as api:
        await api.add_inbound_message(text())
        with pytest.raises(DailyQuotaSpentError):
            await api.add_inbound_message(text())
        assert sum(sandbox.requests.values()) == 1


async def test_a_lost_answer_is_told_as_unknown_and_not_sent_again() -> None:
    """One message, one request: only an ingestor looks."""
    fault = Fault("drop", when="after")
    async with Sandbox(SandboxConfig(faults=(fault,))) as sandbox, client(sandbox) as api:
        with pytest.raises(FateUnknownError):
            await api.add_inbound_message(text())
        assert len(sandbox.messages) == 1


async def test_a_refused_connection_is_told_as_not_sent() -> None:
    """Nothing listens: after the attempts the caller knows that nothing was stored."""
    async with Sandbox() as sandbox:
        url = sandbox.url
    async with LeadConnector(TOKEN, location_id="L", base_url=url, policy=QUICK) as api:
        with pytest.raises(NotSentError, match="no connection"):
            await api.add_inbound_message(text())


async def test_a_session_of_the_applications_own_is_used_and_left_open() -> None:
    """Whoever opens a session closes it."""
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        async with client(sandbox, session=session) as api:
            await api.add_inbound_message(text())
        assert not session.closed


async def test_a_renewed_token_is_used_and_asked_for_once() -> None:
    """However many requests wait, the provider renews once."""
    config = SandboxConfig(tokens={"new-token": "L"})
    renewals = 0

    class Tokens:
        current = "old-token"

        async def token(self, location_id: str) -> str:
            assert location_id == "L"
            return self.current

        async def renew(self, location_id: str, refused: str) -> str | None:
            nonlocal renewals
            assert (location_id, refused) == ("L", "old-token")
            renewals += 1
            await asyncio.sleep(0)
            self.current = "new-token"
            return self.current

    async with (
        Sandbox(config) as sandbox,
        LeadConnector(Tokens(), location_id="L", base_url=sandbox.url, policy=QUICK) as api,
    ):
        await asyncio.gather(*(api.add_inbound_message(text()) for _ in range(10)))
        assert renewals == 1
        assert len(sandbox.messages) == 10


async def test_without_a_location_there_is_a_clear_error() -> None:
    """A message has to belong somewhere."""
    async with Sandbox() as sandbox, client(sandbox, location_id=None) as api:
        with pytest.raises(ValueError, match="location_id"):
            await api.add_inbound_message(text())
        with pytest.raises(TypeError, match="a int: give its id as text"):
            await api.add_inbound_message(text(), location_id=17)  # type: ignore[arg-type]
        for none in ("a\0", "\udfff", "a\nb", " ", "a "):
            with pytest.raises(ValueError, match="characters that no id has"):
                await api.add_inbound_message(text(), location_id=none)


@pytest.mark.slow
async def test_a_quota_is_shared_by_all_calls_of_a_client() -> None:
    """Thirty calls at once under a limit of ten per fifth of a second cause no 429."""
    limits = Limits(window="sliding", max=10, interval=0.2)
    async with (
        Sandbox(SandboxConfig(limits=limits)) as sandbox,
        client(sandbox, limit=RateLimit(10, 0.2, None)) as api,
    ):
        await asyncio.gather(*(api.add_inbound_message(text()) for _ in range(30)))
        assert sandbox.requests == {("inbound", 200): 30}


async def test_a_renewal_costs_no_attempt() -> None:
    """One attempt, whose token had expired, is one attempt with a token that is good."""

    class Tokens:
        current = "old-token"

        async def token(self, location_id: str) -> str:
            del location_id
            return self.current

        async def renew(self, location_id: str, refused: str) -> str | None:
            del location_id, refused
            self.current = "new-token"
            return self.current

    policy = replace(QUICK, attempts=1)
    async with (
        Sandbox(SandboxConfig(tokens={"new-token": "L"})) as sandbox,
        LeadConnector(Tokens(), location_id="L", base_url=sandbox.url, policy=policy) as api,
    ):
        await api.add_inbound_message(text())
        assert len(sandbox.messages) == 1


@pytest.mark.parametrize(("token", "error"), [(None, TypeError), (7, TypeError), ("", ValueError)])
def test_a_client_without_a_token_is_refused_at_once(token: object, error: type[Exception]) -> None:
    """Such as `os.environ.get` of a variable that is not set: not at the first request."""
    with pytest.raises(error, match="give a private integration token"):
        LeadConnector(token)  # type: ignore[arg-type] # as untyped programs do


@pytest.mark.parametrize(("name", "wanted"), [("policy", "Policy"), ("timeouts", "Timeouts")])
def test_an_option_of_another_kind_is_refused_at_once(name: str, wanted: str) -> None:
    """With its name and what it has to be: not as an attribute that something within lacks."""
    for given in (None, 30):
        with pytest.raises(TypeError, match=f"{name} is a .*: give a {wanted}"):
            LeadConnector(TOKEN, **{name: given})  # type: ignore[arg-type] # as untyped programs do


async def test_a_closed_client_sends_nothing() -> None:
    """Neither by itself nor through an ingestor, and it opens no connection that nobody closes."""
    async with Sandbox() as sandbox:
        async with client(sandbox) as api:
            pass
        with pytest.raises(ClosedError, match="make a new LeadConnector"):
            await api.add_inbound_message(full("SMS"))
        with pytest.raises(ClosedError, match="make a new LeadConnector"):
            await Ingestor(api).__aenter__()
        assert sandbox.messages == []


async def test_who_waits_for_a_slot_is_told_that_the_client_is_closed() -> None:
    """Not when there is one, which may be in a quarter of an hour."""
    async with Sandbox(SandboxConfig(limits=Limits(window="off", headers=False))) as sandbox:
        async with client(sandbox, limit=RateLimit(1, 600.0, None)) as api:
            await api.add_inbound_message(full("SMS"))
            waiting = asyncio.create_task(api.add_inbound_message(full("SMS")))
            await asyncio.sleep(0)
        with pytest.raises(ClosedError, match="make a new LeadConnector"):
            async with asyncio.timeout(30):
                await waiting
        assert len(sandbox.messages) == 1


@pytest.mark.parametrize("through", ["the client", "an ingestor"])
def test_a_client_of_another_loop_says_so(sandbox: SandboxThread, through: str) -> None:
    """As where each call of a program runs a loop of its own; not as a group of errors."""
    api = LeadConnector(sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url)

    async def ask(*, last: bool) -> None:
        try:
            if through == "the client":
                await api.find_contact(number="+12125550100")
            else:
                async with Ingestor(api) as ingestor:
                    await ingestor.submit(text())
        finally:
            if last:
                await api.close()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(ask(last=False))
        with pytest.raises(RuntimeError, match="in another event loop"):
            second.run(ask(last=False))
        first.run(ask(last=True))
