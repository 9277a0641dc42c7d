-- kin
SELECT kin.id, kin.name FROM source AS it
    JOIN source AS kin ON md5(kin.name) = md5(it.name) WHERE it.id = $1

-- readings
WITH w (source) AS ({rows})
    SELECT r.location, o.line, r.date, r.seq
    FROM (SELECT source, seq, line FROM record WHERE line IS NOT NULL
        UNION ALL SELECT source, seq, line FROM copy) o JOIN record r ON r.seq = o.seq
        LEFT JOIN outcome e ON e.location = r.location AND e.lane = r.lane AND e.seq = r.seq
    WHERE o.source IN (SELECT source FROM w) AND r.payload IS NOT NULL
        AND coalesce(e.state, 0) <> 3 ORDER BY r.location, o.line, r.date, r.seq

-- known
WITH w (location, key) AS ({rows})
    SELECT w.location, w.key, r.seq, lane, date, payload, late, coalesce(source, 0)
    FROM w JOIN record r ON r.location = w.location AND r.key = w.key

-- record
INSERT INTO record
        (source, seq, location, lane, date, key, payload, late, traits, line, raw)
    SELECT CASE WHEN line IS NOT NULL THEN $1::int END, * FROM unnest($2::bigint[], $3::int[],
        $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[], $8::text[], $9::smallint[],
        $10::int[], $11::bytea[])
        AS r (seq, location, lane, date, key, payload, late, traits, line, raw)
    ON CONFLICT (location, key) DO NOTHING RETURNING seq

-- replace
UPDATE record SET source = $2, lane = $3, date = $4, payload = $5, late = $6,
    traits = $7, line = $8, raw = $9 WHERE seq = $1

-- has_keys
SELECT EXISTS (
    SELECT FROM location JOIN record ON record.location = id
    WHERE md5(name) = md5($1) AND name = $1 AND key >= $2 AND key < $3)

-- from
SELECT coalesce(name, ''), line, raw
    FROM record LEFT JOIN source ON source.id = source WHERE seq = $1 AND line IS NOT NULL
