"""Workflows: find, read, create, delete, run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio

from .answers import Created, Listed, Matches, Run, Workflow, made, made_run
from .calls import Calls, OnProgress
from .runs import OnEvent, Runs

_LONGEST_WAIT_S: Final = 45
"""The server waits no longer in one call."""
_PAGE: Final = 1000
"""As many as the server gives at once."""


class Workflows:
    """`client.workflows`."""

    def __init__(self, calls: Calls, runs: Runs) -> None:
        self._calls = calls
        self._runs = runs

    async def search(
        self, query: str, limit: int = 5, *, tags: Sequence[str] = (), include_source: bool = False
    ) -> Matches:
        """Workflows that do what the query says and have all `tags`, the best first. If nothing fits: empty, with `nearest`."""
        arguments = {
            "query": query,
            "limit": limit,
            "tags": list(tags) or None,
            "include_source": include_source or None,
        }
        return Matches.of(await self._calls("search_workflows", arguments))

    async def get(self, name: str, *, version: str | None = None, diff: str | None = None) -> Workflow:
        """Everything about one, its source included; `version` another one of its own, `diff` one to compare with."""
        return made(Workflow, await self._calls("get_workflow", {"name": name, "version": version, "diff": diff}))

    async def create(
        self, name: str, source: str | None = None, description: str | None = None, replace: bool = False, *,
        examples: Sequence[Mapping[str, Any]] | None = None, tags: Sequence[str] = (), publish: bool = True,
        from_run: str | None = None, force: bool = False,
    ) -> Created:  # fmt: skip
        """Publish a module's source if its `examples` hold; `replace` makes a new version of one that exists.

        `examples` are objects as docs/publishing.md shows them; `from_run` makes one of a run. Without `publish` it is kept as a draft.

        Raises RepertoireCallError with what to correct, its `line`, and all findings in `details`, where the source is refused.
        """
        arguments = {
            "name": name, "source": source, "description": description, "replace": replace, "tags": list(tags) or None,
            "examples": None if examples is None else [dict(one) for one in examples], "from_run": from_run,
            "publish": None if publish else False, "force": force or None,
        }  # fmt: skip
        return made(Created, await self._calls("create_workflow", arguments))

    async def publish(self, name: str, version: str | None = None, *, force: bool = False) -> Created:
        """Let the name run a draft, whose examples are run first, or a version that was published before. Without `version` it is the
        last draft, or the deleted version."""
        arguments = {"name": name, "version": version, "force": force or None}
        return made(Created, await self._calls("publish_workflow", arguments))

    async def delete(self, name: str, *, force: bool = False) -> bool:
        """Take a created one away; its runs stay readable. False: there was none."""
        answer = await self._calls("delete_workflow", {"name": name, "force": force or None})
        return bool(answer["deleted"])

    async def run(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        on_event: OnEvent | None = None,
        wait_s: float | None = None,
        *,
        on_progress: OnProgress | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Run a workflow and wait for its end, however long that takes. A failed run is an answer too: see `status` and `error`.
        One that asks something is given as it is then, with its `questions`.

        The server answers a long run `working` after 45 s and this goes on asking; `wait_s` limits that: after so many seconds,
        0 at once, the run is given as it is. `on_event` hears every event once and in order, but not before the server's
        first answer, since the run has no known id before; `on_progress(done, total, message)` hears of progress until then.
        Cancelling this call cancels the run only until then. The same `idempotency_key`, within 24 hours, means the same run.
        """
        call: dict[str, Any] = {"name": name, "arguments": dict(arguments or {}), "session_id": session_id}
        call["idempotency_key"] = idempotency_key
        begun = anyio.current_time()
        call["wait_s"] = None if wait_s is None else min(max(wait_s, 0), _LONGEST_WAIT_S)
        run = made_run(await self._calls("run_workflow", call, on_progress))
        return await self._runs.follow(
            run, on_event, None if wait_s is None else wait_s - (anyio.current_time() - begun)
        )

    async def list(
        self, *, created_by: str | None = None, since: str | None = None, tags: Sequence[str] = (), status: str | None = None
    ) -> tuple[Listed, ...]:  # fmt: skip
        """All of them that fit every filter, in alphabetical order. `created_by`: "me", or a part of a client's name. `status`: published
        (left out), draft or deleted."""
        filters = {"created_by": created_by, "since": since, "tags": list(tags) or None, "status": status}
        found: tuple[Listed, ...] = ()
        cursor = None
        while True:
            page = await self._calls("list_workflows", {"limit": _PAGE, "cursor": cursor, **filters})
            found += tuple(made(Listed, item) for item in page["workflows"])
            cursor = page["next_cursor"]
            if cursor is None:
                return found
