-- known
--     Where pairs are IN a list, SQLite searches for them by their location alone, and reads all
--     lookups of it: there is one for each contact, file and mail.
WITH w (location, name) AS ({rows}) SELECT lookup.name, value
    FROM w CROSS JOIN lookup WHERE lookup.location = w.location AND lookup.name = w.name

-- finished
--     A mark's name goes on with its lane, and then the conversation.
SELECT name, value, (SELECT conversation_id FROM outcome o
        WHERE o.location = mark.location AND o.lane = mark.lane
            AND state = 2 AND conversation_id IS NOT NULL LIMIT 1)
    FROM (SELECT location, name, value, CAST(substr(name, 6,
                length(name) - 5 - length(ltrim(substr(name, 6), '-0123456789'))) AS bigint) AS lane
            FROM lookup WHERE location = $1 AND name >= 'mark:' AND name < 'mark;') AS mark
    WHERE NOT EXISTS (
        SELECT 1 FROM queue q WHERE q.location = mark.location AND q.lane = mark.lane)

-- marking
SELECT name FROM location WHERE EXISTS (SELECT 1 FROM lookup l
    WHERE l.location = id AND l.name >= 'mark:' AND l.name < 'mark;') ORDER BY id

-- forget
DELETE FROM lookup WHERE location = $1 AND name = $2

-- put
INSERT INTO lookup (location, name, value) {rows}
    ON CONFLICT (location, name) DO UPDATE SET value = excluded.value

-- learn
INSERT INTO lookup (location, name, value) {rows} ON CONFLICT DO NOTHING
