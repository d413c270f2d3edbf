"""A task of ten tool calls, done twice: as one script with `run_code`, and one tool at a time as an agent does it without Repertoire.

1. The task is fixed: how many stars ten repositories have together, and which of them has most. Each call answers with some 1.2 KB of JSON.
2. Both ways make the real calls and get the real answers. The agent is a script: what a model would write is written here.
3. A turn is one request to a model. It reads the tool list and all that was said before, and writes a call; the last turn writes the answer.
4. Tokens are bytes of compact JSON divided by four, as everywhere in this repository. Models' tokenizers count a little less.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from .figures import Figure, Plan
from .servers import a_home
from .wire import StdioClient, call, list_all

NAMES = [f"repository-{number}" for number in range(10)]
TASK = f"How many stars do {', '.join(NAMES)} have together, and which of them has the most?"
ANSWER = "Together they have 5,150 stars; repository-9 has the most."
SCRIPT = """import asyncio

found = await asyncio.gather(*(tools.forge.get_repository(name=name) for name in names))
best = max(found, key=lambda one: one["stargazers_count"])
{"stars": sum(one["stargazers_count"] for one in found), "most": best["name"]}
"""


@dataclass
class Talk:
    """What a model reads and writes. `tools` are those that it is shown from the beginning."""

    tools: Any
    turns: int = 0
    read: int = 0
    written: int = 0
    calls: int = 0
    said: list[Any] = field(default_factory=lambda: [TASK])

    def turn(self, *written: Any) -> None:
        """One request: it reads all that was said, and writes this."""
        self.turns += 1
        self.read += tokens(self.tools) + sum(map(tokens, self.said))
        self.written += sum(map(tokens, written))
        self.said += written

    def use(self, client: StdioClient, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        """A turn that makes these calls, and their answers, which the next one reads."""
        self.turn(*({"name": name, "arguments": arguments} for name, arguments in calls))
        self.calls += len(calls)
        answers = [call(client, name, **arguments) for name, arguments in calls]
        self.said += answers
        return answers

    @property
    def context(self) -> int:
        """Tokens in the context at the end."""
        return tokens(self.tools) + sum(map(tokens, self.said))


def tokens(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) // 4


def measure(plan: Plan) -> list[Figure]:
    forge = [sys.executable, "-P", str(_forge())]
    with a_home() as home, StdioClient(forge, home.environ) as direct:
        words = {"mcpServers": {"forge": {"command": forge[0], "args": forge[1:]}}}
        (home.path / "mcp.json").write_text(json.dumps(words))
        home.environ["REPERTOIRE_UNTRUSTED_TOOLS"] = "forge.*"
        home.environ["REPERTOIRE_READY_WORKFLOWS"] = "false"
        with home.front() as front:
            ways: dict[str, Callable[[], Talk]] = {
                "one at a time": lambda: _one_at_a_time(direct),
                "all ten in one turn": lambda: _in_one_turn(direct),
                "code": lambda: _code(front),
            }
            for way in ways.values():
                way()  # everything is started
            talks, times = {}, {}
            for name, way in ways.items():
                began = perf_counter()
                talks[name] = way()
                times[name] = (perf_counter() - began) * 1e3
    return _figures(talks, times)


def _one_at_a_time(client: StdioClient) -> Talk:
    talk = Talk(list_all(client))
    for name in NAMES:
        talk.use(client, ("get_repository", {"name": name}))
    talk.turn(ANSWER)
    return talk


def _in_one_turn(client: StdioClient) -> Talk:
    """A model that sees that the calls do not depend on one another."""
    talk = Talk(list_all(client))
    talk.use(client, *(("get_repository", {"name": name}) for name in NAMES))
    talk.turn(ANSWER)
    return talk


def _code(client: StdioClient) -> Talk:
    """Find the tool, write the script, say the answer."""
    talk = Talk(list_all(client))
    talk.use(client, ("search_tools", {"query": "stars of a repository", "limit": 3}))
    (run,) = talk.use(client, ("run_code", {"source": SCRIPT, "arguments": {"names": NAMES}}))
    assert run["result"] == {"stars": 5150, "most": "repository-9"}, run
    talk.turn(ANSWER)
    return talk


def _figures(talks: dict[str, Talk], times: dict[str, float]) -> list[Figure]:
    code = talks["code"]
    figures = []
    for name in ("one at a time", "all ten in one turn"):
        other = talks[name]
        rows = {
            "requests to the model": (code.turns, other.turns),
            "tool calls of the model": (code.calls, other.calls),
            "tokens read, all requests together": (code.read, other.read),
            "tokens read, without the tool list": (_without(code), _without(other)),
            "tokens written": (code.written, other.written),
            "tokens in the context at the end": (code.context, other.context),
        }
        figures += [
            Figure(f"{what}: code over {name}", "", mine, theirs, mine / theirs)
            for what, (mine, theirs) in rows.items()
        ]
        figures.append(
            Figure(
                f"time of the calls: code over {name}", "ms", times["code"], times[name], times["code"] / times[name]
            )
        )
    return figures


def _without(talk: Talk) -> int:
    return talk.read - talk.turns * tokens(talk.tools)


def _forge() -> str:
    from . import forge

    return str(forge.__file__)
