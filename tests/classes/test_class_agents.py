"""Agents as attributes of a class workflow: each run sees them with its own session. The acceptance cases' ids are in the tests' names."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from repertoire import RunResponse, Workflow
from support.class_style import Stub


class TeamOf(Stub):
    def __init__(self, *members: Stub) -> None:
        super().__init__()
        self.members = members


class WithAgents(Workflow):
    own = Stub()
    team = TeamOf(own)

    def run(self, wait: threading.Barrier | None = None) -> RunResponse:
        agents = [self.own, self.inherited, self.instance, self.team]
        if wait is not None:
            wait.wait(10)
        return RunResponse(content={agent.run("x") and agent.session_id for agent in agents})


class Base(WithAgents):
    inherited = Stub()


class Inheriting(Base):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.instance = Stub()


def test_a34_every_agent_carries_the_session_of_the_run_that_uses_it() -> None:
    one, two, auto = Inheriting(session_id="one"), Inheriting(session_id="two"), Inheriting()
    assert one.run().content == {"one"}
    assert two.run().content == {"two"}
    assert one.run().content == {"one"}, "though the other was there last"
    assert auto.run().content == {auto.session_id}
    assert one.instance.session_id == "one" and Base.inherited.session_id == auto.session_id
    assert one.instance.sessions == ["one", "one"] and Base.inherited.sessions == ["one", "two", "one", auto.session_id]


def test_a34_runs_at_the_same_time_see_their_own_session_on_a_shared_agent() -> None:
    workflows = [Inheriting(session_id=str(number)) for number in range(4)]
    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda workflow: workflow.run(wait=barrier), workflows))
    assert [response.content for response in responses] == [{"0"}, {"1"}, {"2"}, {"3"}]


def test_a34_an_explicit_session_is_on_the_agents_from_the_beginning_and_in_the_next_session() -> None:
    workflow = Inheriting(session_id="first")
    assert WithAgents.own.session_id == "first" and WithAgents.team.session_id == "first"
    new = workflow.new_session()
    assert workflow.run().content == {new}


def test_a34_agents_that_allow_no_view_are_given_the_session_itself() -> None:
    class Slotted:
        __slots__ = ("session_id",)

        def __init__(self) -> None:
            self.session_id: str | None = None

        def run(self) -> Any:
            return self.session_id

    class Strict(Workflow):
        agent = Slotted()

        def run(self) -> RunResponse:
            return RunResponse(content=self.agent.run())

    assert [Strict(session_id=name).run().content for name in ("a", "b")] == ["a", "b"]


def test_a_view_is_the_agent_in_all_else() -> None:
    class Counting(Stub):
        calls = 0

        def run(self, message: str, stream: bool = False) -> Any:
            self.calls += 1
            return super().run(message, stream)

    class Using(Workflow):
        agent = Counting()

        def run(self) -> RunResponse:
            assert isinstance(self.agent, Counting) and self.agent is self.agent
            self.agent.run("a")
            return RunResponse(content=self.agent.run_response.content if self.agent.run_response else None)

    assert Using().run().content == "a"
    assert Using.agent.calls == 1 and Using.agent.run_response is not None and type(Using.agent) is Counting
