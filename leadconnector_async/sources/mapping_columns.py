"""The columns that a mapping names, as a table spells them."""

from __future__ import annotations
