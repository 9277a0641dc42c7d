from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
import site_pages
from docs_page import blocks

import leadconnector_async
from leadconnector_async import LeadConnectorError

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = sorted(DOCS.glob("*.md"))
WRITTEN: Final = [*PAGES, *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY"))]
TESTS: Final = re.compile(r"`(tests/[\w/.]+?)(?:::(\w+))?`")
MARKS: Final = {"spec", "reported", "unknown"}


def rows(page: str, after: str = "") -> list[list[str]]:
    """The cells of each row of a page's tables, behind a heading, without the tables' heads."""
    text = (DOCS / page).read_text("utf-8").partition(after)[2] if after else ""
    text = text or (DOCS / page).read_text("utf-8")
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        found += [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in table.splitlines()[2:]
        ]
    return found


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file of the repository, and to a heading of it: in the repository as on the site."""
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]+))?\)", page.read_text()):
        file = page.parent / target if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
            assert anchor in slugs, f"{page.name}: {target}#{anchor}"


def test_every_page_has_its_place_on_the_site() -> None:
    """Each page of the docs, and each that is written from the code, once in the site's order."""
    listed = re.findall(r'"([\w./-]+\.md)"', (ROOT / "zensical.toml").read_text("utf-8"))
    made = {"changes.md", "recipes.md", "reference/command.md"}
    made |= {f"reference/{name.rpartition('.')[2]}.md" for name in site_pages.MODULES}
    assert sorted(listed) == sorted(made | {page.name for page in PAGES})


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    """A promise whose test was renamed is a promise that nobody can check."""
    for path, name in TESTS.findall(page.read_text("utf-8")):
        assert (ROOT / path).exists(), f"{page.name}: {path}"
        if name:
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{page.name}: {name}"


def test_every_claim_of_the_comparison_names_its_test() -> None:
    """One row, one claim, at least one test."""
    claims = rows("compared.md")
    assert len(claims) > 15
    for claim, *_, shown_by in claims:
        assert re.fullmatch(r"\[(test_\w+)\]\(\.\./tests/[\w/]+/\1\.py\)", shown_by), claim


def test_every_statement_on_the_api_says_how_it_is_known() -> None:
    """By the specification, by reports, or not."""
    statements = rows("the-api.md", "## Every request")
    assert len(statements) > 80
    for cells in statements:
        assert len([cell for cell in cells if cell in MARKS]) == 1, cells
    assert {cell for cells in statements for cell in cells} > MARKS


def test_every_exception_has_its_cause_and_its_fix() -> None:
    """Each public one, in a row of its own, by its name."""
    raised = {
        name
        for name in leadconnector_async.__all__
        if isinstance(kind := getattr(leadconnector_async, name), type)
        and issubclass(kind, LeadConnectorError)
    }
    said = [row[0].strip("`") for row in rows("errors.md") if row[0].endswith("Error`")]
    assert sorted(said) == sorted(raised)


def test_the_reference_has_each_command_and_each_of_its_options() -> None:
    """Written from the command itself, so that nothing is missing from it."""
    page = site_pages.command_page()
    for words in ("## import\n", "## outbox move\n", "| `--outbox FILE|URL` |"):
        assert words in page
    assert "[LEADCONNECTOR_BASE_URL]" in page


def test_the_reference_has_each_public_name() -> None:
    """Errors are on the page of errors."""
    page = site_pages.names_page("leadconnector_async", "Names")
    for name in leadconnector_async.__all__:
        there = f"\n::: leadconnector_async.{name}\n" in page
        assert there != name.endswith("Error")


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    """A page, an anchor, a picture, and what would be loaded from elsewhere."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/index.html").write_text('<h1 id="top"></h1><a href="../#end">x</a>')
    (tmp_path / "index.html").write_text(
        '<a href="a/#top">y</a><a href="a/#no">n</a><a href="b/">n</a><a href="https://x.test">y</a>'
        '<img src="none.svg"><script src="https://x.test/a.js"></script>'
    )
    assert sorted(site_pages.broken_links(tmp_path)) == [
        "a/index.html leads to ../#end",
        "index.html leads to a/#no",
        "index.html leads to b/",
        "index.html leads to none.svg",
        "index.html loads https://x.test/a.js",
    ]


TOML: Final = [
    (page.name, text) for page in PAGES for _, text in blocks(page, "toml") if "…" not in text
]


@pytest.mark.parametrize(
    ("page", "text"), TOML, ids=[f"{name}-{n}" for n, (name, _) in enumerate(TOML)]
)
def test_blocks_of_toml_are_toml(page: str, text: str) -> None:
    """Locations, mappings, entry points: each can be copied out."""
    assert tomllib.loads(text), page
