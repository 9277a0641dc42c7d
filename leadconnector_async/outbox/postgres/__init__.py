"""The outbox in a database: PostgreSQL 14 or later, for any number of processes and machines."""
