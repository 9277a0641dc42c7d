-- read_record
SELECT seq, location, lane, date, key, payload, late, traits, source, line, {form}
    FROM record JOIN location ON location.id = location LEFT JOIN origin USING (seq)
        {shape} ORDER BY seq

-- read_outcome
SELECT location, lane, seq, state, at, attempts, message_id, conversation_id,
        email_message_id, reason, detail FROM outcome ORDER BY id

-- read_trail
SELECT seq, at, what, trace FROM trail ORDER BY rowid

-- read_owner
SELECT 0, at, worker FROM owner

-- count
INSERT INTO tally (location, state, n, first_at, last_at)
    SELECT r.location, coalesce(state, 0), count(*),
        min(iif(attempts > 0, at, NULL)), max(iif(attempts > 0, at, NULL))
    FROM record r LEFT JOIN outcome USING (location, lane, seq) GROUP BY 1, 2

-- publish
UPDATE sealed SET seq = (SELECT coalesce(max(seq), 0) FROM record)
