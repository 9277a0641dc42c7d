-- settings
SELECT set_config(name, $1, false) FROM unnest(ARRAY[
    'idle_session_timeout', 'idle_in_transaction_session_timeout', 'statement_timeout',
    'tcp_user_timeout']) AS of (name)

-- join
SELECT pg_advisory_lock_shared($1)

-- locks
SELECT objid::bigint, granted FROM pg_locks
    WHERE locktype = 'advisory' AND classid = ($1::bigint >> 32 & 4294967295)::oid AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- take
SELECT shard FROM unnest($1::int[], $2::bigint[]) AS of (shard, key)
    WHERE pg_try_advisory_lock(key) LIMIT $3

-- unlock
SELECT pg_advisory_unlock(key) FROM unnest($1::bigint[]) AS of (key)

-- busy
SELECT name FROM location
    WHERE EXISTS (SELECT FROM queue WHERE queue.location = location.id)
        OR EXISTS (SELECT FROM tenure WHERE tenure.location = location.id AND held <> '{}')
    ORDER BY id
