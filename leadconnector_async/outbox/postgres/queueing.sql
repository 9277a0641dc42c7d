-- take_in
UPDATE queue q SET location = -q.location FROM record r
    WHERE r.seq = $1 AND (q.location, q.lane, q.date, q.seq) = (-r.location, r.lane, r.date, r.seq)

-- held
SELECT unnest(held) FROM tenure

-- candidates
SELECT seq, location, lane, coalesce(source, 0), date,
        CASE WHEN $1 THEN payload END, CASE WHEN $1 THEN late END
    FROM record WHERE payload IS NOT NULL ORDER BY date, seq

-- leave
UPDATE queue q SET location = -q.location
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[])
        AS p (location, lane, date, seq)
    WHERE (q.location, q.lane, q.date, q.seq) = (p.location, p.lane, p.date, p.seq)

-- orphans
SELECT EXISTS (SELECT FROM unpublished WHERE stager NOT IN (
    SELECT objid::bigint - $2 FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND datname = current_database()
        AND classid::bigint = $1 AND objsubid = 1))

-- take
DELETE FROM unpublished WHERE first IN (
    SELECT first FROM unpublished WHERE stager = $3 OR stager NOT IN (
        SELECT objid::bigint - $2 FROM pg_locks JOIN pg_database d ON d.oid = database
        WHERE locktype = 'advisory' AND datname = current_database()
            AND classid::bigint = $1 AND objsubid = 1) ORDER BY first LIMIT $4)
    RETURNING first, "end"

-- two_names
SELECT location, late FROM unnest($1::bigint[], $2::bigint[]) AS u (a, z)
        JOIN record ON seq >= a AND seq < z
    WHERE payload IS NOT NULL AND traits <> 0 AND traits & $3 <> 0 ORDER BY seq

-- mails
SELECT location, lane, date, seq, late
    FROM unnest($1::bigint[], $2::bigint[]) AS u (a, z) JOIN record ON seq >= a AND seq < z
    WHERE payload IS NOT NULL AND traits <> 0 AND traits & $3 <> 0
    ORDER BY location, lane, date, seq

-- move
UPDATE record SET date = moved.date
    FROM unnest($1::bigint[], $2::bigint[]) AS moved (date, seq) WHERE record.seq = moved.seq

-- publish
INSERT INTO queue (location, lane, date, seq, attempts)
    SELECT location, lane, date, seq, 0
    FROM unnest($1::bigint[], $2::bigint[]) AS u (a, z) JOIN record ON seq >= a AND seq < z
    WHERE payload IS NOT NULL ORDER BY location, lane, date, seq

-- enqueue
INSERT INTO queue (location, lane, date, seq, attempts)
    SELECT *, 0 FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[])

-- is_published
SELECT NOT EXISTS (
    SELECT FROM unpublished WHERE first <= $1 AND "end" > $1)

-- split
DELETE FROM unpublished WHERE first <= $1 AND "end" > $1
    RETURNING first, "end", stager

-- place
SELECT location, lane, date, seq FROM record WHERE seq = $1

-- is_held
SELECT EXISTS (
    SELECT FROM record JOIN tenure USING (location) WHERE seq = $1 AND seq = ANY (held))

-- failed
SELECT seq, name FROM outcome JOIN location ON id = location
    WHERE state > 2 AND state = $1 ORDER BY seq

-- in_doubt
SELECT EXISTS (
        SELECT FROM outcome WHERE location = $1 AND lane = $2 AND state = 4)
    OR EXISTS (SELECT FROM tenure CROSS JOIN unnest(held) AS h (seq) JOIN record USING (seq)
        WHERE tenure.location = $1 AND record.lane = $2)

-- hold_again
INSERT INTO tenure AS t (location, held, pending, rejected, unresolved)
    SELECT location, coalesce(array_agg(seq) FILTER (WHERE state = 4), '{}'), count(*),
        -count(*) FILTER (WHERE state = 3), -count(*) FILTER (WHERE state = 4)
    FROM ({rows}) AS b (location, seq, state)
    GROUP BY location ORDER BY location
    ON CONFLICT (location) DO UPDATE SET held = t.held || excluded.held,
        pending = t.pending + excluded.pending, rejected = t.rejected + excluded.rejected,
        unresolved = t.unresolved + excluded.unresolved
