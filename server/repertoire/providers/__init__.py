"""Providers: requests to language models with pydantic-ai's own classes; used by the server's door `model` and by plain scripts.

`model_ids` names models, `keys` finds providers that have a key, `exchange` is a request and its reply as JSON, `requests` makes one
request. pydantic-ai is imported by the first use, never by an import of this package.
"""
