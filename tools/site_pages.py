"""The documentation site: ``python tools/site_pages.py`` lays its pages together and builds them.

Pages are those of ``docs``, and what the code says by itself: the command with its options, the
public names with their docstrings, the recipes. Warnings are errors, and so is a link that leads
nowhere in what was built. The order of the pages is in ``zensical.toml``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = ROOT / "build/site/docs"
SOURCE: Final = ROOT / "build/site/source"
BUILT: Final = ROOT / "build/site/html"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BLOB: Final = f"{PROJECT['urls']['Repository']}/blob/main/"
MODULES: Final = {
    "leadconnector_async": "What programs import",
    "leadconnector_async.sources": "Sources",
    "leadconnector_async.sandbox": "The sandbox",
    "leadconnector_async.sync": "Without an event loop",
}
WITHIN: Final = {
    "LeadConnector": "answered|ask|closed|exchange|location_of|pause|policy|random|run|session",
    "OAuth": "attach_transport|detach_transport",
}
"""Members of public classes that the library's own modules use, and nobody else needs."""
_LINK: Final = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_the_forge(page: Path, folder: Path) -> str:
    """A page, whose links to what is no page of the site lead into the repository instead."""

    def leads(match: re.Match[str]) -> str:
        target = folder / match[1]
        if target.is_file() and target.resolve().is_relative_to(ROOT / "docs"):
            return match[0]
        return BLOB + os.path.relpath(target, ROOT)

    return _LINK.sub(leads, page.read_text("utf-8"))


def _option_rows(command: click.Command, context: click.Context) -> Iterator[str]:
    for param in command.params:
        record = param.get_help_record(context)
        if isinstance(param, click.Option) and record is not None:
            names, text = record
            text = text.replace("|", "\\|").replace("[env var: ", "[")
            yield f"| `{names}` | {text} |"


def _command(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, parent, f"leadconnector {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## {name}\n\n```text\nleadconnector {name} {usage}\n```\n"
    yield re.sub(r"\n[ ]+", "\n", command.help or "").replace("\b\n", "") + "\n"
    if rows := list(_option_rows(command, context)):
        yield "| option | [environment variable] |\n|---|---|"
        yield from rows
        yield ""
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            if found := command.get_command(context, part):
                yield from _command(f"{name} {part}", found, context)


def command_page() -> str:
    """Every command with its options, as the command itself knows them."""
    from leadconnector_async.cli.app import app  # noqa: PLC0415 - tests of the links do without

    lines = ["# Every option of the command\n", f"{app.epilog}\n"]
    context = click.Context(app, **app.context_settings)
    for name in app.list_commands(context):
        if command := app.get_command(context, name):
            lines += _command(name, command, context)
    return "\n".join(lines)


def names_page(module: str, title: str) -> str:
    """The public names of a module by their docstrings; errors have a page of their own."""
    named = [name for name in import_module(module).__all__ if not name.endswith("Error")]
    shown = (f"::: {module}.{name}\n{_filters(name)}" for name in named)
    return "\n\n".join([f"# {title}", f"`from {module} import …`", *shown])


def _filters(name: str) -> str:
    return f"    options: {{filters: ['!^_', '!^({WITHIN[name]})$']}}\n" if name in WITHIN else ""


def errors_page() -> str:
    """The page of errors, and what each exception says of itself."""
    named = [
        name for name in import_module("leadconnector_async").__all__ if name.endswith("Error")
    ]
    page = on_the_forge(ROOT / "docs/errors.md", ROOT / "docs")
    shown = (f"::: leadconnector_async.{name}\n    options: {{heading_level: 3}}" for name in named)
    return "\n\n".join([page, "## The classes", *shown])


def recipes_page() -> str:
    """Each recipe as it stands in its file, which the tests run."""
    parts = ["# Recipes", "Each is a file that the tests run with its framework and the sandbox."]
    for path in sorted((ROOT / "docs/recipes").glob("*.*")):
        if path.suffix not in (".py", ".ipynb"):
            continue
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            cells = (("".join(cell["source"]), cell) for cell in json.loads(text)["cells"])
            text = "\n\n".join(f"# {kind['cell_type']}\n{source}" for source, kind in cells)
        parts += [f"## {path.name}", f"```python\n{text.rstrip()}\n```"]
    return "\n\n".join(parts)


def copy_source() -> None:
    """Copy the package for the reference, whose parser knows sections of examples by the plural."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for module in (ROOT / "leadconnector_async").rglob("*.py"):
        copy = SOURCE / module.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = module.read_text("utf-8")
        copy.write_text(
            re.sub(r"^( +)Example:$", r"\1Examples:", text, flags=re.MULTILINE), "utf-8"
        )


def lay_together() -> None:
    """Copy the pages of ``docs`` and write those that the code gives."""
    copy_source()
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES)
    for page in (ROOT / "docs").rglob("*.md"):
        text = on_the_forge(page, page.parent)
        (PAGES / page.relative_to(ROOT / "docs")).write_text(text, "utf-8")
    changes = on_the_forge(ROOT / "CHANGELOG.md", ROOT).replace("](docs/", "](")
    (PAGES / "changes.md").write_text(changes, "utf-8")
    (PAGES / "errors.md").write_text(errors_page(), "utf-8")
    (PAGES / "recipes.md").write_text(recipes_page(), "utf-8")
    (PAGES / "reference").mkdir()
    (PAGES / "reference/command.md").write_text(command_page(), "utf-8")
    for module, title in MODULES.items():
        page = PAGES / f"reference/{module.rpartition('.')[2]}.md"
        page.write_text(names_page(module, title), "utf-8")


class _Page(HTMLParser):
    """The anchors of a page, and where it leads and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {""}
        self.leads: set[str] = set()
        self.loads: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag's ``id``, ``href`` and ``src``."""
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        target = given.get("href" if tag in {"a", "link"} else "src")
        if target is not None:
            (self.leads if tag == "a" or given.get("rel") == "canonical" else self.loads).add(
                target
            )


def broken_links(built: Path) -> list[str]:
    """Each link within a built site that leads nowhere, and all that it loads from elsewhere."""
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(built.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # it is served at any address
        here = path.relative_to(built)
        for target in sorted(page.leads | page.loads):
            if urlsplit(target).scheme or target.startswith("//"):
                if target in page.loads and not target.startswith("data:"):
                    found.append(f"{here} loads {target}")
                continue
            address, anchor = urldefrag(urljoin(f"/{here.as_posix()}", target))
            file = built / unquote(urlsplit(address).path).lstrip("/")
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file() or (file in pages and unquote(anchor) not in pages[file].anchors):
                found.append(f"{here} leads to {target}")
    return found


def main() -> None:
    """Build the site. Ends with status 1 at a warning, and where a link leads nowhere."""
    lay_together()
    shutil.rmtree(BUILT, ignore_errors=True)
    done = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict", "--clean"],
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        sys.exit("The site was not built.")
    if found := broken_links(BUILT):
        sys.exit("\n".join(found))
    print(f"{BUILT}: {sum(1 for _ in BUILT.rglob('*.html'))} pages, every link leads somewhere")


if __name__ == "__main__":
    main()
