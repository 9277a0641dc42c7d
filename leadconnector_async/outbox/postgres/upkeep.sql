-- settled
SELECT r.seq, payload, late, raw
    FROM record r JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
    WHERE r.seq > $1 AND o.state IN (2, 5, 6) AND (payload IS NOT NULL OR raw IS NOT NULL)
    ORDER BY r.seq LIMIT $2

-- forget
UPDATE record SET payload = f.payload, late = NULL, traits = 0, raw = NULL
    FROM unnest($1::bigint[], $2::bytea[]) AS f (seq, payload) WHERE record.seq = f.seq

-- forget_names
--     Of persons whose contact is there: for others it is made with the name.
UPDATE lookup SET value = (value::jsonb - 'name')::text
    WHERE name LIKE 'person:%' AND EXISTS (
        SELECT FROM lookup AS found WHERE found.location = lookup.location AND found.name IN (
            'contact:' || (lookup.value::jsonb ->> 'phone'),
            'contact:' || (lookup.value::jsonb ->> 'email')))

-- former
INSERT INTO former (seq, line)
    SELECT * FROM unnest($1::bigint[], $2::bytea[]) ON CONFLICT DO NOTHING

-- count
--     What was refused before it was sent counts for no time in which anything was.
INSERT INTO tally (location, state, part, n)
    SELECT r.location, coalesce(state, 0), 0, count(*) FROM record r LEFT JOIN outcome o
        ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq) GROUP BY 1, 2;
UPDATE tenure t SET first_at = o.first_at, last_at = o.last_at FROM (
        SELECT location, min(at) AS first_at, max(at) AS last_at
        FROM outcome WHERE attempts > 0 GROUP BY 1) AS o
    WHERE o.location = t.location;
SELECT setval('record_number', greatest((SELECT max(seq) FROM record), 1));
SELECT setval(pg_get_serial_sequence('location', 'id'), max(id)) FROM location;
SELECT setval(pg_get_serial_sequence('source', 'id'), max(id)) FROM source;
SELECT setval(pg_get_serial_sequence('reason', 'id'), max(id)) FROM reason;

-- tenure
INSERT INTO tenure (location, epoch, held, day_used, day_ends, window_used,
        window_ends, day_limit)
    VALUES ($1, 1, $2, $3, $4, $5, $6, $7)

-- files
SELECT r.seq, late FROM record r LEFT JOIN outcome o
        ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
    WHERE late IS NOT NULL AND coalesce(state, 0) IN (0, 3, 4) ORDER BY r.seq

-- read_record
SELECT seq, location, lane, date, key, payload, late, traits, source, line, raw
    FROM record ORDER BY seq

-- read_held
SELECT location, unnest(held) FROM tenure

-- read_quota
SELECT location, day_used, day_ends, window_used, window_ends, day_limit
    FROM tenure WHERE day_used IS NOT NULL

-- read_pace
SELECT span, sum(sent)::bigint FROM pace GROUP BY span

-- read_file
SELECT digest, n, content FROM file_piece ORDER BY digest, n

-- read_trail
SELECT seq, at, what, trace FROM trail ORDER BY id
