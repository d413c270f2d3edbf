"""Engine: runs workflows in worker processes and records what they do; used by the service and the app.

It knows neither MCP nor HTTP nor the command line, and it does not look up workflows by name. Where to begin: `runner` for one run from
start to end, `pool` for workers, `doors` and `call_executor` for the calls of a body, `recovery` for a restart.
"""
