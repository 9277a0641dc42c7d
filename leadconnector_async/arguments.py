"""Arguments as a caller gives them: checked at the call, in words that name them and the fix."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

AtLeastOne = Annotated[int, Meta(ge=1)]

MoreThanZero = Annotated[float, Meta(gt=0)]

Seconds = Annotated[float, Meta(gt=0, lt=1e9)]

NotNegative = Annotated[float, Meta(ge=0)]

NotEmpty = Annotated[str, Meta(min_length=1)]


fields_of: Final = lru_cache(fields)

_PYTHON: Final = {"null": "None", "array": "list", "object": "dict"}


def check(given: Mapping[str, object], kind: Any) -> None:  # noqa: ANN401 - a type, or several
    """See that what is given, by its names, is of a type, and within its bounds: NaN never is.

    Raises:
        TypeError: one is of another type.
        ValueError: one is out of bounds, or none of the words that the type allows.
    """
    for name, value in given.items():
        try:
            convert(value.item() if hasattr(value, "item") else value, kind)  # of numpy
        except ValidationError as error:
            said = re.sub("null|array|object", lambda word: _PYTHON[word[0]], str(error))
            fix, *at = re.split(", got `.*?`", said.removeprefix("Expected "))
            if at:
                raise TypeError(f"{name} is a {type(value).__name__}: give {fix}{at[0]}") from None
            if fix.startswith("Invalid enum"):
                fix = f"one of {', '.join(map(str, get_args(kind)))}"
            raise ValueError(f"{name} is {value!r}: give {fix}") from None


class Checked(Struct, frozen=True):
    """A structure that sees the same of each of its fields, when it is made."""

    def __post_init__(self) -> None:
        for field in fields_of(type(self)):
            check({field.name: getattr(self, field.name)}, field.type)
