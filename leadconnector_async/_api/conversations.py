"""Opening the conversation of a contact, or finding it, without I/O.

Sources: the OpenAPI file for conversations; that one which exists is refused with "already exists"
is reported from live use. A contact has one conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from leadconnector_async._api import requests
from leadconnector_async._api.answers import read_refusal
from leadconnector_async._api.dialogue import StepLagsError, content_of

if TYPE_CHECKING:
    from leadconnector_async._api.dialogue import Dialogue
    from leadconnector_async._transport import Answer

_OPEN: Final = "the conversation could not be opened"
_FIND: Final = "the conversation could not be found"


class _Opened(Struct):
    id: str


class _Opening(Struct):
    conversation: _Opened


class _Found(Struct, rename="camel"):
    id: str
    contact_id: str | None = None


class _Listing(Struct):
    conversations: list[_Found] = []


class _Owned(Struct, rename="camel"):
    contact_id: str


def open_conversation(location: str, contact: str, version: str) -> Dialogue[str]:
    """Learn the id of a contact's conversation."""
    answer: Answer = yield requests.open_conversation(location, contact, version)
    if answer.status == 400 and _exists(answer):
        answer = yield requests.find_conversation(location, contact, version)
        listing = content_of(answer, _Listing, _FIND)
        for conversation in listing.conversations:
            if conversation.contact_id in (contact, None):
                return conversation.id
        raise StepLagsError(f"{_FIND}: the search does not show it yet")
    return content_of(answer, _Opening, _OPEN).conversation.id


def _exists(answer: Answer) -> bool:
    return "already exists" in read_refusal(answer.status, answer.body).message.lower()


def find_owner(conversation: str, version: str) -> Dialogue[str]:
    """Learn the id of a conversation's contact."""
    answer: Answer = yield requests.get_conversation(conversation, version)
    return content_of(answer, _Owned, "the conversation's contact could not be found").contact_id
