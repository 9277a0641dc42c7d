"""The import of files for programs without an event loop."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from os import PathLike
from ssl import SSLContext
from typing import Any, TypedDict, Unpack
from zoneinfo import ZoneInfo

from leadconnector_async.auth.provider import TokenProvider
from leadconnector_async.client import LeadConnector
from leadconnector_async.file_importer import import_files as import_in_loop
from leadconnector_async.observer import Telemetry
from leadconnector_async.policy import ContactMode, Policy
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.reports.progress import ImportProgress
from leadconnector_async.reports.statistics import Statistics
from leadconnector_async.reports.summary import ImportSummary
from leadconnector_async.sources import SourceOptions
from leadconnector_async.transport.aiohttp_session import Timeouts

__all__ = ["ClientOptions", "Options", "import_files"]


class ClientOptions(TypedDict, total=False):
    """What `LeadConnector` takes, but for a session; ``rate_limit`` is its ``limit``."""

    location_id: str | None
    base_url: str
    rate_limit: RateLimit | None
    limits: Mapping[str, RateLimit | None]
    policy: Policy
    timeouts: Timeouts
    connections: int
    proxy: str | None
    ssl: SSLContext | None
    ca_file: str | PathLike[str] | None
    user_agent: str | None
    telemetry: Telemetry | None
    version: str | None


class Options(ClientOptions, total=False):
    """The same, and what `leadconnector_async.import_files` takes."""

    mapping: Mapping[str, str] | str | PathLike[str] | None
    timezone: ZoneInfo | str | None
    region: str | None
    mine: Iterable[str] | None
    contacts: ContactMode | None
    provider: str | None
    people: str | PathLike[str] | None
    options: SourceOptions
    source_api: LeadConnector | None
    limit: int | None
    limit_conversations: int | None
    since: str | date | None
    until: str | date | None
    only: Iterable[str]
    run_for: float | None
    share: float | None
    mark_read: bool | None
    concurrency: int | None
    on_progress: Callable[[ImportProgress], object] | None
    every: float
    on_stats: Callable[[Statistics], object] | None
    stats_every: float


def import_files(
    token: str | TokenProvider | LeadConnector,
    sources: Iterable[str | PathLike[str]],
    *,
    outbox: str | PathLike[str],
    **options: Unpack[Options],
) -> ImportSummary:
    """Import files, and return when it is done: `leadconnector_async.import_files` in its own loop.

    In the main thread, Ctrl-C and SIGTERM end it as they end the command: the first finishes what
    is in flight, the second stops at once. The same call again goes on.

    Args:
        token: a private integration token, or a provider of tokens; or the client itself, which is
            closed at the end, and has its options already.
        sources: paths of files, folders or zip archives.
        outbox: path of the file that keeps what became of each record, or the URL of a database.
        options: what `LeadConnector` and `leadconnector_async.import_files` take. The quota to
            assume is ``rate_limit`` here, since ``limit`` is the number of messages to send.

    Returns:
        The counts, as `leadconnector_async.import_files` does.

    Raises:
        RuntimeError: an event loop runs in this thread: await `leadconnector_async.import_files`.
        KeyboardInterrupt: a signal ended it; what was sent is written down.
        TypeError: an option is unknown, or is for a client that is there already.
        LeadConnectorError: see `leadconnector_async.import_files`.

    Example:
        >>> summary = import_files(
        ...     token, ["history.csv"], outbox="import.db", location_id="ve9EPM428h8vShlRW1KT"
        ... )
        >>> print(summary.sent, summary.failed, summary.by_reason)
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("a loop runs here: await leadconnector_async.import_files(api, …)")
    rest: dict[str, Any] = {**options}
    own = {name: rest.pop(name) for name in ClientOptions.__optional_keys__ & rest.keys()}
    summary = asyncio.run(_import(token, own, sources, outbox=outbox, **rest))
    if summary.ended == "interrupted":
        raise KeyboardInterrupt
    return summary


async def _import(
    token: str | TokenProvider | LeadConnector,
    own: dict[str, Any],
    sources: Iterable[str | PathLike[str]],
    **rest: Any,  # noqa: ANN401 - as `import_files` has checked them
) -> ImportSummary:
    if "rate_limit" in own:
        own["limit"] = own.pop("rate_limit")
    if not isinstance(token, LeadConnector):
        token = LeadConnector(token, **own)
    elif own:
        raise TypeError(f"{', '.join(sorted(own))}: give it to the client, which is there already")
    in_main = threading.current_thread() is threading.main_thread()
    async with token as api:
        return await import_in_loop(api, sources, handle_signals=in_main, **rest)
