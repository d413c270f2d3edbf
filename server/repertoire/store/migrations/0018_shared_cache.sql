-- Results of functions with @cached(shared=True), for all sessions of a principal.
CREATE TABLE shared_cache (
  principal     TEXT NOT NULL,
  scope         TEXT NOT NULL,          -- the workflow's name; of code that is run once, its version's hash
  function      TEXT NOT NULL,
  key           TEXT NOT NULL,          -- a hash of the arguments, or of what stands for them
  value         TEXT NOT NULL,
  at            REAL NOT NULL,
  PRIMARY KEY (principal, scope, function, key)
) WITHOUT ROWID;
CREATE INDEX shared_cache_at ON shared_cache (principal, at);
