"""The project's checks, each as a session: ``nox -l`` lists them, ``nox -s types`` runs one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import nox

nox.options.sessions = ["lint", "types", "fast"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PROJECT: Final = nox.project.load_toml("pyproject.toml")
EXERCISE: Final = """
import leadconnector_async as package
print(package.__version__, len([getattr(package, name) for name in package.__all__]), "names")
"""


def group(name: str) -> list[str]:
    """The requirements of one of the project's dependency groups."""
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run every test."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-q", "-n", "2", *session.posargs)


@nox.session(python=PYTHONS)
def fast(session: nox.Session) -> None:
    """Run all tests but the slow ones."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-q", "-n", "2", "-m", "not slow", *session.posargs)


@nox.session(python="3.12")
def lowest_versions(session: nox.Session) -> None:
    """Run the tests with the lowest versions of direct dependencies that are allowed."""
    constraints = Path(session.env_dir) / "lowest.txt"
    constraints.write_text(str(session.run_install("python", "tools/lowest.py", silent=True)))
    session.install("--constraint", str(constraints), ".[test]")
    session.run("python", "-m", "pytest", "-q", "-n", "2", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build and check both distributions; import the wheel where nothing else is installed."""
    folder = Path(session.create_tmp()) / "dist"
    session.install(*group("release"))
    session.run("python", "tools/release.py", "--try", str(folder))
    fresh = Path(session.create_tmp()) / "fresh"
    session.run("python", "-m", "venv", "--clear", str(fresh))
    bin_ = fresh / "bin"
    wheel = next(folder.glob("*.whl"))
    session.run(str(bin_ / "pip"), "install", "-q", str(wheel), external=True)
    session.run(str(bin_ / "python"), "-I", "-c", EXERCISE, external=True)
    for command in ("leadconnector", "leadconnector-async"):  # without the extra that it needs
        session.run(str(bin_ / command), external=True, success_codes=[1])
    session.run(str(bin_ / "pip"), "install", "-q", f"{wheel}[cli]", external=True)
    session.run(str(bin_ / "leadconnector-async"), "--version", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and layers."""
    session.install(".", *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install(".[test]", *group("lint"))
    session.run("mypy")
    session.run("pyright", "--verifytypes", "leadconnector_async", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """Run what the documentation says: its commands, its code, its names."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-q", "-k", "docs", "tests/e2e", *session.posargs)


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation site, with warnings and links that lead nowhere as errors."""
    session.install("-e", ".[all]", *group("docs"))
    session.run("python", "tools/site_pages.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, beside the peers: ``nox -s bench -- throughput``."""
    session.install(".[all]", *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)
