"""From the outbox to the API: claims, sends, and settles."""
