"""The client's calls around messages, each against a sandbox: values, or errors that tell."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fault_harness import QUICK, SHORT_PAUSES

from leadconnector_async import (
    AccessError,
    Call,
    Contact,
    FateUnknownError,
    FoundContact,
    InboundMessage,
    InvalidMessageError,
    LeadConnector,
    NotSentError,
    RefusedError,
    ThrottledError,
    TransportError,
)
from leadconnector_async.sandbox import Fault, Limits, Reads, Sandbox, SandboxConfig, SandboxContact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

JANE = SandboxContact(
    id="jane",
    phone="+12125550100",
    email="jane@example.com",
    name="Jane Doe",
    additional_emails=("doe@example.com",),
)
JOHN = SandboxContact(id="john", phone="+12125550101", email="john@example.com")
PROVIDER = "61d6d1f9cdac7612faf80753"
WHEN = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)


@asynccontextmanager
async def served(**config: Any) -> AsyncIterator[tuple[Sandbox, LeadConnector]]:  # noqa: ANN401
    """A sandbox that knows two contacts, and its client."""
    known = {"location_id": "loc", "contacts": (JANE, JOHN), "providers": {PROVIDER: "Call"}}
    async with (
        Sandbox(SandboxConfig(**known | config)) as sandbox,
        LeadConnector("t", location_id="loc", base_url=sandbox.url, policy=QUICK) as api,
    ):
        yield sandbox, api


def message(n: int, type_: Any = "SMS", contact: str = "jane") -> InboundMessage:  # noqa: ANN401
    """A message of an hour of its own."""
    return InboundMessage(
        type=type_,
        contact_id=contact,
        direction="inbound",
        date=WHEN + timedelta(hours=n),
        message=f"text {n}",
    )


async def test_a_contact_is_found_by_number_or_else_by_address() -> None:
    """As the API gives it back; nobody is None. A plus arrives as one."""
    async with served() as (sandbox, api):
        found = await api.find_contact(number="+1 (212) 555-0100")
        assert found == FoundContact(
            id="jane",
            phone="+12125550100",
            email="jane@example.com",
            name="Jane Doe",
            additional_emails=("doe@example.com",),
        )
        assert "212" not in repr(found)
        assert await api.find_contact(email="DOE@example.com") == found
        assert await api.find_contact(number="+12125550199", email="jane@example.com") == found
        assert await api.find_contact(number="+12125550199") is None
        assert sandbox.requests["find_contact", 200] == 5
        with pytest.raises(InvalidMessageError, match="no number and no address"):
            await api.find_contact()


async def test_an_upsert_tells_what_it_made_and_what_was_dropped() -> None:
    """Number and address of two contacts: the API drops one, which no answer says."""
    async with served() as (sandbox, api):
        made = await api.upsert_contact(Contact("+12125550105", name="Jim"))
        assert (made.new, made.dropped, made.contact.name) == (True, (), "Jim")
        again = await api.upsert_contact(Contact("+12125550105", name="James"))
        assert (again.new, again.contact.id) == (False, made.contact.id)
        both = await api.upsert_contact(Contact("+12125550101", "jane@example.com"))
        assert (both.new, both.contact.id, both.dropped) == (False, "jane", ("phone",))
        assert sandbox.requests["upsert_contact", 200] == 3


async def test_conversations_are_searched_and_marked_as_read() -> None:
    """By contact or by text, newest first, page by page."""
    async with served() as (sandbox, api):
        for n, contact in enumerate(("jane", "jane", "john")):
            await api.add_inbound_message(message(n, contact=contact))
        first, second = await api.search_conversations()
        assert (first.contact_id, first.unread) == ("john", 1)
        assert first.last_message_at == WHEN + timedelta(hours=2)
        assert first.last_message_type == "TYPE_SMS"
        assert await api.search_conversations(limit=1) == [first]
        assert await api.search_conversations(before=first.last_message_at) == [second]
        assert await api.search_conversations(query="Jane") == [second]
        assert await api.search_conversations(contact_id="nobody") == []
        assert second.unread == 2
        sandbox.set_faults(Fault("html", nth=(1,), endpoint="update_conversation"))
        await api.mark_read(second.id)  # again: a page does not say that it is done
        (found,) = await api.search_conversations(contact_id="jane")
        assert (found.id, found.unread) == (second.id, 0)
        with pytest.raises(RefusedError, match="400"):
            await api.mark_read("nothing")
        with pytest.raises(ValueError, match="limit is 101: give `int` <= 100"):
            await api.search_conversations(limit=101)


@pytest.mark.parametrize("flat", [True, False])
async def test_the_export_has_the_mails_too(flat: bool) -> None:  # noqa: FBT001
    """Which the export without a channel leaves out. It can be narrowed down."""
    async with served(reads=Reads(flat=flat)) as (sandbox, api):
        for n in range(6):
            contact = "john" if n == 5 else "jane"
            await api.add_inbound_message(message(n, "Email" if n == 3 else "SMS", contact))
        export = api.export_messages()
        found = [one async for one in export]
        assert {one.id for one in found} == {stored.id for stored in sandbox.messages}
        assert (export.problems, export.total) == ([], 1)
        async for one in export:  # anew, also after one that was left early
            assert one == found[0]
            break
        assert [one async for one in export] == found
        of_john = [one async for one in api.export_messages(contact_id="john")]
        assert [(one.body, one.contact_id) for one in of_john] == [("text 5", "john")]
        assert of_john[0].date_added == WHEN + timedelta(hours=5)
        alone = api.export_messages(conversation_id=of_john[0].conversation_id)
        assert [one.id async for one in alone] == [of_john[0].id]


async def test_the_export_can_be_narrowed_down_by_date() -> None:
    """Both ends belong to it."""
    async with served(reads=Reads(export_by="date")) as (_, api):
        for n in range(4):
            await api.add_inbound_message(message(n))
        export = api.export_messages(
            since=WHEN + timedelta(hours=1), until=WHEN + timedelta(hours=2)
        )
        assert {one.body async for one in export} == {"text 1", "text 2"}


@pytest.mark.parametrize("old", [True, False])
async def test_a_file_gets_its_url(tmp_path: Path, old: bool) -> None:  # noqa: FBT001
    """Also where a conversation has to be opened for that, and by a conversation alone."""
    async with served(conversation_first=old) as (sandbox, api):
        photo = tmp_path / "photo.jpg"
        photo.write_bytes(b"a picture")
        url = await api.upload_file(photo, contact_id="jane")
        receipt = await api.add_inbound_message(message(0))
        await api.upload_file(str(photo), conversation_id=receipt.conversation_id, name="b.png")
        assert sandbox.uploads[0].url == url
        assert [(one.name, one.content) for one in sandbox.uploads] == [
            ("photo.jpg", b"a picture"),
            ("b.png", b"a picture"),
        ]
        with pytest.raises(RefusedError, match="415"):
            await api.upload_file(photo, contact_id="jane", name="photo.bin")
        with pytest.raises(NotSentError, match="cannot be read"):
            await api.upload_file(tmp_path / "gone.jpg", contact_id="jane")
        with pytest.raises(ValueError, match="needs a contact_id"):
            await api.upload_file(photo)


@pytest.mark.parametrize("old", [True, False])
async def test_a_call_that_was_made_elsewhere_is_logged(old: bool) -> None:  # noqa: FBT001
    """By the endpoint of its own, never by the one that really sends."""
    providers = {PROVIDER: "Call", "other": "SMS"}
    limits = Limits(max=100)
    async with served(conversation_first=old, limits=limits, providers=providers) as (sandbox, api):
        call = Call(to="+12125550100", from_="+12125550199", status="completed")
        receipt = await api.add_outbound_call(
            call, contact_id="jane", conversation_provider_id=PROVIDER, date=WHEN, alt_id="7"
        )
        (stored,) = sandbox.messages
        assert (stored.id, stored.direction, stored.alt_id) == (receipt.message_id, "outbound", "7")
        assert receipt.quota is not None
        assert sandbox.requests["outbound", 200] == 1
        with pytest.raises(InvalidMessageError, match="contactId"):
            await api.add_outbound_call(call, conversation_provider_id=PROVIDER)
        with pytest.raises(RefusedError):
            await api.add_outbound_call(call, contact_id="jane", conversation_provider_id="other")


async def test_an_empty_id_is_not_all_of_the_location() -> None:
    """It is that of a contact who was not found, and the answer would be everybody's."""
    async with LeadConnector("token", location_id="L") as api:
        with pytest.raises(ValueError, match="_id is ''"):
            await api.search_conversations(contact_id="")
        with pytest.raises(ValueError, match="_id is ''"):
            api.export_messages(contact_id="")
        with pytest.raises(ValueError, match="_id is ''"):
            api.export_messages(contact_id="c", conversation_id="")
        with pytest.raises(ValueError, match="_id is ''"):
            await api.mark_read("")


