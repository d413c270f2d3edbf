-- What became of each text under its name, in the order in which it happened.
CREATE TABLE publication (
  n             INTEGER PRIMARY KEY AUTOINCREMENT,
  name          TEXT NOT NULL,
  hash          TEXT NOT NULL,
  action        TEXT NOT NULL,          -- draft, published, deleted
  at            REAL NOT NULL,
  principal     TEXT NOT NULL,
  client        TEXT NOT NULL,          -- what the program calls itself through which it was done
  based_on      TEXT                    -- the version that was published before
);
CREATE INDEX publication_name ON publication (name);
CREATE INDEX publication_hash ON publication (hash);
-- Of what was stored before, which were published is not known: whatever a name has now, it may go back to.
INSERT INTO publication (name, hash, action, at, principal, client)
  SELECT name, version.hash, 'published', created_at, '', '' FROM version JOIN published USING (name)
  WHERE version.hash <> published.hash ORDER BY created_at;
INSERT INTO publication (name, hash, action, at, principal, client)
  SELECT name, hash, 'published', published_at, '', '' FROM published;

-- The examples of a version, and what they showed when they were last run.
CREATE TABLE checked (
  hash          TEXT PRIMARY KEY,
  body          BLOB NOT NULL           -- msgpack of model.example.Checked
) WITHOUT ROWID;

-- Workflows that are always listed as tools.
CREATE TABLE pin (
  name          TEXT PRIMARY KEY,
  at            REAL NOT NULL
) WITHOUT ROWID;

ALTER TABLE run ADD COLUMN example INTEGER NOT NULL DEFAULT 0;  -- made to check an example: it is nobody's work, and never resumed
