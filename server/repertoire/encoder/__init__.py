"""The encoder: a child process that turns texts into vectors, keeps them and finds the nearest ones.

`messages`, `recipe`, `words` and `models` are light and read by the host too; the rest is loaded in the child only, because torch
and numpy must never be part of the server process.
"""
