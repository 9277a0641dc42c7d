from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import release

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONTAINER: Final = (ROOT / "Containerfile").read_text("utf-8")
REPOSITORY: Final = "https://forge.example/team/project"


def git(root: Path, *words: str) -> None:
    """Run git as nobody in particular."""
    who = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    program = shutil.which("git") or "git"
    subprocess.run([program, *who, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository whose version 1.2.0 can be released."""
    (tmp_path / "leadconnector_async").mkdir()
    (tmp_path / "leadconnector_async/__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n## [1.2.0] - 2026-11-28\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "forge", "git@forge.example:team/project.git")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "All")
    return tmp_path


def test_a_clean_tree_can_be_released(tree: Path) -> None:
    """Its version has a section and no tag, and a remote is the repository, by SSH too."""
    assert release.faults(tree, "1.2.0", REPOSITORY) == []


def write(name: str, text: str = "x") -> Callable[[Path], object]:
    """Something that writes a file of the tree."""
    return lambda tree: (tree / name).write_text(text)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (write("new.py"), "the tree is dirty:\n?? new.py"),
        (write("CHANGELOG.md", "## [1.2.0]\n"), "the tree is dirty:\n M CHANGELOG.md"),
        (write("CHANGELOG.md", "## [Unreleased]: 1.2.0\n"), "CHANGELOG.md has no section 1.2.0"),
        (write("CHANGELOG.md", "## 1.2.0.1\n"), "CHANGELOG.md has no section 1.2.0"),
        (
            write("leadconnector_async/__init__.py", '__version__ = "1.2.0.dev0"\n'),
            "leadconnector_async.__version__ is another one",
        ),
        (lambda tree: git(tree, "tag", "v1.2.0"), "the tag v1.2.0 is there already"),
        (
            lambda tree: git(tree, "remote", "remove", "forge"),
            f"no remote is {REPOSITORY}, which [project.urls] names",
        ),
    ],
)
def test_what_is_not_ready_is_refused(
    tree: Path, spoil: Callable[[Path], object], said: str
) -> None:
    """A dirty tree, a version without its section, a tag that exists: each by its own words."""
    spoil(tree)
    assert said in release.faults(tree, "1.2.0", REPOSITORY)


def test_a_development_version_is_refused(tree: Path) -> None:
    """Its number is that of no release."""
    assert "1.2.0.dev0 is no version to release" in release.faults(tree, "1.2.0.dev0", REPOSITORY)


def test_the_script_builds_nothing_where_it_refuses(tree: Path) -> None:
    """It ends with status 1 and all the reasons."""
    for name in ("pyproject.toml", "tools/release.py"):
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    command = [sys.executable, str(tree / "tools/release.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Not released:\n- the tree is dirty:\n?? pyproject.toml\n")
    assert f"- CHANGELOG.md has no section {PROJECT['version']}\n" in done.stderr
    assert not (tree / "dist").exists()


@pytest.mark.parametrize("name", ["leadconnector", "leadconnector-async"])
def test_both_scripts_are_the_command(name: str) -> None:
    """The second bears the distribution's name, by which ``uvx`` finds it."""
    assert PROJECT["scripts"][name] == "leadconnector_async.cli:main"
    assert PROJECT["name"] == "leadconnector-async"


def test_the_package_runs_as_a_module() -> None:
    """``python -m leadconnector_async`` is the command too."""
    command = [sys.executable, "-m", "leadconnector_async", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown == f"leadconnector, version {PROJECT['version']}\n"


def test_free_threading_is_not_claimed() -> None:
    """Importing orjson turns the GIL on again; each Python that is claimed is one that is run."""
    versions = [
        kind.rpartition(" ")[2]
        for kind in PROJECT["classifiers"]
        if kind.startswith("Programming Language :: Python :: 3.")
    ]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert not any("Free Threading" in kind for kind in PROJECT["classifiers"])


def test_the_container_copies_what_is_there() -> None:
    """Each path that it takes from the repository exists, and what the build asks for is taken."""
    copied = {
        path
        for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINER, re.MULTILINE)
        for path in line.split()[:-1]
    }
    assert all((ROOT / path).exists() for path in copied)
    assert {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]} <= copied


def test_the_container_runs_the_command() -> None:
    """Its entry point is a script, its extra one of the package's, its user not root."""
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", CONTAINER, re.MULTILINE)
    assert json.loads(entry)[0] in PROJECT["scripts"]
    (extra,) = re.findall(r"pip install .*'\.\[(\w+)\]'", CONTAINER)
    assert extra in PROJECT["optional-dependencies"]
    assert re.search(r"^USER (?!root)\w+$", CONTAINER, re.MULTILINE)
    pythons = set(re.findall(r"^FROM python:([\d.]+)-slim", CONTAINER, re.MULTILINE))
    assert {f"Programming Language :: Python :: {one}" for one in pythons} < {
        *PROJECT["classifiers"]
    }
    assert len(pythons) == 1
