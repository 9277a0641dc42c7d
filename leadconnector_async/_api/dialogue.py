"""Dialogues with the API: of several requests, without I/O.

Each is a generator. It yields what it needs next, is sent what came of it, and returns its result:

=============  ============================  ==================================================
yields         is sent                       meaning
=============  ============================  ==================================================
`Request`      the `Answer`                  make this request, within the quota
`Recall`       a dict of the known facts     what earlier conversations learned
`Learn`        None, once it is durable      remember this
`Inspect`      a digest; None: unreadable    look what a file holds now
=============  ============================  ==================================================

Answers 401, 403 and 429 are dealt with by whoever makes the requests: they say nothing of a record.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from leadconnector_async._api.answers import read_refusal
from leadconnector_async._transport import Answer, Request

T = TypeVar("T")


class Recall(Struct, frozen=True):
    """Look these facts up."""

    names: list[str]


class Learn(Struct, frozen=True):
    """Write these facts down."""

    facts: dict[str, str]


class Inspect(Struct, frozen=True):
    """See what a file holds."""

    path: str


Turn: TypeAlias = Request | Recall | Learn | Inspect
Dialogue: TypeAlias = Generator[Turn, Any, T]


class StepRefusedError(Exception):
    """The API said no, and would say so again. The text says what was refused."""


class StepFailedError(Exception):
    """There was no usable answer this time. The text says to what."""


class StepLagsError(StepFailedError):
    """What is there does not show yet: reads lag behind writes by seconds."""


def content_of(answer: Answer, type_: type[T], what: str) -> T:
    """Decode a successful answer to a step.

    Raises:
        StepRefusedError: the API said no.
        StepFailedError: it could not say, or said nothing that can be read.
    """
    if not 200 <= answer.status < 300:
        raise refused(answer, what)
    try:
        return msgspec.json.decode(answer.body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise StepFailedError(f"{what}: the answer cannot be read") from None


def refused(answer: Answer, what: str) -> Exception:
    """The error that an unsuccessful answer to a step is."""
    refusal = read_refusal(answer.status, answer.body)
    text = f"{what}: {refusal.status} {refusal.message}"
    if answer.status >= 500 or answer.status == 408:
        return StepFailedError(text)
    return StepRefusedError(text)
