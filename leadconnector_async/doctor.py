"""What is to be known before the first real import: each finding names its fix.

Nothing here changes anything, in the account or on disk.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from base64 import urlsafe_b64decode
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from leadconnector_async.api import effects, responses
from leadconnector_async.api.endpoints import Probe, list_workflows, probes
from leadconnector_async.api.listings import published_workflows, read_object
from leadconnector_async.errors import LeadConnectorError, OutboxError
from leadconnector_async.outbox.open import exists, is_url, rehearsal, server_of, shown_place
from leadconnector_async.records.deferred import Deferred, read_deferred

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from leadconnector_async.client import LeadConnector
    from leadconnector_async.records.draft import Draft
    from leadconnector_async.transport.base import Response

SKEW_S: Final = 5.0

MAX_SKEW_S: Final = 60.0
"""From here on a record without a date cannot be told from others: see `api.reconciliation`."""

MAX_NAMES: Final = 5

_AT_ONCE: Final = 8
"""Locations that are looked at side by side."""

REPAIRED: Final[dict[tuple[int, ...], int]] = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
"""Lines of SQLite, and the release of each from which on its WAL is sound, as later lines are."""

MIN_ROOM: Final = 100_000_000
GROWTH: Final = 4
RECORD_BYTES: Final = 300
"""Bytes of an outbox for each byte of the sources, and for each record besides: its key, its ids
and its end outweigh a short row of a table."""


class Finding(Struct, frozen=True):
    """One thing that was looked at. ``fix`` says what to do, where something is to be done.

    ``state`` is ``fault`` where an import would not work; ``warning`` where it would, and something
    is to be known first; and ``note`` where nobody can tell. ``location`` is the one that it was
    looked at in, None for what all locations share.
    """

    check: str
    state: Literal["ok", "note", "warning", "fault"]
    found: str
    fix: str | None = None
    location: str | None = None


class Kind(Struct, frozen=True, order=True):
    """Records that the API treats alike."""

    type: str
    provider: str = ""
    outbound: bool = False
    outbound_call: bool = False  # as it goes to an endpoint of its own

    @property
    def text(self) -> str:
        """As people read it."""
        way = " (outbound)" if self.outbound else ""
        return f"{self.type}{way}" + (f" by provider {self.provider}" if self.provider else "")


class Needs(Struct):
    """What the sources of an import hold for one location."""

    records: int = 0
    wrong: int = 0
    by_handle: int = 0
    """Records that name their contact by number or address."""
    kinds: set[Kind] = set()


class AllNeeds(Struct):
    """What an import is to read: what it holds for each location, and how many bytes it has."""

    needs: dict[str, Needs]
    size: int = 0

    @property
    def room(self) -> int:
        """Bytes that an outbox takes for them, at most."""
        return GROWTH * self.size + RECORD_BYTES * sum(of.records for of in self.needs.values())


def note_record(needs: Needs, draft: Draft) -> None:
    """Take a record in that an import would send, or would not."""
    needs.records += draft.left_out is None
    if draft.payload is None:
        needs.wrong += draft.left_out is None
        return
    body = read_object(draft.payload)
    deferred = read_deferred(draft.deferred) if draft.deferred else Deferred()
    needs.by_handle += deferred.contact is not None
    provider = body.get("conversationProviderId") or ""
    outbound = deferred.outbound_call or body.get("direction") == "outbound"
    needs.kinds.add(Kind(body["type"], provider, outbound, deferred.outbound_call))


async def examine(
    api: LeadConnector,
    locations: Sequence[str],
    *,
    outbox: str | None,
    destination: str,
    sources: AllNeeds | None,
) -> list[Finding]:
    """Look at everything that can be looked at without changing anything.

    ``destination`` is what the outbox has to be for.
    """
    found: list[Finding] = []
    if outbox is None or not is_url(outbox):
        found.append(sqlite_finding(sqlite3.sqlite_version_info))
    if outbox is not None:
        found += [finding async for finding in _outbox(outbox, destination, sources)]
    if sources is not None:
        found += _sources(sources.needs, locations)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def account(location: str) -> list[Finding]:
        own = None if sources is None else sources.needs.get(location, Needs())
        async with gate:
            seen = [finding async for finding in _account(api, location, own)]
        return [replace(finding, location=location) for finding in seen]

    return sum(await asyncio.gather(*map(account, locations)), found)


async def _outbox(place: str, destination: str, sources: AllNeeds | None) -> AsyncIterator[Finding]:
    shown = shown_place(place)
    try:
        if is_url(place):
            yield Finding("postgresql", "ok", f"PostgreSQL {await server_of(place)} at {shown}")
        else:
            yield room_finding(place, sources.room if sources else 0)
        async with rehearsal(place) as outbox:
            await outbox.dedicate(destination, name=shown)
        yield Finding("outbox", "ok", f"{shown} can be {'used' if exists(place) else 'made'}")
    except OutboxError as error:
        yield Finding("outbox", "fault", str(error), "see what the message says")


def _sources(needs: Mapping[str, Needs], locations: Sequence[str]) -> Iterator[Finding]:
    used = set[Kind]().union(*(of.kinds for of in needs.values()))
    records = sum(of.records for of in needs.values())
    if not used:
        fix = "see leadconnector validate, and leadconnector inspect"
        yield Finding("sources", "fault", "no record of the sources can be sent", fix)
        return
    kinds = ", ".join(kind.text for kind in sorted(used))
    yield Finding("sources", "ok", f"{records:,} records: {kinds}")
    if wrong := sum(of.wrong for of in needs.values()):
        found = f"{wrong:,} of {records:,} records are wrong, and would not be sent"
        yield Finding("sources", "warning", found, "see leadconnector validate")
    for name in sorted({name for name, of in needs.items() if of.kinds} - {*locations}):
        found = f"{needs[name].records:,} records are for location {name}, which was not looked at"
        fix = "name it with --location, or give --locations with it and its token"
        yield Finding("sources", "fault", found, fix)


async def _account(
    api: LeadConnector, location: str, needs: Needs | None
) -> AsyncIterator[Finding]:
    """What the API itself says, with one request for each scope and one for automations."""
    try:
        token = await api.session.tokens.token(location)
        yield app_finding(token)
        for number, probe in enumerate(probes(location)):
            sent_at = time.time()
            response = await api.exchange(location, probe.request)
            if number == 0:
                yield clock_finding(response.headers.get("Date"), (sent_at + time.time()) / 2)
                if responses.is_access_refused(response) and not responses.lacks_scope(response):
                    words = effects.words_of(response)
                    found = f"the token is refused for location {location}: {words}"
                    fix = "give the token and the id of one and the same location"
                    yield Finding("token", "fault", found, fix)
                    return
            yield scope_finding(probe, response, by_handle=needs is None or needs.by_handle > 0)
        for finding in quota_findings(response, needs):
            yield finding
        yield automations_finding(await api.exchange(location, list_workflows(location)))
        for finding in provider_findings(needs, token):
            yield finding
    except LeadConnectorError as error:
        fix = "see that this machine reaches the API, and that --base-url is right"
        if getattr(error, "status", None) in (401, 403):
            fix = "renew the token in Settings, Private Integrations, or install the app again"
        yield Finding("api", "fault", str(error), fix)


def sqlite_finding(version: tuple[int, ...]) -> Finding:
    """Name the fault of SQLite's that a file may meet."""
    shown, line = f"SQLite {'.'.join(map(str, version[:3]))}", version[:2]
    if line > max(REPAIRED) or (line in REPAIRED and version[2] >= REPAIRED[line]):
        return Finding("sqlite", "ok", shown)
    found = "two connections that write or reset the log at the same moment can damage the file"
    found = f"{shown} has the fault in WAL mode that 3.51.3 repairs: {found}"
    fix = "open the outbox with no other program while an import runs, or use a Python with SQLite "
    fix += "3.51.3 or later"
    return Finding("sqlite", "warning", f"{found}. One process alone writes an outbox", fix)


