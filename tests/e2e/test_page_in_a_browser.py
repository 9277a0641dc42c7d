"""The page for clients in a real Chromium, if there is one: at two widths, dark, on paper."""

from __future__ import annotations

import base64
import shutil
import subprocess
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cli_harness import leadconnector, sms, wait_until, write_jsonl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--no-first-run", "--disable-sync", "--remote-debugging-port=0"),
)
MEASURED = """({
    wide: document.documentElement.scrollWidth,
    captions: [...document.querySelectorAll("figcaption")].filter(
        (one) => one.scrollWidth > one.clientWidth || one.closest(".wide")).length,
    paper: getComputedStyle(document.documentElement).backgroundColor,
    names: [...document.querySelectorAll(".many tbody th")].every((name) => {
        name.closest(".wide").scrollLeft = 200;
        return name.getBoundingClientRect().left >= 0;
    }),
})"""

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]


class Tab:
    """A page in the browser, which is asked by its own protocol: scripts are not let in."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.requested: list[str] = []

    async def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method, and note what is requested until it answers."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (told := await self._socket.receive_json()).get("id") != number:
            self._note(told)
        result: dict[str, Any] = told["result"]
        return result

    async def open(self, url: str) -> None:
        """Load a page to its end."""
        for domain in ("Network", "Page"):
            await self.ask(f"{domain}.enable")
        await self.ask("Page.navigate", url=url)
        while (told := await self._socket.receive_json()).get("method") != "Page.loadEventFired":
            self._note(told)

    async def measured(self, width: int, scheme: str) -> dict[str, Any]:
        """Its sizes and colors in a window of so many pixels."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": True}
        await self.ask("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.ask("Emulation.setEmulatedMedia", media="screen", features=[feature])
        found = await self.ask("Runtime.evaluate", expression=MEASURED, returnByValue=True)
        value: dict[str, Any] = found["result"]["value"]
        return value

    def _note(self, told: dict[str, Any]) -> None:
        if told.get("method") == "Network.requestWillBeSent":
            self.requested.append(told["params"]["request"]["url"])


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    """A browser with one tab, which does not outlive the block."""
    words = [str(CHROMIUM), *SWITCHES, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:  # noqa: ASYNC220 - brief
        try:
            where = profile / "DevToolsActivePort"
            wait_until(lambda: where.exists() and where.read_text().count("\n") > 0)
            port = where.read_text().split("\n")[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    tabs = await answer.json()
                url = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    yield Tab(socket)
        finally:
            process.kill()


@pytest.mark.slow
async def test_the_page_fits_its_window_and_asks_for_nothing(tmp_path: Path) -> None:
    """Captions are whole, names of rows stay in view beside wide tables, and paper is white."""
    odd = [sms(n, type="Live_Chat", id=f"w{n}") for n in range(5)]
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(1), sms(2, message=""), *odd])
    leadconnector("import", history, "--sandbox", "--outbox", tmp_path / "o.db")
    html = tmp_path / "r.html"
    leadconnector("report", "--outbox", tmp_path / "o.db", "--html", html, "--title", "A client")
    async with browser(tmp_path / "profile") as tab:
        await tab.open(html.as_uri())
        for width in (400, 1200):
            for scheme, paper in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(18, 22, 29)")):
                assert await tab.measured(width, scheme) == {
                    "wide": width,
                    "captions": 0,
                    "paper": paper,
                    "names": True,
                }
        printed = await tab.ask("Page.printToPDF", printBackground=True)
        assert base64.b64decode(printed["data"]).startswith(b"%PDF")
        assert tab.requested == [html.as_uri()]
