"""The durable store between sources and the API."""
