-- last
SELECT coalesce(max(seq), 0) FROM record

-- two_names
SELECT location, late FROM record
    WHERE seq > ? AND seq <= ? AND payload IS NOT NULL AND traits & ? ORDER BY seq

-- mails
SELECT location, lane, date, seq, late FROM record
    WHERE seq > ? AND seq <= ? AND traits & ? AND payload IS NOT NULL
        AND seq NOT IN (SELECT seq FROM early)
    ORDER BY location, lane, date, seq

-- move
UPDATE record SET date = ? WHERE seq = ?

-- publish
INSERT OR FAIL INTO queue (location, lane, date, seq, attempts)
    SELECT location, lane, date, seq, 0 FROM record
    WHERE seq > ? AND seq <= ? AND payload IS NOT NULL AND seq NOT IN (SELECT seq FROM early)
    ORDER BY location, lane, date, seq

-- publish_ahead
INSERT INTO early (seq) {rows}

-- are_staged
SELECT 1 FROM record WHERE seq >= ? AND seq < ? LIMIT 1

-- enqueue
INSERT OR FAIL INTO queue (location, lane, date, seq, attempts) {rows}

-- take
UPDATE queue SET location = -location
    WHERE location = -? AND lane = ? AND date = ? AND seq = ?

-- failed
SELECT seq FROM outcome WHERE state > 2 AND state = ? ORDER BY seq

-- unresolved_in
SELECT 1 FROM outcome
    WHERE location = ? AND lane = ? AND state = ? LIMIT 1
