"""Call operations: a table of every operation that a body's call may name, with its properties; used by worker, engine and service.

`Call.op` of the wire is one of these names. The server has one door for each. Steps are not among them: the worker executes a step itself.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Operation(NamedTuple):
    takes_long: bool = False
    """It may take days. A run that waits for nothing else is parked: it needs no worker."""
    keeps_place: bool = False
    """The server answers it by itself, soon. The run keeps its place among the workers. For any other call it gives the place back."""
    is_quiet: bool = False
    """Watchers of the run are not told of it."""
    only_reads: bool = False
    """It changes nothing outside its own run and session. A run of an example has this door as any run does."""
    is_own: bool = False
    """An example executes it too. It never becomes a mock."""


OPERATIONS: Final[dict[str, Operation]] = {
    "ask": Operation(takes_long=True),
    "sleep": Operation(takes_long=True, is_own=True),
    "workflow": Operation(takes_long=True),
    "commit_state": Operation(keeps_place=True, is_quiet=True, only_reads=True, is_own=True),
    "cache.find": Operation(keeps_place=True, is_quiet=True, is_own=True),
    "cache.keep": Operation(keeps_place=True, is_quiet=True, is_own=True),
    "workflows.search": Operation(keeps_place=True, only_reads=True),
    "workflows.list": Operation(keeps_place=True, only_reads=True),
    "workflows.get": Operation(keeps_place=True, only_reads=True),
    "workflows.create": Operation(),
    "workflows.delete": Operation(keeps_place=True),
    "artifacts.save": Operation(keeps_place=True),
    "artifacts.load": Operation(keeps_place=True, only_reads=True),
    "artifacts.get": Operation(keeps_place=True, only_reads=True),
    "artifacts.list": Operation(keeps_place=True, only_reads=True),
    "artifacts.exists": Operation(keeps_place=True, only_reads=True),
    "artifacts.delete": Operation(keeps_place=True),
    "model": Operation(takes_long=True),
    "fs.read": Operation(keeps_place=True, only_reads=True, is_own=True),
    "fs.write": Operation(keeps_place=True, only_reads=True, is_own=True),
    "fs.stat": Operation(keeps_place=True, only_reads=True, is_own=True),
    "fs.list": Operation(keeps_place=True, only_reads=True, is_own=True),
    "fs.mkdir": Operation(keeps_place=True, only_reads=True, is_own=True),
    "fs.rm": Operation(keeps_place=True, only_reads=True, is_own=True),
    "shell": Operation(),
    "tool": Operation(takes_long=True),
    "tools.list": Operation(only_reads=True),
    "tools.search": Operation(only_reads=True),
}
_UNKNOWN: Final = Operation()


def operation(op: str) -> Operation:
    """The properties of an operation. A name that is not in the table has none of them: its call is answered with an error."""
    return OPERATIONS.get(op, _UNKNOWN)