async def test_what_is_of_another_type_is_refused_by_its_name() -> None:
    """At the call, before anything is asked for: None for a call was logged without numbers."""
    wrong: Any = None
    async with LeadConnector("token", location_id="L") as api:
        with pytest.raises(TypeError, match="call is a NoneType: give"):
            await api.add_outbound_call(wrong, contact_id="c", conversation_provider_id=PROVIDER)
        with pytest.raises(TypeError, match="conversation_id is a NoneType"):
            await api.mark_read(wrong)
        with pytest.raises(TypeError, match="limit is a NoneType"):
            await api.search_conversations(limit=wrong)
        wrong = 7
        with pytest.raises(TypeError, match="contact_id is a int"):
            api.export_messages(contact_id=wrong)
        with pytest.raises(TypeError, match="name is a int"):
            await api.upload_file("x.txt", contact_id="c", name=wrong)
        with pytest.raises(ValueError, match="7 has no offset: give an aware datetime"):
            api.export_messages(since=wrong)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["500", "garbage", "drop", "429"])
async def test_a_read_is_asked_for_again(kind: Any) -> None:  # noqa: ANN401
    """Whatever became of it; and in the end it says how it failed."""
    async with served(limits=SHORT_PAUSES) as (sandbox, api):
        sandbox.set_faults(Fault(kind, endpoint="find_contact", times=QUICK.attempts - 1))
        found = await api.find_contact(number="+12125550100")
        assert found is not None
        sandbox.set_faults(Fault(kind, endpoint="find_contact"))
        with pytest.raises(ThrottledError if kind == "429" else TransportError):
            await api.find_contact(number="+12125550100")
        assert sandbox.faults_fired[kind] >= 2 * QUICK.attempts - 1


