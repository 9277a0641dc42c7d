"""Where requests go: which addresses are safe, and through which proxy."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def check_base_url(base_url: str) -> str:
    """Return the address without a trailing slash.

    Raises:
        ValueError: no http(s) address, or one that would carry the token in the clear.
    """
    parts = urlsplit(base_url)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not base_url.isprintable()
        or any(mark in base_url for mark in "?#@\\ ")
        or not _is_port(parts)
    ):
        raise ValueError("base_url must look like https://host")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("base_url must begin with https://: over http the token can be read")
    return base_url.rstrip("/")


def _is_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def proxy_from_environment(base_url: str) -> str | None:
    """``HTTPS_PROXY`` and ``NO_PROXY``, read once: aiohttp would read them for each request."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)
