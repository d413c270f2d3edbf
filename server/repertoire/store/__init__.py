"""Store: everything that outlives the process, in one SQLite file; used by the engine, the registry and the service.

A *fact* is one thing that happened, stored in one transaction: "finish this run, with its state and its last event". Callers know facts
and model values, never rows. The facts about one subject are a class in one module (`runs`, `journal`, `waits`, `sessions`,
`workflow_versions`, `publications`, `approvals`, `search_facts`, `artifacts`, `model_requests`, `deletion`, `audit`).
`Store` in `sqlite` inherits them all.
"""

from .sqlite import Store, open_store

__all__ = ["Store", "open_store"]
