"""The owner of a home and its socket: serve.py lets people in, owner.py holds the lock, channel.py frames lines,
control.py is the command line's end of a control connection."""
