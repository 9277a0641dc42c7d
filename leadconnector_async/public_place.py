"""Where the public classes say that they are: ``leadconnector_async.Sent``, as users import it."""

import sys
from collections.abc import Mapping
from inspect import get_annotations
from typing import Final, get_type_hints

_PACKAGE: Final = __name__.partition(".")[0]


def name_public_place(namespace: Mapping[str, object]) -> None:
    """Name the package as the module of the public classes in a module's ``globals()``.

    A repr, a traceback and a pickle show it then, whoever imported the class first. Fields'
    types are made out before, since they are looked up in the module that a class names.
    """
    for name in sys.modules[_PACKAGE].__all__:
        value = namespace.get(name)
        if isinstance(value, type) and value.__module__ == namespace["__name__"]:
            if own := get_annotations(value):
                hints = get_type_hints(value, include_extras=True)
                value.__annotations__ = {field: hints[field] for field in own}
            value.__module__ = _PACKAGE
