"""HTTP: one request, one response, over aiohttp."""
