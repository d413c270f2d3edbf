-- Requests to language models that a run has made, recorded or not: what they used.
CREATE TABLE model_request (
  run_id        TEXT NOT NULL,
  n             INTEGER NOT NULL,
  path          TEXT NOT NULL,          -- of the call
  at            REAL NOT NULL,
  model         TEXT NOT NULL,          -- provider:name
  library       TEXT NOT NULL,          -- that made the request, with its version: another one may read the journal differently
  input_tokens  INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost          REAL,                   -- dollars; NULL: not known
  PRIMARY KEY (run_id, n)
) WITHOUT ROWID;
