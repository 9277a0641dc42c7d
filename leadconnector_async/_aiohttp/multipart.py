"""A multipart body: texts, and a file that is read as it is sent."""

from __future__ import annotations

from contextlib import contextmanager
from mimetypes import guess_type
from typing import TYPE_CHECKING, Final

import aiohttp

from leadconnector_async._transport import FileUnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async._transport import Upload

SLOWEST: Final = 64 * 1024
"""Bytes a second that a file is given time for: a slow line has no more."""


def seconds_for(upload: Upload | None) -> float:
    """How much longer than other requests an upload may take."""
    if upload is None:
        return 0.0
    try:
        return upload.path.stat().st_size / SLOWEST
    except (OSError, ValueError):  # it is open, and so it was there
        return 0.0


@contextmanager
def form_of(upload: Upload) -> Iterator[aiohttp.FormData]:
    """The body of an upload, whose file is open as long as the context is.

    Raises:
        FileUnreadableError: the file cannot be opened.
    """
    try:
        file = upload.path.open("rb")
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or type(exc).__name__
        raise FileUnreadableError(f"the file cannot be read ({reason})") from exc
    with file:
        # Unquoted, as browsers send names: percent-encoded ones would be shown so.
        form = aiohttp.FormData(quote_fields=False)
        for name, value in upload.fields.items():
            form.add_field(name, value)
        name = "".join(char if char.isprintable() else "_" for char in upload.name)
        form.add_field(
            upload.field,
            file,
            filename=name,
            content_type=guess_type(name)[0] or "application/octet-stream",
        )
        yield form
