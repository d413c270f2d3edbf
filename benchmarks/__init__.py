"""Benchmarks: what Repertoire costs beside a bare server of the MCP SDK. `python -m benchmarks NAME`; see docs/benchmarks.md.

figures.py measures in pairs, wire.py is the client (no SDK in it), servers.py starts and ends what is measured; the other
files are one benchmark each. Nothing of the product imports this package.
"""
