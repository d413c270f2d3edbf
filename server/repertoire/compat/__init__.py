"""Compat: the import paths of Agno v1, buddy and PyFlue, so that workflow files written for them load unchanged.

`hook` answers the imports, `import_tables` is its table of names for Agno and buddy, and `pyflue` is the module for PyFlue. The names come
from `classes` and `authoring`. Used by the worker.
"""
