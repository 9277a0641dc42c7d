"""What the API answers when it says no, in its own words, and how an answer is made."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from msgspec import Struct, field

TRACE_ID: Final = "00000000-0000-4000-8000-000000000000"

RATES: Final = (
    *("X-RateLimit-Max", "X-RateLimit-Remaining", "X-RateLimit-Interval-Milliseconds"),
    *("X-RateLimit-Limit-Daily", "X-RateLimit-Daily-Remaining", "X-RateLimit-Daily-Reset"),
)
"""The headers of the quota; those of the day stand last."""


class Reply(Struct, frozen=True, gc=False):
    """One answer, before it is put on the wire."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """An endpoint ends its work with this answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"answered {reply.status}")
        self.reply = reply


def json_reply(status: int, content: object) -> Reply:
    """An answer in JSON."""
    return Reply(status, orjson.dumps(content))


def error(status: int, message: str, **more: object) -> Reply:
    """The API's usual error body: ``statusCode``, ``message``, and what else is known."""
    return json_reply(status, {"statusCode": status, "message": message, **more})


def refused(status: int, message: str, **more: object) -> ApiError:
    """An `error` to raise."""
    return ApiError(error(status, message, **more))


def invalid(*messages: str) -> ApiError:
    """422 to raise, with one message per broken rule, as the API's validation answers."""
    body = {"message": messages, "error": "Unprocessable Entity", "statusCode": 422}
    return ApiError(json_reply(422, body | {"traceId": TRACE_ID}))


def wrong_texts(fields: dict[str, Any], names: Iterable[str]) -> list[str]:
    """What the API's validation says of fields that are no texts. A null is an absent field."""
    wrong = (name for name in names if not isinstance(fields.get(name), str | None))
    return [f"{name} must be a string" for name in wrong]


def not_found(method: str, path: str) -> Reply:
    """404 for an address the sandbox does not serve."""
    return error(404, f"Cannot {method} {path}", error="Not Found")


BAD_TOKEN: Final = error(401, "Invalid token: access token is invalid", error="Unauthorized")

NO_VERSION: Final = error(401, "version header was not found.", error="Unauthorized")

NO_SCOPE: Final = error(401, "The token is not authorized for this scope.", error="Unauthorized")

NO_LOCATION_ACCESS: Final = error(403, "The token does not have access to this location.")

NO_PROVIDER: Final = error(400, "No conversationProviderId passed in body")

_CODE: Final = "CONVERSATIONS_MSG_CONVERSATION_PROVIDER_MISMATCH"

PROVIDER_MISMATCH: Final = error(400, "Incorrect conversationProviderId/type", canonicalCode=_CODE)

NO_CONTACT: Final = error(400, "Contact not found")

NO_CONVERSATION: Final = error(400, "Conversation not found")

SERVER_ERROR: Final = error(500, "Internal server error")

THROTTLED: Final = error(429, "Too Many Requests")
