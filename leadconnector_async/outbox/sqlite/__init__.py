"""The outbox in a file: SQLite, with one owner."""
