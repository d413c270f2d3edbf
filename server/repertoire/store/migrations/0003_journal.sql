-- Runs that survive: what each has done, who began it, what it waits for.
ALTER TABLE run ADD COLUMN parent TEXT;            -- the run whose call this is, and
ALTER TABLE run ADD COLUMN parent_path TEXT;       -- which of its calls
ALTER TABLE run ADD COLUMN root TEXT;              -- the run that began the tree; NULL: itself
ALTER TABLE run ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN fingerprint TEXT;       -- of the code that recorded its journal
ALTER TABLE run ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;   -- of its workers, one after the other without a new record
ALTER TABLE run ADD COLUMN held_s REAL NOT NULL DEFAULT 0;      -- for how long it has held a worker, as far as that is stored
ALTER TABLE run ADD COLUMN clock_s REAL NOT NULL DEFAULT 0;     -- the run's own clock at its last record
ALTER TABLE run ADD COLUMN records INTEGER NOT NULL DEFAULT 0;  -- the last number of its journal
ALTER TABLE run ADD COLUMN parked TEXT;            -- why it holds no worker and is not to be resumed now, in words
ALTER TABLE run ADD COLUMN wake_at REAL;           -- when to go on with a parked run whatever else happens
ALTER TABLE run ADD COLUMN rerun_of TEXT;
CREATE INDEX run_parent ON run (parent, parent_path) WHERE parent IS NOT NULL;
CREATE INDEX run_root ON run (root) WHERE root IS NOT NULL;
CREATE INDEX run_ended ON run (ended_at) WHERE ended_at IS NOT NULL;

ALTER TABLE event ADD COLUMN path TEXT;            -- of what made it in the body, and
ALTER TABLE event ADD COLUMN k INTEGER;            -- its number there: a replay tells it only once

-- One row for each call that has ended. n: in which order.
CREATE TABLE call (
  run_id        TEXT NOT NULL,
  n             INTEGER NOT NULL,
  path          TEXT NOT NULL,          -- where in the body: tasks and threads by number, then a counter
  op            TEXT NOT NULL,
  hash          TEXT NOT NULL,          -- of the arguments
  label         TEXT NOT NULL DEFAULT '',
  at            REAL NOT NULL,          -- seconds of the run's own clock
  began_at      REAL NOT NULL,
  ended_at      REAL NOT NULL,
  result        TEXT,
  error         BLOB,                   -- msgpack of wire.Fault
  cancelled     INTEGER NOT NULL DEFAULT 0,
  clock         BLOB,                   -- msgpack: clock values that the body read since the record before
  child         TEXT,                   -- the run that gave the result, which is there and not here
  covered       INTEGER NOT NULL DEFAULT 0,   -- done within a step that is recorded itself
  PRIMARY KEY (run_id, n)
) WITHOUT ROWID;

-- What runs wait for that may take days: answers of people, and sleeps.
CREATE TABLE wait (
  run_id        TEXT NOT NULL,
  path          TEXT NOT NULL,          -- of the call that waits
  root          TEXT NOT NULL,
  kind          TEXT NOT NULL,          -- ask, sleep
  id            TEXT,                   -- of a question
  question      TEXT,
  schema        TEXT,
  asked_at      REAL NOT NULL,
  until         REAL,                   -- the sleep is over, the question expires
  answered_at   REAL,                   -- or withdrawn
  answer        TEXT,
  PRIMARY KEY (run_id, path)
) WITHOUT ROWID;
CREATE UNIQUE INDEX wait_id ON wait (id) WHERE id IS NOT NULL;
CREATE INDEX wait_open ON wait (root) WHERE answered_at IS NULL AND kind = 'ask';

-- The same request, sent again, is the same run.
CREATE TABLE idempotency (
  principal     TEXT NOT NULL,
  workflow      TEXT NOT NULL,
  key           TEXT NOT NULL,
  arguments     TEXT NOT NULL,          -- their hash
  run_id        TEXT NOT NULL,
  at            REAL NOT NULL,
  PRIMARY KEY (principal, workflow, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);
