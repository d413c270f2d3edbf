"""Attacks as data: what code that came through a tool could try, and what has to come of it.

1. Each module of a subject (files.py, network.py, ...) has a table of `Attack`, made by the decorators of attack.py.
2. `test_attacks.py` runs all of them against a real server, as an MCP client does, and checks after each that it was contained.
3. `test_layers.py` switches off all layers of the sandbox but one, and shows that this one stops its own attacks.
4. `pending.py` lists the attacks that are not contained yet, each with its reason.
"""
