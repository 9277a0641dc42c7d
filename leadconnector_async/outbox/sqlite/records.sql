-- kin
SELECT kin.id, kin.name FROM source AS it JOIN source AS kin USING (name) WHERE it.id = $1

-- readings
WITH w (source) AS ({rows})
    SELECT r.location, o.line, r.date, r.seq
    FROM (SELECT source, seq, line FROM origin UNION ALL SELECT source, seq, line FROM copy) o
        JOIN record r ON r.seq = o.seq
        LEFT JOIN outcome e ON e.location = r.location AND e.lane = r.lane AND e.seq = r.seq
    WHERE o.source IN (SELECT source FROM w) AND r.payload IS NOT NULL
        AND coalesce(e.state, 0) <> 3 ORDER BY r.location, o.line, r.date, r.seq

-- known
WITH w (location, key) AS ({rows})
    SELECT w.location, w.key, r.seq, lane, date, payload, late, coalesce(source, 0)
    FROM w CROSS JOIN record r LEFT JOIN origin ON origin.seq = r.seq
    WHERE r.location = w.location AND r.key = w.key

-- has_keys
SELECT EXISTS (SELECT 1 FROM record
    JOIN location ON location.id = record.location WHERE name = $1 AND key >= $2 AND key < $3)

-- replace
UPDATE record SET lane = ?, date = ?, payload = ?, late = ?, traits = ? WHERE seq = ?

-- following
SELECT record.seq, source, name, key, payload, late FROM record
    JOIN location ON location.id = location LEFT JOIN origin ON origin.seq = record.seq
    WHERE record.seq >= ? AND payload IS NOT NULL ORDER BY record.seq LIMIT ?

-- from
SELECT coalesce(source.name, ''), line, {form}
    FROM origin JOIN record USING (seq) JOIN location ON location.id = location
        LEFT JOIN source ON source.id = source {shape} WHERE seq = ?

-- queue_place
SELECT location, lane, date, seq FROM record WHERE seq = ?

-- record
INSERT OR IGNORE INTO record (seq, location, lane, date, key, payload, late, traits) {rows}

-- plain
--     Nearly all lack nothing, and what is None takes as long as what is not.
INSERT OR IGNORE INTO record (seq, location, lane, date, key, payload) {rows}

-- add_origins
INSERT OR REPLACE INTO origin (seq, source, line, raw) {rows}
