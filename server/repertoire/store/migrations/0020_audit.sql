-- The log of publications becomes the log of all that is done: who, what, to which workflow or run, and when. A text is empty where
-- nothing is known or nothing applies.
ALTER TABLE publication RENAME TO audit;
ALTER TABLE audit RENAME COLUMN name TO workflow;
ALTER TABLE audit RENAME COLUMN hash TO version;
ALTER TABLE audit ADD COLUMN session_id TEXT NOT NULL DEFAULT '';   -- of the one who does it
ALTER TABLE audit ADD COLUMN run_id TEXT NOT NULL DEFAULT '';       -- the run that it is about, or whose body does it
ALTER TABLE audit ADD COLUMN arguments TEXT NOT NULL DEFAULT '';    -- sha256 of their canonical JSON, never the arguments
ALTER TABLE audit ADD COLUMN status TEXT NOT NULL DEFAULT '';       -- of the run
ALTER TABLE audit ADD COLUMN subject TEXT NOT NULL DEFAULT '';      -- something that is no workflow: a question, a session, an artifact
DROP INDEX publication_name;
DROP INDEX publication_hash;
-- Lines about runs are not in an index: each run adds two.
CREATE INDEX audit_workflow ON audit (workflow) WHERE action IN ('draft', 'published', 'deleted', 'forgotten');
CREATE INDEX audit_version ON audit (version) WHERE action IN ('draft', 'published', 'deleted', 'forgotten');
-- What became of each text under its name. When a version is deleted, its earlier lines are only history.
CREATE VIEW publication (n, name, hash, action, at, principal, client, based_on) AS
  SELECT n, workflow, version, action, at, principal, client, based_on FROM audit AS line
  WHERE action IN ('draft', 'published', 'deleted', 'forgotten') AND action <> 'forgotten' AND NOT EXISTS (
    SELECT 1 FROM audit AS later WHERE later.action IN ('draft', 'published', 'deleted', 'forgotten')
    AND later.version = line.version AND later.action = 'forgotten' AND later.n > line.n
  );

-- Lines are only added. Old ones go through one door, which says here how old they are.
CREATE TABLE audit_bound (
  before        REAL NOT NULL
);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only: a line is never changed');
END;
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE n = NEW.n) BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only: a line is never replaced');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
WHEN OLD.at >= coalesce((SELECT max(before) FROM audit_bound), 0) BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only: only retention deletes its old lines');
END;
