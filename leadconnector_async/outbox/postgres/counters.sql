-- add
INSERT INTO tally (location, state, part, n)
    SELECT * FROM unnest($1::int[], $2::smallint[], $3::int[], $4::bigint[])
    ON CONFLICT (location, state, part) DO UPDATE SET n = tally.n + excluded.n
