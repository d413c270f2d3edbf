-- Files below HOME/artifacts/files, named by the sha256 of their bytes. A row is written after its file is whole; a file without a row is deleted.
CREATE TABLE content (
  hash          TEXT PRIMARY KEY,
  size          INTEGER NOT NULL,
  stored_at     REAL NOT NULL           -- when it was last saved: a fresh one is never deleted, except for lack of room
) WITHOUT ROWID;
-- What bodies and people have saved, by name.
CREATE TABLE artifact (
  principal     TEXT NOT NULL,
  name          TEXT NOT NULL,
  hash          TEXT NOT NULL,
  size          INTEGER NOT NULL,
  kind          TEXT NOT NULL,          -- text, json or bytes: what load gives
  mime_type     TEXT NOT NULL,
  description   TEXT NOT NULL,
  metadata      TEXT NOT NULL,          -- a JSON object
  run_id        TEXT,                   -- the run that has saved it last
  created_at    REAL NOT NULL,
  updated_at    REAL NOT NULL,
  used_at       REAL NOT NULL,          -- when it was last saved or loaded
  PRIMARY KEY (principal, name)
) WITHOUT ROWID;
CREATE INDEX artifact_hash ON artifact (hash);
CREATE INDEX artifact_used ON artifact (used_at);
-- Contents that runs have loaded. While a run has not ended, a replay may load the same again.
CREATE TABLE content_use (
  run_id        TEXT NOT NULL,
  hash          TEXT NOT NULL,
  PRIMARY KEY (run_id, hash)
) WITHOUT ROWID;
CREATE INDEX content_use_hash ON content_use (hash);
