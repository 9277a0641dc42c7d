"""The headers of a request, made once for all requests that share them."""

from __future__ import annotations

from typing import Final

from multidict import CIMultiDict

MOST_TOKENS: Final = 4096


class Headers:
    """Remembers the headers by version, token and content type."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, str | None], CIMultiDict[str]] = {}

    def of(self, version: str, token: str, content_type: str | None) -> CIMultiDict[str]:
        """The headers of a request, less those that its body's size and the host decide."""
        key = version, token, content_type
        headers = self._made.get(key)
        if headers is None:
            if len(self._made) >= MOST_TOKENS:  # tokens rotate: forget the old ones
                self._made.clear()
            headers = self._made[key] = _make(*key)
        return headers


def _make(version: str, token: str, content_type: str | None) -> CIMultiDict[str]:
    headers = CIMultiDict({"Authorization": f"Bearer {token}"} if token else {})
    headers["Version"] = version
    if content_type:
        headers["Content-Type"] = content_type
    headers["Accept"] = "application/json"
    headers["Accept-Encoding"] = "identity"
    headers["User-Agent"] = "leadconnector-async"
    return headers
