-- use
INSERT INTO file_use SELECT * FROM unnest($1::bigint[], $2::text[])
    ON CONFLICT DO NOTHING

-- add
INSERT INTO file SELECT unnest($1::text[]) ON CONFLICT DO NOTHING
    RETURNING digest

-- add_piece
INSERT INTO file_piece VALUES ($1, $2, $3)

-- piece
SELECT content FROM file_piece WHERE digest = $1 AND n = $2

-- remove
WITH gone AS (DELETE FROM file f
        WHERE ($1::text[] IS NULL OR digest = ANY ($1::text[] COLLATE "C"))
            AND NOT EXISTS (SELECT FROM file_use u WHERE u.digest = f.digest)
        RETURNING digest)
    DELETE FROM file_piece p USING gone WHERE p.digest = gone.digest

-- unuse
DELETE FROM file_use WHERE seq = ANY ($1::bigint[]) RETURNING digest
