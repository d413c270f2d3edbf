-- A version that was run once, without a name, is deleted with its last run.
CREATE INDEX run_of_code ON run (version) WHERE workflow = 'run_code';
