-- Results and recorded answers of more than 256 KiB are files below HOME/records, named by the sha256 of their bytes. In the place of
-- their text, a row of run or call has that hash as a blob. A row is written after its file is whole; a file without a row is deleted.
CREATE TABLE record_file (
  hash          BLOB PRIMARY KEY,
  size          INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX call_record_file ON call (result) WHERE typeof(result) = 'blob';
CREATE INDEX run_record_file ON run (result) WHERE typeof(result) = 'blob';
