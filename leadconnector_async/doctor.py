"""What is to be known before the first real import: each finding names its fix.

Nothing here changes anything, in the account or on disk.
"""

import asyncio
import os
import shutil
import sqlite3
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, convert
from msgspec.structs import replace

from leadconnector_async.api import effects, responses
from leadconnector_async.api.endpoints import Probe, list_workflows, probes
from leadconnector_async.api.listings import published_workflows, read_object
from leadconnector_async.client import LeadConnector
from leadconnector_async.data_files import read_toml
from leadconnector_async.errors import DailyQuotaSpentError, LeadConnectorError, OutboxError
from leadconnector_async.outbox.open import exists, is_url, rehearsal, server_of, shown_place
from leadconnector_async.records.deferred import Deferred, read_deferred
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


_FINDINGS: Final = convert(read_toml(__package__, "doctor"), dict[str, Finding])


def finding(name: str, **facts: object) -> Finding:
    """What the doctor's file has under a name, with facts where their names stand in braces."""
    said = _FINDINGS[name]
    texts = {part: getattr(said, part) for part in ("check", "found", "fix")}
    return replace(said, **{part: of and of.format_map(facts) for part, of in texts.items()})


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
        found += [one async for one in _outbox(outbox, destination, sources)]
    if sources is not None:
        found += _sources(sources.needs, locations)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def account(location: str) -> list[Finding]:
        own = None if sources is None else sources.needs.get(location, Needs())
        async with gate:
            seen = [one async for one in _asked(api, location, own)]
        return [replace(one, location=location) for one in seen]

    return sum(await asyncio.gather(*map(account, locations)), found)


async def _outbox(place: str, destination: str, sources: AllNeeds | None) -> AsyncIterator[Finding]:
    shown = shown_place(place)
    try:
        if is_url(place):
            yield finding("postgresql", version=await server_of(place), place=shown)
        else:
            yield room_finding(place, sources.room if sources else 0)
        async with rehearsal(place) as outbox:
            await outbox.dedicate(destination, name=shown)
        yield finding("outbox", place=shown, done="used" if exists(place) else "made")
    except OutboxError as error:
        yield finding("outbox_fault", error=error)


def _sources(needs: Mapping[str, Needs], locations: Sequence[str]) -> Iterator[Finding]:
    used = set[Kind]().union(*(of.kinds for of in needs.values()))
    records = sum(of.records for of in needs.values())
    if not used:
        yield finding("no_sources")
        return
    yield finding("sources", records=records, kinds=", ".join(kind.text for kind in sorted(used)))
    if wrong := sum(of.wrong for of in needs.values()):
        yield finding("wrong_records", wrong=wrong, records=records)
    for name in sorted({name for name, of in needs.items() if of.kinds} - {*locations}):
        yield finding("other_location", records=needs[name].records, location=name)


async def _asked(api: LeadConnector, location: str, needs: Needs | None) -> AsyncIterator[Finding]:
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
                    said = effects.words_of(response)
                    yield finding("token_refused", location=location, said=said)
                    return
            answer = responses.classify(response.status, response.body)
            is_spent = api.session.quota(location).day.spent
            if not (is_spent and isinstance(answer, responses.Throttled)):
                yield scope_finding(probe, response, by_handle=needs is None or needs.by_handle > 0)
        listed = await api.exchange(location, list_workflows(location))
        others = automations_finding(listed), *provider_findings(needs, token)
        for one in (*quota_findings(response, needs), *others):
            yield one
    except DailyQuotaSpentError:
        yield finding("day_spent", left=0)
    except LeadConnectorError as error:
        is_refused = getattr(error, "status", None) in (401, 403)
        yield finding("api_refused" if is_refused else "api_fault", error=error)


def sqlite_finding(version: tuple[int, ...]) -> Finding:
    """Name the fault of SQLite's that a file may meet."""
    shown, line = f"SQLite {'.'.join(map(str, version[:3]))}", version[:2]
    is_sound = line > max(REPAIRED) or (line in REPAIRED and version[2] >= REPAIRED[line])
    return finding("sqlite" if is_sound else "sqlite_fault", release=shown)


