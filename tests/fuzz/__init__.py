"""Fuzzing of what comes from untrusted code: the frames of a worker, and sources. `python -m tests.fuzz --minutes N` goes on for longer."""
