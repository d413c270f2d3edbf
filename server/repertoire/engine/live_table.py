"""LiveTable: the runs that go on in this process, by id; used by Runner and its parts.

It also keeps two facts about runs that are being parked, or are parked: news that came too early, and the caller's environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..model.run import Question
from .live_run import Live


class LiveTable:
    def __init__(self) -> None:
        self._runs: dict[str, Live] = {}
        self._woken: set[str] = set()
        self._envs: dict[str, tuple[Mapping[str, str], Mapping[str, str]]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def __iter__(self) -> Iterator[Live]:
        return iter(list(self._runs.values()))

    def get(self, run_id: str | None) -> Live | None:
        return self._runs.get(run_id or "")

    def add(self, live: Live) -> None:
        self._runs[live.run.id] = live

    def leave(self, live: Live) -> None:
        """Nothing is recorded: another process goes on with the run."""
        self.remove(live.run.id)
        live.end()

    def remove(self, run_id: str) -> None:
        self._runs.pop(run_id, None)

    def note_news(self, run_id: str) -> None:
        """The run is live, and news came for it. If it is being parked now, it has to be resumed right after that."""
        self._woken.add(run_id)

    def take_news(self, run_id: str) -> bool:
        """Were there news? They are forgotten."""
        had_news = run_id in self._woken
        self._woken.discard(run_id)
        return had_news

    def keep_env(self, live: Live) -> None:
        """The environment is not stored. A parked run gets it back when this process resumes it."""
        if live.env or live.provider_env:
            self._envs[live.run.id] = live.env, live.provider_env

    def take_env(self, run_id: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The variables that its body sees, and those of the model providers."""
        return self._envs.pop(run_id, ({}, {}))

    def forget_question(self, question: Question) -> None:
        """It is not asked any more. Ask every live run: some of the runs above the one that asks may be parked."""
        for live in self:
            if any(asked.id == question.id for asked in live.run.questions):
                live.forget_questions(question.run_id, question.id)
