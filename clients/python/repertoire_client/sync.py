"""`SyncRepertoireClient`: the same names without async. A thread of its own runs the one implementation; nothing is written twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self

import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from .answers import Created, Event, Listed, ListedRun, Matches, Run, Workflow
from .client import RepertoireClient
from .runs import OnEvent, Runs
from .workflows import Workflows

OnEventSync = Callable[[Event], object]


class SyncRepertoireClient:
    """A connection, open within `with`; see RepertoireClient. May be used from several threads."""

    workflows: SyncWorkflows
    runs: SyncRuns

    def __init__(self, client: RepertoireClient) -> None:
        self._client = client
        self._open = ExitStack()

    @classmethod
    def stdio(
        cls,
        home: str | os.PathLike[str] | None = None,
        session: str | None = None,
        workflows: Sequence[str | os.PathLike[str]] = (),
        *,
        command: Sequence[str] | None = None,
    ) -> Self:
        """As RepertoireClient.stdio."""
        return cls(RepertoireClient.stdio(home, session, workflows, command=command))

    @classmethod
    def http(cls, url: str) -> Self:
        """As RepertoireClient.http."""
        return cls(RepertoireClient.http(url))

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            portal = opening.enter_context(start_blocking_portal())
            client = opening.enter_context(portal.wrap_async_context_manager(self._client))
            self._open = opening.pop_all()
        self.workflows = SyncWorkflows(client.workflows, portal)
        self.runs = SyncRuns(client.runs, portal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.__exit__(kind, error, at)


class SyncWorkflows:
    """`client.workflows`; see Workflows."""

    def __init__(self, workflows: Workflows, portal: BlockingPortal) -> None:
        self._workflows = workflows
        self._portal = portal

    def search(self, query: str, limit: int = 5, *, tags: Sequence[str] = (), include_source: bool = False) -> Matches:
        return self._portal.call(
            partial(self._workflows.search, query, limit, tags=tags, include_source=include_source)
        )

    def get(self, name: str, *, version: str | None = None, diff: str | None = None) -> Workflow:
        return self._portal.call(partial(self._workflows.get, name, version=version, diff=diff))

    def create(
        self, name: str, source: str | None = None, description: str | None = None, replace: bool = False, *,
        examples: Sequence[Mapping[str, Any]] | None = None, tags: Sequence[str] = (), publish: bool = True,
        from_run: str | None = None, force: bool = False,
    ) -> Created:  # fmt: skip
        create = partial(
            self._workflows.create, name, source, description, replace, examples=examples, tags=tags, publish=publish,
            from_run=from_run, force=force,
        )  # fmt: skip
        return self._portal.call(create)

    def publish(self, name: str, version: str | None = None, *, force: bool = False) -> Created:
        return self._portal.call(partial(self._workflows.publish, name, version, force=force))

    def delete(self, name: str, *, force: bool = False) -> bool:
        return self._portal.call(partial(self._workflows.delete, name, force=force))

    def run(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        on_event: OnEventSync | None = None,
        wait_s: float | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Run:
        """`on_event` is called in a thread of its own, one event at a time."""
        hear = None if on_event is None else _in_a_thread(on_event)
        run = partial(self._workflows.run, name, arguments, session_id, hear, wait_s, idempotency_key=idempotency_key)
        return self._portal.call(run)

    def list(
        self, *, created_by: str | None = None, since: str | None = None, tags: Sequence[str] = (), status: str | None = None
    ) -> tuple[Listed, ...]:  # fmt: skip
        filters = partial(self._workflows.list, created_by=created_by, since=since, tags=tags, status=status)
        return self._portal.call(filters)


class SyncRuns:
    """`client.runs`; see Runs."""

    def __init__(self, runs: Runs, portal: BlockingPortal) -> None:
        self._runs = runs
        self._portal = portal

    def get(self, run_id: str, wait_s: float = 0, after_event: int = 0) -> Run:
        return self._portal.call(self._runs.get, run_id, wait_s, after_event)

    def cancel(self, run_id: str) -> Run:
        return self._portal.call(self._runs.cancel, run_id)

    def answer(self, run_id: str, answer: Any, question_id: str | None = None) -> Run:
        run: Run = self._portal.call(self._runs.answer, run_id, answer, question_id)
        return run

    def result(self, run_id: str) -> Any:
        return self._portal.call(self._runs.result, run_id)

    def list(
        self, workflow: str | None = None, session_id: str | None = None, status: str | None = None, since: str | None = None,
        until: str | None = None, limit: int = 20,
    ) -> tuple[ListedRun, ...]:  # fmt: skip
        return self._portal.call(self._runs.list, workflow, session_id, status, since, until, limit)


def _in_a_thread(on_event: OnEventSync) -> OnEvent:
    """A callback may block; the connection must not."""

    async def hear(event: Event) -> None:
        await anyio.to_thread.run_sync(on_event, event)

    return hear
