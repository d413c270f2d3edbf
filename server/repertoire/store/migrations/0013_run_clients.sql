-- The own name of the client program that started a run, as it was said; "" where none was. Runs below another have the client of the top.
ALTER TABLE run ADD COLUMN client TEXT NOT NULL DEFAULT '';
-- What a caller has to know of a result that JSON cannot hold as it was: numbers that became null.
ALTER TABLE run ADD COLUMN remark TEXT;
