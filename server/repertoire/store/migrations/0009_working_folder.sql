-- The working folder of a run's caller: relative paths in its arguments mean files there, also when the run goes on after a restart.
-- NULL: nobody knows it, as over HTTP, or the run is older than this.
ALTER TABLE run ADD COLUMN cwd TEXT;
