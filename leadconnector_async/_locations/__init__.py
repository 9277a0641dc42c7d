"""The locations of an import: where each one's token comes from, its providers and its quota.

* `values`: what is known of a location;
* `reading`: the TOML file that says so;
* `tokens`: the tokens, as a `TokenProvider`.
"""

from __future__ import annotations

from leadconnector_async._locations.reading import read_locations
from leadconnector_async._locations.tokens import LocationTokens, tokens_of
from leadconnector_async._locations.values import Location, Locations

__all__ = ["Location", "LocationTokens", "Locations", "read_locations", "tokens_of"]
