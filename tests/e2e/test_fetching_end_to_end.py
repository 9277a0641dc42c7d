"""Attachments that are URLs, fetched while the records are staged."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from cli_harness import at, leadconnector, result_of

from leadconnector_async import LeadConnector, import_files
from leadconnector_async.sandbox import SandboxConfig, SandboxThread
from leadconnector_async.sources import SourceOptions
from leadconnector_async.transport.downloads import DownloadError, Downloads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from leadconnector_async.reports.summary import ImportSummary

LARGE = 5 << 20


class Files:
    """A server of files, which counts what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.gone = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Give what the path says."""
        name = request.match_info["name"]
        self.asked.append(name)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.gone or name == "gone.jpg":
            return web.Response(status=404)
        if name.startswith("to-"):
            target = {"to-file": "/b.pdf", "to-ftp": "ftp://a.example/x", "to-to": "/to-to"}[name]
            return web.Response(status=302, headers={"Location": target})
        if name == "page":
            return web.Response(text="<html>sign in", content_type="text/html")
        if name == "large.jpg":
            return web.Response(body=bytes(LARGE + 1))
        kinds = {"media": "image/png", "odd.heic": "image/heic"}
        return web.Response(body=name.encode(), content_type=kinds.get(name, "application/pdf"))


@asynccontextmanager
async def serving() -> AsyncIterator[Files]:
    """Serve files on this machine."""
    files = Files()
    app = web.Application()
    app.router.add_get("/{name}", files.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    files.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield files
    finally:
        await runner.cleanup()


def _written(path: Path, *urls: str) -> Path:
    rows = "".join(
        f"SMS,c{n},inbound,2024-03-01T10:{n // 60:02}:{n % 60:02}Z,hi,{url}\n"
        for n, url in enumerate(urls)
    )
    path.write_text(f"type,contactId,direction,date,message,attachments\n{rows}")
    return path


async def _imported(sandbox: SandboxThread, path: Path, *, private: bool = True) -> ImportSummary:
    async with LeadConnector(
        sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url
    ) as api:
        options = SourceOptions(fetch_attachments=True, fetch_private=private)
        return await import_files(api, [path], outbox=path.with_suffix(".db"), options=options)


async def test_files_are_fetched_once_and_sent_as_files(tmp_path: Path) -> None:
    """Redirects followed, types named; a URL that has expired since stops no second run."""
    async with serving() as files:
        with SandboxThread() as sandbox:
            names = ["a.pdf", "a.pdf", "to-file", "media", "odd.heic"]
            path = _written(tmp_path / "a.csv", *(f"{files.url}/{name}" for name in names))
            summary = await _imported(sandbox, path)
            assert (summary.sent, summary.failed) == (5, 0)
            assert sorted(files.asked) == ["a.pdf", "b.pdf", "media", "odd.heic", "to-file"]
            sent = [one.fields["attachments"][0] for one in sandbox.messages]
            assert not any(files.url in url for url in sent)
            assert {url.rpartition(".")[2] for url in sent} == {"pdf", "png", "zip"}
            files.gone = True
            again = await _imported(sandbox, path)
        assert (again.sent, again.failed, again.skipped) == (0, 0, 5)


async def test_what_was_sent_in_one_location_is_fetched_for_another(tmp_path: Path) -> None:
    """The file is gone with the first one's end; there it is known all the same."""
    async with serving() as files:
        path = _written(tmp_path / "a.csv", f"{files.url}/a.pdf")
        with SandboxThread(SandboxConfig(tokens={"one": "L1", "two": "L2"})) as sandbox:
            for token, location in (("one", "L1"), ("two", "L2"), ("one", "L1")):
                async with LeadConnector(token, location_id=location, base_url=sandbox.url) as api:
                    options = SourceOptions(fetch_attachments=True, fetch_private=True)
                    outbox = tmp_path / "a.db"
                    done = await import_files(api, [path], outbox=outbox, options=options)
                assert done.failed == 0
            assert len(sandbox.messages) == len(files.asked) == 2


async def test_what_was_fetched_for_a_line_that_is_refused_is_fetched_again(tmp_path: Path) -> None:
    """Once the line is mended: its file was removed at the end of the run, and nobody had it."""
    async with serving() as files:
        with SandboxThread() as sandbox:
            path = _written(tmp_path / "a.csv", f"{files.url}/a.pdf")
            good = path.read_text()
            path.write_text(good.replace("inbound", ""))
            assert (await _imported(sandbox, path)).failed == 1
            path.write_text(good)
            assert (await _imported(sandbox, path)).sent == 1
            assert files.asked == ["a.pdf", "a.pdf"]


async def test_what_cannot_be_fetched_fails_with_its_line(tmp_path: Path) -> None:
    """And the reason, which holds nothing of the URL; the others are sent."""
    async with serving() as files:
        with SandboxThread() as sandbox:
            names = ["a.pdf", "gone.jpg", "large.jpg", "page", "to-ftp", "to-to"]
            path = _written(tmp_path / "a.csv", *(f"{files.url}/{name}" for name in names))
            summary = await _imported(sandbox, path)
    assert (summary.sent, summary.failed) == (1, 5)
    told = {reason.lines[0].rpartition(":")[2]: reason.reason for reason in summary.by_reason}
    for line, why in {
        "3": "(the answer was 404)",
        "4": "(it is larger than the 5 MB that the API takes)",
        "5": "(a web page came, and no file)",
        "6": "(a redirect to another scheme than http and https)",
        "7": "(more than 5 redirects)",
    }.items():
        assert told[line].startswith(f"attachments item 1 could not be fetched {why}: put the file")
    assert files.url not in str(told)


@pytest.mark.slow
async def test_few_are_fetched_at_once(tmp_path: Path) -> None:
    """Whatever a batch holds."""
    async with serving() as files:
        with SandboxThread() as sandbox:
            urls = [f"{files.url}/{n}.pdf" for n in range(40)]
            assert (await _imported(sandbox, _written(tmp_path / "a.csv", *urls))).sent == 40
        assert files.most_at_once <= 4


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "0x7f.1", "10.0.0.1", "169.254.169.254"),
        *("192.168.1.1", "172.16.0.1", "100.64.0.1", "0.0.0.1", "224.0.0.1", "[fe80::1]"),
        *("[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fc00::1]"),
    ],
)
async def test_nothing_is_fetched_from_a_private_address(host: str) -> None:
    """However it is written, by a name or a number; and nothing is connected to."""
    async with Downloads() as downloads:
        with pytest.raises(DownloadError, match="is not a public one: give --fetch-private"):
            await downloads.fetch(f"http://{host}:9/a.jpg", 10)


def test_the_command_fetches_when_it_is_told_to(tmp_path: Path) -> None:
    """Not from this machine by itself, and never in a rehearsal."""
    path = _written(tmp_path / "a.csv", "http://127.0.0.1:9/a.jpg")
    assert leadconnector("validate", path, "--fetch-attachments").exit_code == 0
    with SandboxThread() as sandbox:
        run = ["import", path, *at(sandbox, tmp_path / "a.db"), "--json", "--fetch-attachments"]
        assert leadconnector(*run, "--dry-run").exit_code == 0
        found = leadconnector(*run)
        assert found.exit_code == 3
        (reason,) = result_of(found.stdout)["by_reason"]
        assert "its address is not a public one" in reason["reason"]
        assert [line.rpartition("/")[2] for line in reason["lines"]] == ["a.csv:2"]
        assert not sandbox.messages
