-- How often a server has died of a run, and for how long the run had held a worker at each of its records.
ALTER TABLE owner ADD COLUMN ended_at REAL;        -- it went by itself; NULL: it lives, or was killed
ALTER TABLE run ADD COLUMN held_in INTEGER;        -- the epoch in which it last held a worker
ALTER TABLE run ADD COLUMN server_deaths INTEGER NOT NULL DEFAULT 0;   -- while it held one, one after the other without a new record
ALTER TABLE run ADD COLUMN died_at INTEGER;        -- the last number of its journal when `deaths` or `server_deaths` was last counted
ALTER TABLE call ADD COLUMN held_s REAL;
