-- lines
WITH w (location, key) AS ({rows})
    SELECT w.location, w.key, r.seq, r.lane, o.state FROM w CROSS JOIN record r LEFT JOIN outcome o
        ON o.location = r.location AND o.lane = r.lane AND o.seq = r.seq
    WHERE r.location = w.location AND r.key = w.key

-- last_line
SELECT r.location, r.seq, r.lane, o.state FROM record r LEFT JOIN outcome o
        ON o.location = r.location AND o.lane = r.lane AND o.seq = r.seq
    WHERE r.location = $1 AND r.key >= $2 AND r.key < $3
    ORDER BY length(r.key) DESC, r.key DESC LIMIT 1

-- faults
SELECT r.location, r.seq, r.lane, o.state FROM location CROSS JOIN record r JOIN outcome o
        ON o.location = r.location AND o.lane = r.lane AND o.seq = r.seq
    WHERE r.location = location.id AND r.key >= $1 AND r.key < $2

-- any_former
SELECT EXISTS (SELECT 1 FROM former)

-- was
SELECT 1 FROM former WHERE seq = $1 AND line = $2

-- reused
SELECT content FROM reused WHERE seq = $1

-- take_back
DELETE FROM outcome WHERE location = $1 AND lane = $2 AND seq = $3

-- outcomes
WITH w (seq) AS ({rows})
    SELECT r.seq, name, r.key, o.state, message_id, conversation_id, email_message_id, text, detail
    FROM w CROSS JOIN record r JOIN location ON location.id = r.location JOIN outcome o
        ON o.location = r.location AND o.lane = r.lane AND o.seq = r.seq
        LEFT JOIN reason ON reason.id = o.reason WHERE r.seq = w.seq

-- add_copies
INSERT INTO copy AS c (source, seq, source_pass, line, n, met) {rows}
    ON CONFLICT (source, seq) DO UPDATE SET
    met = CASE WHEN c.source_pass = excluded.source_pass THEN c.met + 1 ELSE 1 END,
    n = c.n + CASE WHEN c.source_pass = excluded.source_pass AND c.met = c.n THEN 1 ELSE 0 END,
    line = CASE WHEN c.source_pass = excluded.source_pass THEN c.line ELSE excluded.line END,
    source_pass = excluded.source_pass

-- add_reused
INSERT INTO reused (seq, content) {rows} ON CONFLICT (seq) DO UPDATE SET content = excluded.content

-- add_former
INSERT INTO former (seq, line) {rows} ON CONFLICT DO NOTHING

-- add_traces
INSERT INTO trace (seq, parent, state) {rows}

-- refuse
INSERT INTO outcome (location, lane, seq, state, at, attempts, reason) {rows}
