-- A file may hold several workflows, some of them broken. `scanned` keeps the file's fingerprint; its own hash and broken are no
-- longer read, and files known from before are read once more.
CREATE TABLE scanned_entry (
  root          TEXT NOT NULL,
  path          TEXT NOT NULL,
  n             INTEGER NOT NULL,       -- in the order of the file
  hash          TEXT,                   -- the version, or
  broken        BLOB,                   -- msgpack of model.workflow.BrokenFile
  PRIMARY KEY (root, path, n)
) WITHOUT ROWID;
DELETE FROM scanned;
