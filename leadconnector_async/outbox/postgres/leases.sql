-- find_locations
SELECT name, id FROM unnest($1::text[]) AS of (asked)
    JOIN location ON md5(name) = md5(asked) AND name = asked

-- acquire
WITH noted AS (
        INSERT INTO owner (location, at, worker)
        SELECT id, $2, current_setting('application_name') FROM unnest($1::int[]) AS of (id))
    INSERT INTO tenure AS t (location, epoch) SELECT id, 1 FROM unnest($1::int[]) AS of (id)
    ON CONFLICT (location) DO UPDATE SET epoch = t.epoch + 1
    RETURNING location, epoch, held, day_used, day_ends, window_used, window_ends, day_limit

-- fence
SELECT FROM tenure WHERE location = $1 AND epoch = $2 FOR UPDATE

-- is_shared
--     Whether the owner of a shard is one of those that share them, and hand over.
SELECT EXISTS (
    SELECT FROM pg_locks shard JOIN pg_locks member USING (locktype, database, classid, pid)
    WHERE locktype = 'advisory' AND classid = ($1::bigint >> 32 & 4294967295)::oid
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND shard.objid = ($1 & 4294967295)::oid AND shard.granted
        AND member.objid IN (($2::bigint & 4294967295)::oid, ($3::bigint & 4294967295)::oid))

-- settle
--     Fates are written, counted and announced in one statement, where the leases are held: where
--     one of them is not, or a record is not in the queue, the division fails, and with it all of
--     the statement.
WITH fate AS (
        SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[],
            $6::bigint[], $7::int[], $8::text[], $9::text[], $10::text[], $11::int[], $12::bytea[])
            AS f (location, lane, date, seq, state, at, attempts, message_id, conversation_id,
                email_message_id, reason, detail)),
    summed AS (
        SELECT location, array_agg(seq) AS seqs, count(*) FILTER (WHERE state > 0) AS ended,
            count(*) FILTER (WHERE state = 2) AS sent,
            count(*) FILTER (WHERE state = 3) AS rejected,
            count(*) FILTER (WHERE state = 4) AS unresolved,
            min(at) FILTER (WHERE state > 0) AS first_at,
            max(at) FILTER (WHERE state > 0) AS last_at
        FROM fate GROUP BY location),
    fenced AS (
        UPDATE tenure t SET
            held = CASE WHEN seqs IS NULL THEN held
                ELSE ARRAY(SELECT unnest(held) EXCEPT SELECT unnest(seqs)) END,
            pending = pending - coalesce(s.ended, 0), sent = t.sent + coalesce(s.sent, 0),
            rejected = t.rejected + coalesce(s.rejected, 0),
            unresolved = t.unresolved + coalesce(s.unresolved, 0),
            first_at = least(t.first_at, s.first_at), last_at = greatest(t.last_at, s.last_at),
            day_used = CASE WHEN l.day_used IS NULL THEN t.day_used ELSE l.day_used END,
            day_ends = CASE WHEN l.day_used IS NULL THEN t.day_ends ELSE l.day_ends END,
            window_used = CASE WHEN l.day_used IS NULL THEN t.window_used ELSE l.window_used END,
            window_ends = CASE WHEN l.day_used IS NULL THEN t.window_ends ELSE l.window_ends END,
            day_limit = CASE WHEN l.day_used IS NULL THEN t.day_limit ELSE l.day_limit END
        FROM unnest($13::int[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
            $18::bigint[], $19::bigint[])
            AS l (location, token, day_used, day_ends, window_used, window_ends, day_limit)
            LEFT JOIN summed s USING (location)
        WHERE t.location = l.location AND t.epoch = l.token RETURNING 1),
    gone AS (
        DELETE FROM queue q USING fate f WHERE f.state > 0
            AND (q.location, q.lane, q.date, q.seq) = (f.location, f.lane, f.date, f.seq)
        RETURNING 1),
    given AS (
        UPDATE queue q SET attempts = f.attempts FROM fate f WHERE f.state = 0
            AND (q.location, q.lane, q.date, q.seq) = (f.location, f.lane, f.date, f.seq)),
    ended AS (
        INSERT INTO outcome (location, lane, seq, state, at, attempts, message_id,
            conversation_id, email_message_id, reason, detail)
        SELECT location, lane, seq, state, at, attempts, message_id, conversation_id,
            email_message_id, reason, detail FROM fate WHERE state > 0),
    paced AS (
        INSERT INTO pace AS p (span, part, sent)
        SELECT at / $20, pg_backend_pid(), count(*) FROM fate WHERE state = 2 GROUP BY 1
        ON CONFLICT (span, part) DO UPDATE SET sent = p.sent + excluded.sent),
    told AS (DELETE FROM awaited a USING fate f
        WHERE EXISTS (SELECT FROM awaited) AND f.state > 0 AND a.seq = f.seq RETURNING a.seq)
    SELECT 1 / ((SELECT count(*) FROM fenced) = cardinality($13)
            AND (SELECT count(*) FROM gone) = (SELECT count(*) FROM fate WHERE state > 0))::int,
        (SELECT count(pg_notify($21, seq::text)) FROM told)
