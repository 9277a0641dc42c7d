"""Attachments that records name by URL, fetched while the records are staged: URLs may expire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from leadconnector_async.models import Problem
from leadconnector_async.sources import Identity
from leadconnector_async.sources.attachments import Attachments, are_remote, largest, named_for
from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.members import Beside
from leadconnector_async.sources.spool import Spool
from leadconnector_async.transport.downloads import DownloadError, Downloads

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async.sources import Parsed, SourceOptions
    from leadconnector_async.transport.url import Network

    Fetched = list[str] | WrongValueError

_FIX: Final = "put the file beside the source and name it, or take it out of the list"


_KEPT: Final = "attachments that could not be fetched: their URLs are sent as they are"


class AttachmentFetcher:
    """Puts the files themselves in place of URLs. ``is_stopped`` tells when to begin no more.

    What a URL gave is kept beside the outbox, so that the next run needs it no more.
    """

    def __init__(
        self, options: SourceOptions, network: Network, is_stopped: Callable[[], bool]
    ) -> None:
        self._files = Attachments(options, Beside())
        self._spool = Spool(options.spool)
        self._downloads = Downloads(private=options.fetch_private, network=network)
        self._is_stopped = is_stopped
        self._tasks: dict[tuple[str, int], asyncio.Task[Fetched]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._downloads.__aexit__()

    async def filled(self, batch: list[Parsed], *, strict: bool = True) -> list[Parsed]:
        """Give the same records, or those that lack a file with what is wrong with them.

        Unless it is ``strict``, they keep the URLs, and say so.

        Raises:
            SourceError: a file cannot be kept.
        """
        self._tasks.clear()
        return await asyncio.gather(*(self._filled(parsed, strict) for parsed in batch))

    async def _filled(self, parsed: Parsed, strict: bool) -> Parsed:  # noqa: FBT001 - as above
        row = parsed.row
        if row is None or not row.attachments:
            return parsed
        found: list[str] = []
        told: list[str] = []
        for number, item in enumerate(row.attachments, 1):
            if not are_remote([item]):
                found.append(item)
                continue
            key = item, largest(row.type)
            if key not in self._tasks:
                self._tasks[key] = asyncio.create_task(self._fetched(item, row.type, told.append))
            kept = await self._tasks[key]
            if isinstance(kept, WrongValueError) and not strict:
                told.append(_KEPT)
                found.append(item)
                continue
            if isinstance(kept, WrongValueError):
                problem = Problem("attachments", f"item {number} {kept.wrong}", kept.fix)
                said = Identity(row.id, row.location_id, row.outbox_key)
                return parsed._replace(row=None, problems=(problem,), identity=said)
            found += kept
        row.attachments = found or None
        return parsed._replace(notices=(*parsed.notices, *told)) if told else parsed

    async def _fetched(self, url: str, type_: str, warn: Callable[[str], None]) -> Fetched:
        if (known := self._spool.of_url(url)) is not None:
            return [known]
        if self._is_stopped():
            return WrongValueError("was not fetched: the import was stopped", "import it again")
        try:
            came = await self._downloads.fetch(url, largest(type_))
        except DownloadError as error:
            return WrongValueError(f"could not be fetched ({error})", _FIX)
        file = named_for(came.name, came.kind, came.content, warn)
        kept = self._files.keep([file] if file else [], type_, warn)
        if not isinstance(kept, WrongValueError) and kept:
            self._spool.note_url(url, kept[0])
        return kept
