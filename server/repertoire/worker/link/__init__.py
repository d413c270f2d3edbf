"""Link: the worker's side of the socket to the host.

`channel` reads and writes frames, `outbox` gathers events before they are sent, `sanitize` makes values fit for a frame,
`threads` tells a body's threads from our own. The frames themselves are in `repertoire.wire`.
"""
