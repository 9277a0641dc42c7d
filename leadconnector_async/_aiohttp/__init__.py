"""The adapter over aiohttp: alone in importing it, beside the sandbox."""

from __future__ import annotations

from leadconnector_async._aiohttp.address import check_base_url
from leadconnector_async._aiohttp.transport import AiohttpTransport, Timeouts

__all__ = ["AiohttpTransport", "Timeouts", "check_base_url"]
