from __future__ import annotations

import asyncio

import pytest

from leadconnector_async.cli.import_options import ApiOptions

PROXY = "http://127.0.0.1:3128"


def options(base_url: str | None) -> ApiOptions:
    """What the user asks for, with a proxy."""
    return ApiOptions(
        token=None,
        locations=None,
        base_url=base_url,
        api_version=None,
        proxy=PROXY,
        ca_file=None,
    )


@pytest.mark.parametrize(
    ("asked", "used", "is_through_it"),
    [
        (None, None, True),
        ("https://api.example/", None, True),
        ("https://api.example/", "https://api.example", True),
        ("https://api.example", "http://127.0.0.1:8700", False),
    ],
)
def test_only_the_address_that_was_asked_for_is_reached_through_the_proxy(
    asked: str | None, used: str | None, *, is_through_it: bool
) -> None:
    """With a slash at its end or without; a sandbox on this machine is not."""

    async def scenario() -> bool:
        async with options(asked).client("pit-1", used) as api:
            return api.session.network.proxy == PROXY

    assert asyncio.run(scenario()) is is_through_it


def test_options_show_nothing_of_the_user() -> None:
    """Neither a token nor the proxy, which may have a password."""
    assert repr(options(None)) == "<ApiOptions>"
