-- One run has one body at a time. Each body is begun under a number of its own, and every write of it names that number.
ALTER TABLE run ADD COLUMN claim INTEGER NOT NULL DEFAULT 1;       -- the last number
ALTER TABLE run ADD COLUMN is_claimed INTEGER NOT NULL DEFAULT 0;  -- a body goes on under it
-- What is asked is in the record at once, not only when the run is parked.
UPDATE run SET status = 'input_required' WHERE status = 'working' AND id IN (
  WITH RECURSIVE asking (id) AS (
    SELECT run_id FROM wait WHERE kind = 'ask' AND answered_at IS NULL
    UNION SELECT run.parent FROM run JOIN asking ON run.id = asking.id WHERE run.parent IS NOT NULL
  ) SELECT id FROM asking
);

-- What a body's call has changed in this store, with the call's answer, in the same transaction: made again after a crash, it is answered
-- from here and changes nothing twice.
CREATE TABLE effect (
  run_id        TEXT NOT NULL,
  path          TEXT NOT NULL,          -- of the call
  answer        TEXT NOT NULL,          -- JSON
  PRIMARY KEY (run_id, path)
) WITHOUT ROWID;
