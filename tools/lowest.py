"""Print a pin of each direct dependency to the lowest version that the project allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

if __name__ == "__main__":
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    users = [names for extra, names in project["optional-dependencies"].items() if extra != "test"]
    wanted = sum(users, project["dependencies"])
    bounds = (re.match(r"([\w.-]+)(?:\[.*\])?>=([\w.]+)", one) for one in wanted)
    print("\n".join(sorted({f"{bound[1]}=={bound[2]}" for bound in bounds if bound})))
