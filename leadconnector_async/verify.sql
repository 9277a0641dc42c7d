-- message
CREATE TABLE message (id TEXT PRIMARY KEY, alt_id TEXT, look BLOB, at INTEGER, direction TEXT)

-- by_alt_id
CREATE INDEX by_alt_id ON message (alt_id) WHERE alt_id IS NOT NULL

-- by_look
CREATE INDEX by_look ON message (look)

-- ours
CREATE TABLE ours (id TEXT PRIMARY KEY, key TEXT)

-- found
SELECT key, at, direction FROM ours JOIN message USING (id)

-- missing
SELECT key, id, 0 FROM ours WHERE id NOT IN (SELECT id FROM message)

-- doubles
--     A foreign message counts as a copy of ours if it carries our altId; or, showing none, if it is
--     of the same conversation, type, direction, second and text.
SELECT ours.key, ours.id, count(*) + 1
    FROM ours JOIN message AS mine ON mine.id = ours.id JOIN message AS other ON
        (other.alt_id = mine.alt_id OR (other.alt_id IS NULL AND other.look = mine.look))
        AND other.id != mine.id AND other.id NOT IN (SELECT id FROM ours)
    GROUP BY ours.id
