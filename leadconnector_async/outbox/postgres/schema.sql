-- found
SELECT to_regclass(format('%I.outbox_format', $1::text)) IS NOT NULL,
    EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident($1))),
    to_regnamespace(quote_ident($1)) IS NOT NULL

-- others
SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND pid <> pg_backend_pid() AND classid::bigint = $1 & 4294967295
    AND objid::bigint >> 24 <> $2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- moved
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)
