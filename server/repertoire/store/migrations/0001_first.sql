CREATE TABLE version (
  hash          TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  body          BLOB NOT NULL,          -- msgpack of model.workflow.WorkflowVersion: immutable, so never queried by part
  created_at    REAL NOT NULL
);
CREATE INDEX version_name ON version (name);

-- What tools created and have not deleted. Files are not here: the folder says which of them exist.
CREATE TABLE published (
  name          TEXT PRIMARY KEY,
  hash          TEXT NOT NULL REFERENCES version (hash),
  published_at  REAL NOT NULL
) WITHOUT ROWID;

-- What was read from each file, by its content: an unchanged restart loads no module.
CREATE TABLE scanned (
  root          TEXT NOT NULL,
  path          TEXT NOT NULL,
  fingerprint   TEXT NOT NULL,          -- of the file and of every module it imports from its folder
  hash          TEXT,                   -- the version, or
  broken        BLOB,                   -- msgpack of model.workflow.BrokenFile
  PRIMARY KEY (root, path)
) WITHOUT ROWID;

CREATE TABLE session (
  id            TEXT PRIMARY KEY,
  principal     TEXT NOT NULL,
  name          TEXT,
  created_at    REAL NOT NULL,
  used_at       REAL NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX session_name ON session (principal, name) WHERE name IS NOT NULL;

CREATE TABLE state (
  session_id    TEXT NOT NULL,
  workflow      TEXT NOT NULL,
  value         TEXT NOT NULL,
  updated_at    REAL NOT NULL,
  PRIMARY KEY (session_id, workflow)
) WITHOUT ROWID;

-- Who holds the right to change a state: one run at a time.
CREATE TABLE place (
  session_id    TEXT NOT NULL,
  workflow      TEXT NOT NULL,
  run_id        TEXT NOT NULL,
  PRIMARY KEY (session_id, workflow)
) WITHOUT ROWID;

-- One row for each process that has owned the home; every write of a run names its epoch.
CREATE TABLE owner (
  epoch         INTEGER PRIMARY KEY AUTOINCREMENT,
  pid           INTEGER NOT NULL,
  started_at    REAL NOT NULL
);

CREATE TABLE run (
  id            TEXT PRIMARY KEY,
  workflow      TEXT NOT NULL,
  version       TEXT NOT NULL,
  session_id    TEXT NOT NULL,
  principal     TEXT NOT NULL,
  epoch         INTEGER NOT NULL,
  status        TEXT NOT NULL,
  arguments     TEXT NOT NULL,
  result        TEXT,
  error         BLOB,                   -- msgpack of wire.Fault
  created_at    REAL NOT NULL,
  started_at    REAL,
  ended_at      REAL,
  last_event    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX run_created ON run (created_at);
CREATE INDEX run_workflow ON run (workflow, created_at);
CREATE INDEX run_session ON run (session_id, created_at);
CREATE INDEX run_live ON run (status) WHERE status IN ('working', 'input_required');

CREATE TABLE event (
  run_id        TEXT NOT NULL,
  n             INTEGER NOT NULL,
  type          TEXT NOT NULL,
  at            REAL NOT NULL,
  data          TEXT NOT NULL,
  PRIMARY KEY (run_id, n)
) WITHOUT ROWID;

-- Versions are immutable, so their text is indexed once.
CREATE VIRTUAL TABLE version_text USING fts5 (hash UNINDEXED, name, description, parameters, tokenize = 'porter unicode61');
