"""Values: Python values, errors and refusals as JSON, and back.

`codec` (session state) and `records` (step results, arguments, exceptions) are the entries; `trees`, `scalars`, `instances` and
`exceptions` do the work. `update_in_place` and `changes` update a state in place. `result_json` and `big_integers` help to write results.
`refusals` holds the exceptions by which Repertoire refuses. Used by `signature`, `authoring`, `classes`, `worker` and the server.
Not for the types of `run`: see `signature`.
"""