def room_finding(place: str, room: int) -> Finding:
    """Whether the outbox's drive has room for so many bytes more than one takes at least."""
    folder = Path(place).absolute().parent
    if not folder.is_dir():
        return finding("no_folder", folder=folder)
    as_whom = os.access in os.supports_effective_ids
    for path, name in ((folder, f"the folder {folder}"), (Path(place), place)):
        if path.exists() and not os.access(path, os.W_OK, effective_ids=as_whom):
            return finding("no_right", what=name)
    free, wanted = shutil.disk_usage(folder).free, MIN_ROOM + room
    said = "no_room" if free < wanted else "room"
    return finding(said, free=free / 1e9, folder=folder, wanted=wanted / 1e9)


def app_finding(token: str) -> Finding:
    """Whose token it is, by its form: nothing of the token itself is told."""
    if token.startswith("pit-"):
        return finding("integration")
    try:
        _, body, _ = token.split(".")
        claims = read_object(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        return finding("unknown_token")
    meta = claims.get("oauthMeta")
    client = (meta.get("client") if isinstance(meta, dict) else None) or claims.get("sourceId")
    return finding("app", app=client or "unknown", kind=claims.get("authClass") or "unknown")


def clock_finding(date: str | None, now: float) -> Finding:
    """How far this machine's clock (``now``, in Unix seconds) is from the API's ``Date``."""
    try:
        there = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return finding("no_date")
    skew = now - there
    way = "ahead of" if skew > 0 else "behind"
    seen = finding("clock" if abs(skew) <= SKEW_S else "clock_off", skew=abs(skew), way=way)
    return replace(seen, state="fault") if abs(skew) > MAX_SKEW_S else seen


def scope_finding(probe: Probe, response: Response, *, by_handle: bool) -> Finding:
    """Whether the token has a scope, and whether it is the API that answers."""
    about, said = {"scope": probe.scope, "used_for": probe.used_for}, effects.words_of(response)
    is_needed, seen = probe.is_needed, finding("scope_unknown", **about, said=said)
    is_refused = responses.is_refusal(response) and not responses.is_access_refused(response)
    if is_refused or responses.is_success(response):  # for its fields alone, or read
        try:
            probe.read(response.body)
        except ValueError as error:
            seen = finding("scope_unread", **about, status=response.status, what=error)
        else:
            return finding("scope", **about)
    elif responses.lacks_scope(response):
        is_needed = is_needed and (by_handle or not probe.scope.startswith("contacts."))
        seen = finding("no_scope", **about, said=said)
    return seen if is_needed else replace(seen, state="warning")


def quota_findings(response: Response, needs: Needs | None) -> Iterator[Finding]:
    """What the headers announce, and what is left of the day."""
    seen = responses.read_rate_limit_headers(response.headers)
    if seen == responses.SILENT or not seen.max:
        yield finding("no_quota")
    else:
        daily = "" if seen.daily_limit is None else f", {seen.daily_limit:,} a day"
        yield finding("quota", most=seen.max, span=(seen.interval_ms or 10_000) / 1000, daily=daily)
    left = seen.daily_remaining
    if left is None:
        return
    records = needs.records if needs else 0
    if left == 0:
        yield finding("day_spent", left=left)
    elif left < records:
        days = 1 + -(-(records - left) // max(seen.daily_limit or left, 1))
        yield finding("several_days", left=left, days=days)
    else:
        yield finding("day", left=left)


def automations_finding(response: Response) -> Finding:
    """Which automations may answer what is imported."""
    names = published_workflows(response.body) if responses.is_success(response) else None
    if names is None:
        return finding("unknown_automations", status=response.status)
    if not names:
        return finding("no_automations")
    listed = ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
    return finding("automations", count=len(names), listed=listed)


def provider_findings(needs: Needs | None, token: str) -> Iterator[Finding]:
    """Whether what needs a conversation provider names one that this token may use."""
    for kind in sorted(needs.kinds if needs else ()):
        if kind.provider:
            yield finding("other_app" if token.startswith("pit-") else "provider", kind=kind.text)
