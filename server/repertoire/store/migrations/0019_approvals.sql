-- Versions that a person has approved. The row of a version is deleted when its approval is taken back.
CREATE TABLE approval (
  hash          TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  principal     TEXT NOT NULL,          -- who approved
  client        TEXT NOT NULL,          -- what the program calls itself through which it was done
  way           TEXT NOT NULL,          -- command line, or form: shown to the person by the client
  at            REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX scanned_entry_hash ON scanned_entry (hash);
