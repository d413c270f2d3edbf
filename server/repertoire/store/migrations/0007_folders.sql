-- The workflow folders that a run's caller sees, as a JSON list, best first: what the run calls by name is looked up there.
-- NULL: none but those that everybody sees, or the run is older than this.
ALTER TABLE run ADD COLUMN roots TEXT;
