"""Encoder: a child process that turns texts into vectors, keeps them and finds the nearest ones; used by search in `registry`.

`messages`, `search_weights`, `tokens` and `models` are light, and the host imports them too. The other modules are loaded in the child
only, because torch and numpy must never be part of the server process.
"""
