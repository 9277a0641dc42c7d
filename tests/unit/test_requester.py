"""How often a request is made again, and what is told in the end: against answers in turn."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from leadconnector_async import FateUnknownError, RefusedError, ThrottledError, TransportError
from leadconnector_async.api.effects import GetLookups, PutLookups, StepRefusedError, content_of
from leadconnector_async.api.responses import json_object
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.models import Refusal
from leadconnector_async.policy import Policy
from leadconnector_async.requester import MessageExport, Requester
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.base import FileUnreadableError, Request, Response

if TYPE_CHECKING:
    from leadconnector_async.api.effects import Flow
    from leadconnector_async.transport.base import Transport

LIMITED = Response(429, {"Retry-After": "70"}, b"{}")
BROKEN = Response(500, {}, b'{"message":"Internal server error"}')
GARBLED = Response(200, {}, b"[")
REFUSED = Response(422, {}, b'{"message":["phone must be a number"]}')
READ = Request("GET", "/contacts/search/duplicate", "v")


def done(**fields: object) -> Response:
    """A success."""
    return Response(200, {}, orjson.dumps(fields))


class Answers:
    """A transport that gives answers, or raises errors, in turn; the last one for good."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = [*answers]
        self.asked = 0

    async def send(self, *_: object) -> Response:
        """Give the next one."""
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def requester(server: Answers) -> Requester:
    """What asks it, at most three times."""
    policy = Policy(attempts=3)
    session = ApiSession(cast("Transport", server), StaticToken("t"), policy=policy, limit=None)
    api = Requester(session, policy, "L")
    api.random = Random(0)  # its first pauses are none of the shortest
    return api


def parsed(body: bytes) -> dict[str, Any]:
    """An object, which a body has to be."""
    if not (found := json_object(body)):
        raise ValueError("no object")
    return found


@pytest.mark.virtual_time
async def test_a_429_is_waited_out_for_as_long_as_it_says() -> None:
    """And told where the last attempt had it too."""
    began = asyncio.get_running_loop().time()
    api = requester(Answers(LIMITED, done(id="c")))
    assert await api.ask("L", READ, parsed) == {"id": "c"}
    assert asyncio.get_running_loop().time() - began == pytest.approx(70.0, abs=0.1)
    with pytest.raises(ThrottledError):
        await requester(server := Answers(LIMITED)).ask("L", READ, parsed)
    assert server.asked == 3


@pytest.mark.parametrize("failure", [BROKEN, GARBLED, FateUnknownError("reset")])
@pytest.mark.virtual_time
async def test_a_read_is_repeated_after_a_pause(failure: Response | Exception) -> None:
    """Whatever became of it; in the end it fails, and says how."""
    began = asyncio.get_running_loop().time()
    api = requester(Answers(failure, failure, done(id="c")))
    assert await api.ask("L", READ, parsed) == {"id": "c"}
    assert asyncio.get_running_loop().time() - began > 0.1
    with pytest.raises(TransportError, match=r"500|no object|reset"):
        await requester(server := Answers(failure)).ask("L", READ, parsed)
    assert server.asked == 3


async def test_a_file_that_cannot_be_read_is_not_tried_again() -> None:
    """It will not be there after a pause."""
    with pytest.raises(FileUnreadableError):
        await requester(server := Answers(FileUnreadableError("gone"))).ask("L", READ, parsed)
    assert server.asked == 1


def taught(known: list[object]) -> Flow[str]:
    """A flow that asks what is known, and for the rest."""
    known.append((yield GetLookups(["name"])))
    found = content_of((yield READ), dict[str, str], "the contact")
    yield PutLookups({"name": found["id"]})
    return found["id"]


@pytest.mark.virtual_time
async def test_a_flow_begins_again_where_an_answer_cannot_be_used() -> None:
    """With what is known by then; in the end it fails, and says how."""
    met: list[object] = []
    lookups: dict[str, str] = {}
    api = requester(Answers(GARBLED, done(id="c")))
    began = asyncio.get_running_loop().time()
    assert await api.run("L", lambda: taught(met), lookups=lookups) == "c"
    assert asyncio.get_running_loop().time() > began + 0.1
    assert await api.run("L", lambda: taught(met), lookups=lookups) == "c"
    assert met == [{}, {}, {"name": "c"}]
    with pytest.raises(TransportError, match="in 3 attempts"):
        await requester(server := Answers(GARBLED)).run("L", lambda: taught(met))
    assert server.asked == 3


async def test_a_flow_that_is_refused_tells_the_apis_own_words() -> None:
    """Its status and its reason; but not those of a refusal that the flow got over."""

    def gets_over() -> Flow[str]:
        yield READ
        yield READ
        raise StepRefusedError("nobody has this number")

    with pytest.raises(RefusedError) as told:
        await requester(Answers(REFUSED)).run("L", lambda: taught([]))
    assert told.value.refusal == Refusal(status=422, message="phone must be a number")
    with pytest.raises(RefusedError) as told:
        await requester(Answers(REFUSED, done())).run("L", gets_over)
    assert told.value.refusal == Refusal(status=200, message="nobody has this number")


async def test_an_export_tells_what_it_could_not_read() -> None:
    """Of every page, and of both channels; also where it was asked for that before."""
    page = {"messages": [{"id": "m"}, {"body": "without an id"}], "total": 2}
    export = MessageExport(requester(Answers(done(**page), done(**page), REFUSED)), "L", {})
    problems = export.problems
    assert [message.id async for message in export] == ["m", "m"]
    assert (problems, export.total) == (["an entry without an id"] * 2, 2)
    with pytest.raises(RefusedError):
        await anext(aiter(export))
    assert (problems, export.total) == ([], None)


async def test_an_export_that_comes_back_ends_where_all_was_given() -> None:
    """A page that is given again, or an empty one with a cursor, would go on without end."""
    page = {"messages": [{"id": "m"}], "nextCursor": "again"}
    export = MessageExport(requester(Answers(done(**page, total=1))), "L", {})
    assert [message.id async for message in export] == ["m", "m"]
    for total in (2, None):
        api = requester(Answers(done(**page, total=total)))
        with pytest.raises(TransportError, match="goes round after 1 messages"):
            _ = [one async for one in MessageExport(api, "L", {})]
    api = requester(server := Answers(done(messages=[], nextCursor="next")))
    assert [one async for one in MessageExport(api, "L", {})] == []
    assert server.asked == 4  # each channel twice: its cursor comes again
