"""Products of parameters, of which a sample is tried where all are not asked for."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def sampled(names: str, *axes: Iterable[Any]) -> pytest.MarkDecorator:
    """Parametrize a test by the whole product of ``axes``, all but a sample of it marked ``full``.

    The sample is the same one each time. Every value stands in it, those of a short axis by turns.
    """
    rows = list(product(*axes))
    fast = _sample(rows)
    return pytest.mark.parametrize(
        names, [pytest.param(*row, marks=() if row in fast else pytest.mark.full) for row in rows]
    )


def _sample(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Few rows that together hold all values of each place."""
    left = {value for row in rows for value in enumerate(row)}
    taken, uses = list[tuple[Any, ...]](), Counter[tuple[int, Any]]()
    while left:
        best = max(rows, key=lambda row: (len(left & {*enumerate(row)}), -_used(row, uses)))
        taken.append(best)
        uses.update(enumerate(best))
        left -= {*enumerate(best)}
    return taken


def _used(row: tuple[Any, ...], uses: Counter[tuple[int, Any]]) -> int:
    return sum(uses[value] for value in enumerate(row))
