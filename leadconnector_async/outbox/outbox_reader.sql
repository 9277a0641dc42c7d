-- lanes
SELECT name, count(DISTINCT lane) FROM queue
    JOIN location ON location.id = location GROUP BY location.id, name

-- sources
SELECT name FROM source ORDER BY id

-- sent
SELECT o.lane, o.seq, r.key, r.date, r.payload, o.message_id, o.conversation_id
    FROM outcome o CROSS JOIN record r
    WHERE o.location = $1 AND (o.lane, o.seq) > ($2, $3) AND o.state = 2 AND r.seq = o.seq
    ORDER BY o.lane, o.seq LIMIT $4

-- queued
SELECT q.location, q.lane, q.date, q.seq, name, payload, late
    FROM queue q CROSS JOIN record JOIN location ON location.id = q.location
    WHERE (q.location, q.lane, q.date, q.seq) > ($1, $2, $3, $4) AND (late IS NOT NULL OR $5)
        AND record.seq = q.seq
    ORDER BY q.location, q.lane, q.date, q.seq LIMIT $6

-- overtaken
SELECT count(*) FROM (
    SELECT at, max(at) OVER (PARTITION BY r.location, r.lane ORDER BY r.date, r.seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM record r JOIN outcome o
        ON o.location = r.location AND o.lane = r.lane AND o.seq = r.seq AND o.state = 2
    ) AS sent WHERE at < before

-- pace
SELECT count(DISTINCT span),
        CAST(coalesce(sum(sent) FILTER (WHERE span >= $1), 0) AS bigint)
    FROM pace

-- kept
SELECT count(*), (SELECT CAST(coalesce(sum(n), 0) AS bigint) FROM copy)
    FROM record

-- copies
SELECT name, line FROM copy JOIN source ON source.id = copy.source
    ORDER BY source, line LIMIT $1

-- contacts
SELECT count(*) FILTER (WHERE name >= 'contact:' AND name < 'contact;'),
        count(*) FILTER (WHERE name >= 'made:' AND name < 'made;')
    FROM lookup

-- later
SELECT name, count(*) FROM queue JOIN location ON id = -location
    WHERE location < 0 GROUP BY id, name

-- by_key
SELECT seq FROM record
    WHERE location IN (SELECT id FROM location) AND key = $1 ORDER BY seq

-- by_answer
SELECT seq FROM outcome WHERE $1 IN (message_id, conversation_id)
    ORDER BY seq

-- reasons
SELECT o.state, o.reason, min(text), count(*) AS n, min(seq)
    FROM outcome o LEFT JOIN reason ON reason.id = o.reason
    WHERE o.state > 2 GROUP BY o.state, o.reason ORDER BY n DESC, min(seq)

-- lives
SELECT r.seq, key, location.name, r.location, r.date, payload,
        coalesce(source.name, ''), coalesce(line, 0), coalesce(o.state, 0), at,
        coalesce(o.attempts, q.attempts, 0), message_id, conversation_id, email_message_id,
        text, detail
    FROM record r JOIN location ON location.id = r.location
        LEFT JOIN outcome o ON o.location = r.location AND o.lane = r.lane AND o.seq = r.seq
        LEFT JOIN queue q ON q.location IN (r.location, -r.location)
            AND (q.lane, q.date, q.seq) = (r.lane, r.date, r.seq)
        LEFT JOIN reason ON reason.id = o.reason {origin}
    WHERE r.seq > $1 ORDER BY r.seq LIMIT $2
