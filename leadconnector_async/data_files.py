"""Files of TOML that lie beside the code: tables, and what is said to people."""

from functools import cache
from importlib.resources import files
from typing import Any


@cache
def read_toml(package: str, name: str) -> dict[str, Any]:
    """What a file of TOML holds, for all who ask: nobody changes it."""
    import tomllib  # noqa: PLC0415 - much can be done without

    return tomllib.loads(files(package).joinpath(f"{name}.toml").read_text("utf-8"))
