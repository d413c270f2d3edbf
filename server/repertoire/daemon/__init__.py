"""The daemon of a home: the process that owns it and serves its socket.

home_lock.py owns the home, server.py accepts connections, greeting.py reads their first lines, line_channel.py reads and writes
lines, control_connection.py answers the command line. Not what is served (app.py), not the client side (front/, cli/).
"""
