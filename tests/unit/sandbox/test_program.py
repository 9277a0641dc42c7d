from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from leadconnector_async import sandbox as package
from leadconnector_async.sandbox import (
    NO_LIMITS,
    Fault,
    Latency,
    Limits,
    Reads,
    Sandbox,
    SandboxConfig,
    SandboxContact,
    config_from_options,
    parse_fault,
    serve,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_no_options_are_the_defaults() -> None:
    """An open, quick and faultless sandbox without limits."""
    assert config_from_options() == SandboxConfig()
    assert config_from_options().limits is NO_LIMITS


def test_options_become_settings() -> None:
    """Milliseconds become seconds, and a latency is split over both ways."""
    config = config_from_options(
        token="t",  # noqa: S106 - opens nothing
        location_id="l",
        window="sliding",
        max_requests=25,
        interval=5.0,
        daily=1000,
        latency_ms=100.0,
        jitter_ms=20.0,
        read_lag=2.0,
        search_lag=3.0,
        faults=["drop:after:0.05"],
        closed=True,
        keep_messages=False,
        seed=9,
    )
    assert config == SandboxConfig(
        token="t",  # noqa: S106 - opens nothing
        location_id="l",
        limits=Limits(window="sliding", max=25, interval=5.0, daily=1000),
        latency=Latency(up=0.05, down=0.05, jitter=0.02),
        reads=Reads(lag=2.0, search_lag=3.0),
        faults=(Fault("drop", "after", 0.05),),
        closed=True,
        keep_messages=False,
        seed=9,
    )


def test_locations_come_with_tokens() -> None:
    """As many as asked for."""
    tokens = config_from_options(locations=1000).tokens
    assert len(tokens) == 1000
    assert tokens["token-0001"] == "loc-0001"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drop", Fault("drop")),
        ("500:after", Fault("500", "after")),
        ("hang:0.1", Fault("hang", "before", 0.1)),
        ("cut:after:0.25", Fault("cut", "after", 0.25)),
        ("500:conversationProviderId=p", Fault("500", match={"conversationProviderId": "p"})),
        ("422:after:1:endpoint=create_contact", Fault("422", "after", endpoint="create_contact")),
        ("503:location=l:0.5", Fault("503", probability=0.5, location="l")),
    ],
)
def test_faults_can_be_written(text: str, fault: Fault) -> None:
    """Kind, moment, probability; the last two may be left out."""
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("explode", "one of drop, reset"),
        ("drop:endpoint=inbond", r"one of \*, inbound"),
        ("drop:during", "KIND"),
        ("drop:after:often", "KIND"),
        ("drop:after:1:2", "KIND"),
        ("500:status=bad", "KIND"),
    ],
)
def test_faults_that_make_no_sense_are_refused(text: str, told: str) -> None:
    """The message lists the words that there are, or the form."""
    with pytest.raises(ValueError, match=told):
        parse_fault(text)


def test_a_window_that_does_not_exist_is_refused() -> None:
    """The message lists those that do."""
    with pytest.raises(ValueError, match="off, fixed, sliding, bucket"):
        config_from_options(window="round")


def test_it_serves_until_cancelled() -> None:
    """``ready`` gets the sandbox once its port is open."""

    async def main() -> str:
        ready: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(SandboxConfig(), port=0, ready=ready.set_result))
        sandbox = await ready
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        return sandbox.url

    assert asyncio.run(main()).startswith("http://127.0.0.1:")


def test_every_public_name_is_there() -> None:
    """What is listed can be had, and nothing else."""
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert dir(package) == sorted(package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018 - looking is what is tested


@pytest.mark.slow
def test_the_package_costs_nothing_until_used() -> None:
    """Neither it nor the pytest plugin imports an HTTP library or a codec."""
    code = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import leadconnector_async.sandbox, leadconnector_async.sandbox.pytest_plugin\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "orjson", "msgspec"} & set(done.stdout.split()), done.stdout


def test_contacts_are_read_from_a_table(tmp_path: Path) -> None:
    """The sandbox is closed then: it knows no other contact."""
    path = tmp_path / "contacts.csv"
    path.write_text(
        "\ufeffid,phone,email,additionalEmails,locationId\n"
        "c1,+13125550101,,,loc-a\nc2,,ann@x.example,a@x.example; b@x.example,\n"
    )
    tokens = {"t": "loc-a"}
    config = config_from_options(known=str(path), tokens=tokens, trusting=True, apart=True)
    assert config.contacts == (
        SandboxContact(id="c1", phone="+13125550101", location_id="loc-a"),
        SandboxContact(
            id="c2",
            email="ann@x.example",
            additional_emails=("a@x.example", "b@x.example"),
            location_id="loc-a",
        ),
    )
    assert (config.closed, config.trusting, config.apart) == (True, False, False)
    assert config_from_options(known=str(path)).contacts[0].location_id is None
    several = config_from_options(known=str(path), tokens=tokens | {"u": "loc-b"}).contacts
    assert [(of.id, of.location_id) for of in several] == [
        ("c1", "loc-a"),
        ("c2", "loc-a"),
        ("c2", "loc-b"),
    ]


def test_a_contact_without_an_id_is_refused(tmp_path: Path) -> None:
    """The message says which."""
    path = tmp_path / "contacts.csv"
    path.write_text("id,phone\nc1,+1\n,+2\n")
    with pytest.raises(ValueError, match="contact 2 has no id"):
        config_from_options(known=str(path))


def test_an_app_is_installed_in_each_location() -> None:
    """And in the company of all of them."""
    app = config_from_options(locations=2, oauth=True).oauth
    assert app is not None
    tokens = [one.refresh_token for one in app.installations]
    assert tokens == ["refresh-loc-0001", "refresh-loc-0002", "refresh-sandbox-company"]
    assert app.company_locations == {"sandbox-company": ("loc-0001", "loc-0002")}
