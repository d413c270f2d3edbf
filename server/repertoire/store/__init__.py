"""All persistence, behind whole facts ("finish this run, with its state and its last event"), not rows."""

from .sqlite import Store, open_store

__all__ = ["Store", "open_store"]
