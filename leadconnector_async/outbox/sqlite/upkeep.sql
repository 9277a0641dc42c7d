-- settled
SELECT r.seq, late, {form}
    FROM record r CROSS JOIN outcome o USING (location, lane, seq)
        JOIN location ON location.id = r.location
        LEFT JOIN origin ON origin.seq = r.seq {shape}
    WHERE r.seq > ? AND o.state IN (2, 5, 6) AND (payload IS NOT NULL OR raw IS NOT NULL)
    ORDER BY r.seq LIMIT ?

-- forget
UPDATE record SET payload = ?, late = NULL, traits = 0 WHERE seq = ?

-- forget_line
UPDATE origin SET raw = NULL WHERE seq = ?

-- forget_names
--     Of persons whose contact is there: for others it is made with the name.
UPDATE lookup SET value = json_remove(value, '$.name')
    WHERE name LIKE 'person:%' AND EXISTS (
        SELECT 1 FROM lookup AS found WHERE found.location = lookup.location AND found.name IN (
            'contact:' || json_extract(lookup.value, '$.phone'),
            'contact:' || json_extract(lookup.value, '$.email')))

-- forget_shapes
DELETE FROM shape WHERE id NOT IN (
    SELECT CAST(raw AS INTEGER) FROM origin WHERE typeof(raw) IN ('integer', 'text'))

-- former
INSERT OR IGNORE INTO former (seq, line) VALUES (?, ?)

-- needing
SELECT late, iif(o.state = 3, raw, NULL) AS raw, shape.text, payload, key, location.name
    FROM record r LEFT JOIN outcome o USING (location, lane, seq)
        JOIN location ON location.id = r.location
        LEFT JOIN origin ON origin.seq = r.seq {shape}
    WHERE (late IS NOT NULL OR raw IS NOT NULL) AND coalesce(o.state, 0) NOT IN (2, 5, 6)

-- late
SELECT late FROM record WHERE late IS NOT NULL
