"""Flows with the API, of several requests each: without I/O.

Each is a generator. It yields what it needs next, is sent what came of it, and returns its result:

============  ===========================  ===================================
yields        is sent                      meaning
============  ===========================  ===================================
`Request`     the `Response`               make this request, within the quota
`GetLookups`  a dict of the known lookups  what earlier conversations learned
`PutLookups`  None, once it is durable     remember this
`HashFile`    a digest; None: unreadable   look what a file holds now
`FetchFile`   a path; None: it has none    get it from where it was staged
============  ===========================  ===================================

Answers 401, 403 and 429 are dealt with by whoever makes the requests: they say nothing of a record.
"""

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

import msgspec

from leadconnector_async.api.responses import is_final, is_success, read_refusal
from leadconnector_async.transport.base import Request, Response

T = TypeVar("T")


class GetLookups(msgspec.Struct, frozen=True):
    """Look these lookups up."""

    names: list[str]


class PutLookups(msgspec.Struct, frozen=True):
    """Write these lookups down."""

    lookups: dict[str, str]


class HashFile(msgspec.Struct, frozen=True):
    """See what a file holds."""

    path: str


class FetchFile(msgspec.Struct, frozen=True):
    """Get a file that is not here any more, or never was, by the digest of what it held.

    It is there until the flow ends, or fetches the next one.
    """

    digest: str


Effect: TypeAlias = Request | GetLookups | PutLookups | HashFile | FetchFile

Flow: TypeAlias = Generator[Effect, Any, T]


class StepRefusedError(Exception):
    """The API said no, and would say so again. The text says what was refused."""


class StepFailedError(Exception):
    """There was no usable answer this time. The text says to what."""


class StepLagsError(StepFailedError):
    """What is there does not show yet: reads lag behind writes by seconds."""


def content_of(response: Response, type_: type[T], what: str) -> T:
    """Decode a successful answer to a step.

    Raises:
        StepRefusedError: the API said no.
        StepFailedError: it could not say, or said nothing that can be read.
    """
    try:
        return msgspec.json.decode(body_of(response, what), type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise unreadable(what) from None


def body_of(response: Response, what: str) -> bytes:
    """The body of a successful answer to a step. Raises as `content_of` does."""
    if not is_success(response):
        raise refused(response, what)
    return response.body


def unreadable(what: str) -> StepFailedError:
    """The error that a successful answer is which cannot be read."""
    return StepFailedError(f"{what}: the answer cannot be read")


def refused(response: Response, what: str) -> Exception:
    """The error that an unsuccessful answer to a step is."""
    kind = StepRefusedError if is_final(response) else StepFailedError
    return kind(f"{what}: {words_of(response)}")


def words_of(response: Response) -> str:
    """What the API answers to a request that it refuses: the status and its words."""
    refusal = read_refusal(response.status, response.body)
    return f"{refusal.status} {refusal.message}"
