"""Tokens: given, printed by a command, or by OAuth.

* `provider`: what a provider is, and the one of a single token;
* `command`: a token that a program prints;
* `keeper`: one access token that is renewed ahead of its end, once however many ask;
* `store`: the file that keeps refresh tokens, which work once;
* `installation`: one installation of an OAuth app;
* `oauth`: the provider over all installations and the locations of agencies.
"""

from __future__ import annotations

from leadconnector_async._tokens.provider import FIX_TOKEN, AsksTheApi, StaticToken, TokenProvider

__all__ = ["FIX_TOKEN", "AsksTheApi", "StaticToken", "TokenProvider"]
