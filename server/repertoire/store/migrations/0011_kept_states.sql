-- States that a run has begun or gone on with, each once, however many runs began with it.
CREATE TABLE kept_state (
  hash          TEXT PRIMARY KEY,       -- sha256 of the value
  value         TEXT NOT NULL
);
ALTER TABLE call ADD COLUMN state TEXT;  -- of a load or a wake: the hash. Earlier ones have the state as their result
CREATE INDEX call_state ON call (state) WHERE state IS NOT NULL;
