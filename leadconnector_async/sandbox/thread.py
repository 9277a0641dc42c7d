"""The sandbox in a thread and a loop of its own, for code that has no loop, or a busy one."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

from leadconnector_async.sandbox.server import Sandbox, SandboxBase

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    from leadconnector_async.sandbox.config import SandboxConfig

_PATIENCE = 10.0
"""Seconds to wait for the thread to start, to stop, or to do what it is asked for."""


class SandboxThread(SandboxBase):
    """The same as `Sandbox`, used without ``async``.

    ::

        with SandboxThread() as sandbox:
            ...  # sandbox.url, sandbox.messages
    """

    def __init__(
        self, config: SandboxConfig | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._sandbox = Sandbox(config, host=host, port=port)
        self.state = self._sandbox.state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="leadconnector-sandbox", daemon=True)

    def __repr__(self) -> str:
        return f"SandboxThread({self._sandbox!r})"

    def start(self) -> None:
        """Start the thread, and wait until the port is open.

        Raises:
            OSError: the port cannot be opened.
        """
        self._thread.start()
        if not self._ready.wait(_PATIENCE):
            raise TimeoutError("the sandbox did not start")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Close the port and end the thread."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def go_down(self) -> None:
        """Close the port and every connection."""
        self._do(self._sandbox.go_down())

    def come_up(self) -> None:
        """Open the port again."""
        self._do(self._sandbox.come_up())

    def _do(self, work: Coroutine[object, object, None]) -> None:
        if self._loop is None:
            work.close()
            raise RuntimeError("the sandbox is not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except OSError as exc:
            self._failure = exc
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._sandbox:
            self._ready.set()
            await self._stop.wait()
