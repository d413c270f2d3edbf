"""Repertoire from Python: search, create and run workflows over MCP, without knowing MCP.

    from repertoire_client import RepertoireClient

    async with RepertoireClient.stdio(session="notebook") as repertoire:
        for match in await repertoire.workflows.search("profile a csv file"):
            print(match.score, match.name)
        run = await repertoire.workflows.run("csv_profile", {"path": "/data/sales.csv"}, on_event=print)
        print(run.status, run.result)

`RepertoireClient.http("http://127.0.0.1:8080/mcp")` reaches a server that runs already. Without async:

    from repertoire_client import SyncRepertoireClient

    with SyncRepertoireClient.stdio() as repertoire:
        print(repertoire.workflows.run("counter", {"by": 2}).result)

A run that failed is an answer (`run.status`, `run.error`); a call that was refused raises RepertoireCallError. The package needs
only the MCP SDK and anyio; the server is a process of its own and nothing of it is imported.
"""

from .answers import Created, Event, Listed, ListedRun, Match, Matches, Nearest, Question, Run, RunError, Workflow
from .client import RepertoireClient
from .errors import RepertoireCallError
from .sync import SyncRepertoireClient

__all__ = [
    "RepertoireClient",
    "SyncRepertoireClient",
    "RepertoireCallError",
    "Run",
    "RunError",
    "Question",
    "ListedRun",
    "Event",
    "Match",
    "Matches",
    "Nearest",
    "Listed",
    "Workflow",
    "Created",
]
