"""What the API has around messages: contacts, conversations, the export, files."""

from datetime import UTC, datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from leadconnector_async.api import contacts, endpoints
from leadconnector_async.api.enrichment import upload
from leadconnector_async.api.listings import date_ms, read_conversations, read_object
from leadconnector_async.arguments import NotEmpty, check
from leadconnector_async.errors import InvalidMessageError
from leadconnector_async.models import Contact, ConversationSummary, FoundContact, UpsertedContact
from leadconnector_async.records.validation import verified_contact
from leadconnector_async.requester import MessageExport, Requester


class LocationApi(Requester):
    """The calls beside those that add a message."""

    async def find_contact(
        self, *, number: str | None = None, email: str | None = None, location_id: str | None = None
    ) -> FoundContact | None:
        """Look a contact up by its number (E.164), or else by its address; None for nobody.

        The search also finds a contact by further numbers of his, which no answer shows: compare
        the result's ``phone``. It shows a contact that was just made some seconds later.

        Raises:
            InvalidMessageError: neither is given, or one is none; nothing was sent.
            RefusedError: the API said no, or several contacts have the number.
            TransportError: there was no usable answer.

        Example:
            >>> contact = await api.find_contact(number="+12125550100", email="jane@example.com")
            >>> print(contact.id if contact else "nobody")
        """
        location, who = self.location_of(location_id), _verified(Contact(number, email))
        return await self.run(location, partial(contacts.look_up_contact, location, who))

    async def upsert_contact(
        self, contact: Contact, *, location_id: str | None = None
    ) -> UpsertedContact:
        """Change the contact with this number or address, or make one.

        Where they are two contacts', the API changes one of them and drops the other's field:
        ``dropped`` names it. An *additional* address of a contact becomes its primary one, and the
        primary one is deleted (highlevel-api-docs 337): to lose nothing, `find_contact` first.
        Which of number and address counts is a setting of the location.

        Raises:
            InvalidMessageError: it has neither number nor address, or one is none.
            RefusedError: the API said no. Nothing was changed.
            NotSentError: the API cannot be reached. Nothing was changed.
            FateUnknownError: it may have been changed or made: the same call again leads to the
                same contact.

        Example:
            >>> came = await api.upsert_contact(Contact("+12125550100", name="Jane Doe"))
            >>> print(came.contact.id, "made" if came.new else "changed", came.dropped)
        """
        location = self.location_of(location_id)
        flow = partial(contacts.upsert_contact, location, _verified(contact))
        return await self.run(location, flow, repeatable=False)

    async def search_conversations(
        self,
        *,
        contact_id: str | None = None,
        query: str | None = None,
        before: datetime | None = None,
        limit: int = 20,
        location_id: str | None = None,
    ) -> list[ConversationSummary]:
        """Find conversations, those with the newest message first.

        A conversation shows some seconds after it was opened.

        Args:
            contact_id: only that of this contact, who has one at most.
            query: only those whose contact's name, number or address holds this.
            before: only those whose last message is older than this aware datetime. Of the last
                result's ``last_message_at`` it gives the next page.
            limit: how many at most, up to 100.
            location_id: where, unless it is the client's.

        Raises:
            ValueError: the limit is none, the contact is empty, or the date has no offset.
            RefusedError: the API said no.
            TransportError: there was no usable answer.

        Example:
            >>> for found in await api.search_conversations(query="jane", limit=100):
            ...     print(found.id, found.unread)
        """
        check({"limit": limit}, Annotated[int, Meta(ge=1, le=endpoints.PAGE)])
        check({"contact_id": contact_id}, NotEmpty | None)
        check({"query": query}, str | None)
        location, before = self.location_of(location_id), _in_utc(before)
        request = endpoints.search_conversations(
            location,
            contactId=contact_id,
            query=query,
            startAfterDate=None if before is None else date_ms(before),
            limit=limit,
        )
        return await self.ask(location, request, lambda body: list(read_conversations(body)))

    def export_messages(
        self,
        *,
        contact_id: str | None = None,
        conversation_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        location_id: str | None = None,
    ) -> MessageExport:
        """Read the messages of a location, page by page, as they are iterated over.

        Args:
            contact_id: only those with this contact.
            conversation_id: only those of this conversation.
            since: only those from this aware datetime on.
            until: only those up to this aware datetime.
            location_id: where, unless it is the client's.

        Raises:
            ValueError: no location is named, an id is empty, or a date has no offset. Iterating
                raises what `MessageExport` says.

        Example:
            >>> async for message in api.export_messages(since=datetime(2024, 1, 1, tzinfo=UTC)):
            ...     print(message.date_added, message.message_type, message.direction)
        """
        # Of an empty one, as of a contact that was not found, the answer would be all.
        check({"contact_id": contact_id, "conversation_id": conversation_id}, NotEmpty | None)
        since, until = _in_utc(since), _in_utc(until)
        asked = {
            "contactId": contact_id,
            "conversationId": conversation_id,
            "startDate": None if since is None else since.isoformat(),
            "endDate": None if until is None else until.isoformat(),
        }
        return MessageExport(self, self.location_of(location_id), asked)

    async def upload_file(
        self,
        path: str | PathLike[str],
        *,
        contact_id: str | None = None,
        conversation_id: str | None = None,
        name: str | None = None,
        location_id: str | None = None,
    ) -> str:
        """Upload a file of this machine; the answer is its public URL, for ``attachments``.

        The API takes JPG, JPEG, PNG, MP4, MPEG, ZIP, RAR, PDF, DOC, DOCX, TXT, MP3 and WAV, 5 MB
        each, 100 MB for WhatsApp. Where it takes none without a conversation, the contact's is
        opened. After a failure it may be there twice, which shows nowhere.

        Args:
            path: the file. It is read as it is sent.
            contact_id: whose file it is, unless ``conversation_id`` says it.
            conversation_id: the same.
            name: what it is to be called, ending included; by default its own name.
            location_id: where it belongs, unless it is the client's.

        Raises:
            ValueError: neither contact nor conversation is named.
            RefusedError: the API said no: 413 for too large a file, 415 for another type.
            NotSentError: the file cannot be read, or the API cannot be reached.
            TransportError: there was no usable answer.

        Example:
            >>> url = await api.upload_file("photo.jpg", contact_id="9VEmS0si86GW6gXWU89b")
            >>> print(url)
        """
        ids = {"contact_id": contact_id, "conversation_id": conversation_id, "name": name}
        check(ids, str | None)
        if not contact_id and not conversation_id:
            raise ValueError("an upload needs a contact_id or a conversation_id")
        where = self.location_of(location_id), contact_id, conversation_id
        what = "the file could not be uploaded"
        flow = partial(upload, str(path), name or Path(path).name, where, what)
        return await self.run(where[0], flow)

    async def mark_read(self, conversation_id: str, *, location_id: str | None = None) -> None:
        """Set a conversation's count of unread messages to 0.

        Raises:
            RefusedError: the API said no, such as 400 for a conversation that is not there.
            TransportError: there was no usable answer.

        Example:
            >>> for found in await api.search_conversations(contact_id="9VEmS0si86GW6gXWU89b"):
            ...     await api.mark_read(found.id)
        """
        location = self.location_of(location_id)
        check({"conversation_id": conversation_id}, NotEmpty)
        await self.ask(location, endpoints.mark_read(location, conversation_id), _read_done)


def _read_done(body: bytes) -> object:
    """What marking answers: perhaps nothing, but no page. Raises ValueError for that."""
    return body.strip() and read_object(body)


def _in_utc(date: object) -> datetime | None:
    if date is None:
        return None
    if not isinstance(date, datetime) or date.utcoffset() is None:
        raise ValueError(f"{date} has no offset: give an aware datetime, as of datetime.now(UTC)")
    return date.astimezone(UTC)


def _verified(given: Contact) -> Contact:
    contact, problems = verified_contact(given)
    if contact is None:
        raise InvalidMessageError(problems)
    return contact
