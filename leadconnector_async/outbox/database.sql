-- locations
SELECT name FROM location
    WHERE EXISTS (SELECT 1 FROM queue WHERE queue.location = location.id) ORDER BY id

-- stored
SELECT message_id FROM outcome
    WHERE location = $1 AND lane = $2 AND state = 2 AND seq <> $3 AND message_id IS NOT NULL

-- trail
INSERT INTO trail (seq, at, what, trace) {rows}
