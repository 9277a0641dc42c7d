"""The release of the version in ``pyproject.toml``: refuse, build, check, and say what is left.

``python tools/release.py`` builds into ``dist/``, and uploads, tags and pushes nothing. It needs
the dependency group ``release``. ``--try FOLDER`` builds and checks there, whatever the tree is.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_BY_HAND: Final = """
Built and checked: {files}
What is left is done by hand:
  git tag --sign v{version} --message "Version {version}"
  git push {remote} v{version}
  python -m twine upload {files}
and a next version, with .dev0, in pyproject.toml and leadconnector_async/__init__.py."""


def output(root: Path, *command: str) -> str:
    """What a command prints, without the last line end. Raises where it fails."""
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.rstrip("\n")


def remote_of(root: Path, repository: str) -> str | None:
    """The name of the remote that is the repository, if there is one: by HTTPS or SSH alike."""
    place = repository.partition("://")[2]
    for line in output(root, "git", "remote", "--verbose").splitlines():
        name, address, _ = re.split(r"\s", line, maxsplit=2)
        if address.removesuffix(".git").replace(":", "/").endswith(place):
            return name
    return None


def faults(root: Path, version: str, repository: str) -> list[str]:
    """Each reason why this tree is not released; none if it can be."""
    found = []
    if changed := output(root, "git", "status", "--porcelain"):
        found.append(f"the tree is dirty:\n{changed}")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        found.append(f"{version} is no version to release")
    package = (root / "leadconnector_async/__init__.py").read_text("utf-8")
    if f'__version__ = "{version}"' not in package:
        found.append("leadconnector_async.__version__ is another one")
    changes = (root / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## \[?{re.escape(version)}\]?(?: |$)", changes, re.MULTILINE):
        found.append(f"CHANGELOG.md has no section {version}")
    if output(root, "git", "tag", "--list", f"v{version}"):
        found.append(f"the tag v{version} is there already")
    if remote_of(root, repository) is None:
        found.append(f"no remote is {repository}, which [project.urls] names")
    return found


def build(root: Path, folder: Path) -> list[str]:
    """Build the source distribution and, from it, the wheel; check both. The paths of the two.

    The same commit gives the same bytes: files bear the time of the commit. The source distribution
    has whatever the repository has, the tests too; else the process ends with status 1. Where there
    is no repository, as in an unpacked source distribution, neither can be told.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]:
        old.unlink()
    environment, tracked = {**os.environ}, set[str]()
    if (root / ".git").exists():
        environment["SOURCE_DATE_EPOCH"] = output(root, "git", "log", "-1", "--format=%ct")
        tracked = {*output(root, "git", "ls-files").splitlines()}
    python = [sys.executable, "-m"]
    subprocess.run(
        [*python, "build", "--outdir", str(folder), str(root)], check=True, env=environment
    )
    built = sorted(str(path) for path in [*folder.glob("*.whl"), *folder.glob("*.tar.gz")])
    wheel, source = sorted(built, key=lambda path: path.endswith(".tar.gz"))
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    if missing := tracked - held:
        sys.exit(f"The source distribution lacks {', '.join(sorted(missing))}")
    subprocess.run([*python, "twine", "check", "--strict", *built], check=True)
    subprocess.run([*python, "check_wheel_contents", wheel], check=True)
    return built


def main() -> None:
    """Run the release, or end with status 1 and what stands in its way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--try", dest="folder", type=Path, help="build and check there, only")
    folder: Path | None = parser.parse_args().folder
    if folder is not None:
        build(ROOT, folder)
        return
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    version, repository = project["version"], project["urls"]["Repository"]
    if found := faults(ROOT, version, repository):
        sys.exit("\n".join(["Not released:", *(f"- {fault}" for fault in found)]))
    files = " ".join(build(ROOT, ROOT / "dist"))
    remote = remote_of(ROOT, repository)
    print(_BY_HAND.format(version=version, files=files, remote=remote))


if __name__ == "__main__":
    main()
