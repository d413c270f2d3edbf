-- A run's callers are told when its body was begun again: what it does outside of its steps has then happened more than once.
ALTER TABLE run ADD COLUMN resumed INTEGER NOT NULL DEFAULT 0;
