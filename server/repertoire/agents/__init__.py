"""Agents: the API by which workflow files use language models; used by workflow files, in a worker and in a plain script.

pydantic-ai is imported by the first agent that runs, never by an import of this package.
"""
