"""The project's checks, each as a session: ``nox -l`` lists them, ``nox -s types`` runs one."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "types", "fast"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


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


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and layers."""
    session.install(".[lint]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install(".[test,lint]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Run what the documentation says: its commands, its code, its names."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-q", "-k", "docs", "tests/e2e", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, beside the peers: ``nox -s bench -- throughput``."""
    session.install(".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)
