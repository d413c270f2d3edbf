"""Output: what bodies and their children print, as `log` events of the run.

`streams` replaces `sys.stdout` and `sys.stderr`. `capture` reads the file descriptors 1 and 2, and the messages of forked children.
`line_buffer` cuts text into the lines that become events.
"""
