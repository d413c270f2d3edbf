"""Authoring: only what a workflow file may import, under the names of `repertoire` itself: `step`, `ask`, `log`, `Context` and others.

`ambient`, `steps`, `durable`, `cache` and `context` hold the API. `doors` is the Protocol through which it reaches the outside: the
worker implements it, and a plain script has none. `awaited_values`, `step_identity` and `time_limit` serve `steps` and `door`.
Used by workflow files and the worker. Not for reading a signature (`signature`) or for classes (`classes`).
"""
