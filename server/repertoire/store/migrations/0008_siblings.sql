-- More of what lies beside a workflow file is part of its version: files known from before are read once more.
DELETE FROM scanned;
