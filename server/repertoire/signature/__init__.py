"""Signature: from `run(...)` to JSON Schemas, checked arguments and a checked result.

`schema.read` is the entry; it gives a `Signature`. `arguments` and `payload` check a call, in one of two styles: parameters, or one
payload. `result` checks and writes the return value. `annotations`, `fast_adapters`, `schema_generator` and `docstring` read types and texts.
Used by `worker` (schemas when a file is loaded, checks in each run), and for validation messages by the server. Not for workflow files.
"""
