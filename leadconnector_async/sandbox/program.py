"""The sandbox as a program of its own, and its settings as a command line gives them."""

import asyncio
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from msgspec import convert, structs

from leadconnector_async.sandbox import config as settings
from leadconnector_async.sandbox.config import OAuthApp, OAuthInstallation, SandboxConfig
from leadconnector_async.sandbox.faults import Fault
from leadconnector_async.sandbox.server import Sandbox

_FAULT_FORM: Final = (
    "KIND[:before|after][:PROBABILITY][:NAME=VALUE…], as in drop:after:0.05, "
    "500:conversationProviderId=abc or 422:after:endpoint=create_contact"
)

OAUTH_APP: Final = ("sandbox-client", "sandbox-secret", "sandbox-company")
"""Client id, secret and company of the app that ``oauth=True`` installs."""


class Options(TypedDict, total=False):
    """What a command line can set. Milliseconds where the name says so, seconds elsewhere."""

    token: str
    location_id: str
    locations: int
    tokens: Mapping[str, str]
    oauth: bool
    known: str | None
    providers: Mapping[str, str]
    window: str
    max_requests: int
    interval: float
    daily: int
    latency_ms: float
    jitter_ms: float
    read_lag: float
    search_lag: float
    faults: Sequence[str]
    closed: bool
    trusting: bool
    apart: bool
    keep_messages: bool
    seed: int


def config_from_options(**options: Unpack[Options]) -> SandboxConfig:
    """Make settings of options; what is not given keeps its default.

    ``locations=N`` makes N locations ``loc-0001`` … with the tokens ``token-0001`` …; ``tokens``
    adds others. ``oauth`` installs an app in all of them, whose first refresh tokens are
    ``refresh-`` and the location's id, or the company's. ``known`` is the path of a CSV file of the
    only contacts that there are: see `read_contacts`.

    Raises:
        ValueError: an option has no meaning; the message names it.
        OSError: the file of contacts cannot be read.

    Example:
        >>> config_from_options(locations=2).tokens
        {'token-0001': 'loc-0001', 'token-0002': 'loc-0002'}
    """
    names = ("token", "location_id", "closed", "trusting", "apart", "keep_messages", "seed")
    plain: dict[str, Any] = {name: of for name, of in options.items() if name in names}
    numbers = range(1, options.get("locations", 0) + 1)
    tokens = {f"token-{number:04d}": f"loc-{number:04d}" for number in numbers}
    tokens |= options.get("tokens", {})
    oauth = _oauth(tokens.values()) if options.get("oauth") else None
    known = options.get("known")
    if known:
        places = sorted({*tokens.values()}) or [settings.ANY_LOCATION] * bool(oauth)
        contacts = tuple(read_contacts(known, places))
        plain |= {"closed": True, "trusting": False, "apart": False, "contacts": contacts}
    one_way, jitter = options.get("latency_ms", 0.0) / 2000, options.get("jitter_ms", 0.0) / 1000
    lag, search_lag = options.get("read_lag", 0.0), options.get("search_lag", 0.0)
    return SandboxConfig(
        **plain,
        tokens=tokens,
        oauth=oauth,
        providers=options.get("providers", {}),
        limits=_limits(options),
        latency=settings.Latency(up=one_way, down=one_way, jitter=jitter),
        reads=settings.Reads(lag=lag, search_lag=search_lag),
        faults=tuple(parse_fault(text) for text in options.get("faults", ())),
    )


def _oauth(locations: Iterable[str]) -> OAuthApp:
    client, secret, company = OAUTH_APP
    places = [*locations] or [settings.ANY_LOCATION]
    installed = [
        OAuthInstallation(refresh_token=f"refresh-{place}", company_id=company, location_id=place)
        for place in places
    ]
    agency = OAuthInstallation(refresh_token=f"refresh-{company}", company_id=company)
    return OAuthApp(
        client_id=client,
        client_secret=secret,
        installations=(*installed, agency),
        company_locations={company: tuple(places)},
    )


def read_contacts(path: str, places: Sequence[str] = ()) -> Iterator[settings.SandboxContact]:
    """Read a CSV file of contacts.

    Its columns are ``id``, ``phone``, ``email``, ``name``, ``additionalEmails`` (separated by
    ``;``) and ``locationId``; all but ``id`` may be absent. Who has no ``locationId`` is in each of
    ``places``. Without any, it is passed over, as where there is one location under any name.

    Raises:
        ValueError: a row has no id.
        OSError: the file cannot be read.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            cells: dict[str, Any] = {name: (row[name] or "").strip() for name in row if name}
            cells = {name: text for name, text in cells.items() if text}
            if "id" not in cells:
                raise ValueError(f"{path}: contact {number} has no id")
            others = cells.get("additionalEmails", "").split(";")
            cells["additionalEmails"] = [one.strip() for one in others if one.strip()]
            contact = convert(cells, settings.SandboxContact)  # passes over further columns
            homes = dict.fromkeys(contact.location_id or place for place in places)
            yield from (structs.replace(contact, location_id=place) for place in homes or (None,))


def _limits(options: Options) -> settings.Limits:
    if options.get("window", "off") == "off":
        return settings.NO_LIMITS
    names = {"window": "window", "max_requests": "max", "interval": "interval", "daily": "daily"}
    given: dict[str, Any] = {names[name]: of for name, of in options.items() if name in names}
    return settings.Limits(**given)


def parse_fault(text: str) -> Fault:
    """Read a fault written as ``KIND[:before|after][:PROBABILITY][:NAME=VALUE…]``.

    The names ``endpoint``, ``location``, ``number``, ``text`` and ``status`` are those of `Fault`;
    others are what a request names.

    Raises:
        ValueError: it is not written so.

    Example:
        >>> parse_fault("500:after:0.1").probability
        0.1
    """
    words = text.split(":")
    match = dict(word.split("=", 1) for word in words if "=" in word)
    names = ("endpoint", "location", "number", "text")
    where: dict[str, Any] = {name: match.pop(name) for name in names if name in match}
    kind, *rest = (word for word in words if "=" not in word)
    when = rest.pop(0) if rest and rest[0] in ("before", "after") else "before"
    probability, *rest = rest or ["1"]
    try:
        where |= {"probability": float(probability), "status": int(match.pop("status", "400"))}
    except ValueError:
        rest = [probability]
    if rest:
        raise ValueError(f"fault {text!r} is not {_FAULT_FORM}")
    return Fault(kind, when, match=match, **where)  # type: ignore[arg-type] # Fault checks its kind


async def serve(
    config: SandboxConfig,
    host: str = "127.0.0.1",
    port: int = 8700,
    ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """Run until cancelled. ``ready`` is called once the port is open.

    Raises:
        OSError: the port cannot be opened.

    Example:
        >>> serving = asyncio.create_task(serve(SandboxConfig(), port=0))
        >>> serving.cancel()
        True
    """
    async with Sandbox(config, host=host, port=port) as sandbox:
        if ready is not None:
            ready(sandbox)
        await asyncio.Event().wait()
