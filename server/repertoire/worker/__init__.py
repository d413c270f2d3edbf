"""Worker: the process that runs workflow bodies, one at a time. Never imports the server.

- `process` answers the host's frames; `call` calls the body; `body_errors` turns exceptions into faults; `zygote` forks workers.
- `link`: the socket to the host.
- `source`: from stored source text to a function that can be called.
- `replay`: a body's calls, their records, and the replay of a run from them.
- `surroundings`: process-wide state, compared and reset between runs.
- `output`: what bodies and their children print.
- `children`: processes that a body starts.
"""