@pytest.mark.parametrize("kind", ["500", "garbage", "drop"])
async def test_a_write_is_not_sent_again_where_it_may_have_been_done(kind: Any) -> None:  # noqa: ANN401
    """An upsert, a call: once, and the caller is told."""
    async with served() as (sandbox, api):
        sandbox.set_faults(Fault(kind, endpoint="*"))
        with pytest.raises(FateUnknownError):
            await api.upsert_contact(Contact("+12125550100"))
        call = Call(to="+12125550100", from_="+12125550199", status="completed")
        with pytest.raises(FateUnknownError):
            await api.add_outbound_call(
                call, contact_id="jane", conversation_provider_id=PROVIDER, date=WHEN
            )
        assert sandbox.faults_fired[kind] == 2


async def test_a_missing_scope_is_named() -> None:
    """The API does not say which it is."""
    async with served(denied_scopes=frozenset({"contacts.readonly"})) as (_, api):
        with pytest.raises(AccessError, match=r"contacts\.readonly"):
            await api.find_contact(number="+12125550100")


async def test_a_date_without_an_offset_is_none() -> None:
    """Which moment it means would be a guess: the machine's zone is nobody's."""
    naive = WHEN.replace(tzinfo=None)
    async with served() as (sandbox, api):
        with pytest.raises(ValueError, match="has no offset"):
            await api.search_conversations(before=naive)
        with pytest.raises(ValueError, match="has no offset"):
            api.export_messages(since=naive)
        with pytest.raises(ValueError, match="has no offset"):
            api.export_messages(until=naive)
        assert not sandbox.requests
