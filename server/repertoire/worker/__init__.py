"""The process that runs bodies, one at a time. Imports only `authoring` and `wire`; never the server."""