def room_finding(place: str, room: int) -> Finding:
    """Whether the outbox's drive has room for so many bytes more than one takes at least."""
    folder = Path(place).absolute().parent
    if not folder.is_dir():
        fix = "make it, or choose another outbox"
        return Finding("disk", "fault", f"the folder {folder} does not exist", fix)
    as_whom = os.access in os.supports_effective_ids
    for path, name in ((folder, f"the folder {folder}"), (Path(place), place)):
        if path.exists() and not os.access(path, os.W_OK, effective_ids=as_whom):
            fix = "give yourself the right to, or choose another outbox"
            return Finding("disk", "fault", f"{name} cannot be written", fix)
    free = shutil.disk_usage(folder).free
    wanted = MIN_ROOM + room
    found = f"{free / 1e9:,.1f} GB are free in {folder}, {wanted / 1e9:,.1f} GB are wanted"
    if free < wanted:
        return Finding("disk", "fault", found, "make room, or choose an outbox on another drive")
    return Finding("disk", "ok", found)


def app_finding(token: str) -> Finding:
    """Whose token it is, by its form: nothing of the token itself is told."""
    if token.startswith("pit-"):
        return Finding("app", "ok", "the token is a private integration's")
    try:
        _, body, _ = token.split(".")
        claims = read_object(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        return Finding("app", "note", "the token's form does not tell which app it is of")
    meta = claims.get("oauthMeta")
    client = (meta.get("client") if isinstance(meta, dict) else None) or claims.get("sourceId")
    kind = claims.get("authClass") or "unknown"
    return Finding("app", "ok", f"the token is of app {client or 'unknown'}, for a {kind}")


def clock_finding(date: str | None, now: float) -> Finding:
    """How far this machine's clock (``now``, in Unix seconds) is from the API's ``Date``."""
    try:
        there = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return Finding("clock", "note", "the API sends no Date to compare this clock with")
    skew = now - there
    way = "ahead of" if skew > 0 else "behind"
    found = f"this machine's clock is {abs(skew):.0f} s {way} the API's"
    fix = "set the clock by NTP: messages without a date could not be recognised, and sent twice"
    if abs(skew) <= SKEW_S:
        return Finding("clock", "ok", found)
    return Finding("clock", "fault" if abs(skew) > MAX_SKEW_S else "warning", found, fix)


def scope_finding(probe: Probe, response: Response, *, by_handle: bool) -> Finding:
    """Whether the token has a scope, and whether it is the API that answers."""
    check = f"scope {probe.scope}"
    is_needed, found = probe.is_needed, f"cannot tell: {effects.words_of(response)}"
    fix = "try again; if it stays so, ask the API's support"
    is_refused = responses.is_refusal(response) and not responses.is_access_refused(response)
    if is_refused or responses.is_success(response):  # for its fields alone, or read
        try:
            probe.read(response.body)
        except ValueError as error:
            found = f"cannot tell: answered {response.status} with {error}"
            fix = "see that --base-url is right, and that no proxy answers in the API's place"
        else:
            return Finding(check, "ok", f"the token may {probe.used_for}")
    elif responses.lacks_scope(response):
        is_needed = is_needed and (by_handle or not probe.scope.startswith("contacts."))
        found = f"the token may not {probe.used_for}: {effects.words_of(response)}"
        fix = f"give the token {probe.scope}"
    return Finding(check, "fault" if is_needed else "warning", found, fix)


def quota_findings(response: Response, needs: Needs | None) -> Iterator[Finding]:
    """What the headers announce, and what is left of the day."""
    seen = responses.read_rate_limit_headers(response.headers)
    if seen == responses.SILENT or not seen.max:
        yield Finding("quota", "note", "the API announces no quota: the documented one is assumed")
    else:
        span = f"{(seen.interval_ms or 10_000) / 1000:g} s"
        daily = "" if seen.daily_limit is None else f", {seen.daily_limit:,} a day"
        yield Finding("quota", "ok", f"{seen.max:,} requests in {span}{daily}")
    left = seen.daily_remaining
    if left is None:
        return
    found = f"{left:,} requests are left of the day's quota"
    records = needs.records if needs else 0
    if left == 0:
        yield Finding("day", "fault", found, "wait for the next day, or see who uses it up")
    elif left < records:
        days = 1 + -(-(records - left) // max(seen.daily_limit or left, 1))
        fix = "plan for that: the same command goes on, and --wait waits"
        yield Finding("day", "warning", f"{found}: the import takes {days:,} days at least", fix)
    else:
        yield Finding("day", "ok", found)


def automations_finding(response: Response) -> Finding:
    """Which automations may answer what is imported."""
    names = published_workflows(response.body) if responses.is_success(response) else None
    fix = "pause those that answer inbound messages, and AI replies, in the account"
    if names is None:
        found = f"the account's automations cannot be listed ({response.status})"
        return Finding("automations", "note", found, f"give workflows.readonly, or look: {fix}")
    if not names:
        return Finding("automations", "ok", "no published workflow")
    listed = ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
    found = f"{len(names)} published workflows may answer what is imported: {listed}"
    return Finding("automations", "warning", found, fix)


def provider_findings(needs: Needs | None, token: str) -> Iterator[Finding]:
    """Whether what needs a conversation provider names one that this token may use."""
    for kind in sorted(needs.kinds if needs else ()):
        if kind.provider and token.startswith("pit-"):
            other = "takes its own OAuth token, most likely not this private integration's"
            fix = "try --canary, and give the app's token if that fails"
            yield Finding("provider", "warning", f"{kind.text}: the provider's app {other}", fix)
        elif kind.provider:
            found = f"{kind.text}: the API has no call that shows a provider's app and type"
            yield Finding("provider", "note", found, "--canary writes a message through it")
