from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from aiohttp import TCPConnector
from http_peer import POST, TOKEN, answer_all, serving, transport_to

if TYPE_CHECKING:
    from collections.abc import Callable


def moved(name: str) -> Callable[..., None]:
    """What a release would have in which a method takes something else."""

    def method(*_args: object, **_options: object) -> None:
        raise TypeError(f"{name} takes other arguments now")

    return method


def test_this_aiohttp_is_sent_through_directly(caplog: pytest.LogCaptureFixture) -> None:
    """The probe passes with the release that is installed, and says nothing."""

    async def run() -> None:
        async with serving(answer_all) as server, transport_to(server.url) as transport:
            assert (await transport.send(POST, TOKEN)).status == 200
            assert transport._direct is not None

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert not caplog.records


async def other_connect(_self: object, *, destination: object) -> None:
    """What a release would have in which it takes something else."""


async def bare_connect(*_args: object) -> object:
    """What a release would have in which a connection has other attributes."""
    return object()


@pytest.mark.parametrize(
    "probed",
    [
        type("TCPConnector", (), {}),
        type("TCPConnector", (TCPConnector,), {"connect": None}),
        type("TCPConnector", (TCPConnector,), {"connect": other_connect}),
        type("TCPConnector", (TCPConnector,), {"connect": moved("connect")}),
        type("TCPConnector", (TCPConnector,), {"connect": bare_connect}),
    ],
)
def test_where_a_release_has_moved_it_the_session_sends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, probed: type
) -> None:
    """Nobody's import ends with an AttributeError: it is slower, and a log line says so once."""

    async def run() -> None:
        async with serving(answer_all) as server, transport_to(server.url) as transport:
            with monkeypatch.context() as patch:
                patch.setattr("leadconnector_async.transport.aiohttp_direct.TCPConnector", probed)
                first = await transport.send(POST, TOKEN)
            second = await transport.send(POST, TOKEN)
            assert (first.status, second.status) == (200, 200)
            assert transport._direct is None
            assert len(server.requests) == 2

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    (record,) = caplog.records
    assert record.name == "leadconnector_async.transport"
    assert "through its session" in record.getMessage()
    assert TOKEN not in record.getMessage()
