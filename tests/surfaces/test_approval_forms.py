"""Approvals by forms: a client that shows forms to its user is asked when it creates under `approval`; all others get the command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from support.mcp_calls import call
from support.publishing import DOUBLE
from support.tasks_client import begin
from support.transports import Way, way_in

pytestmark = pytest.mark.anyio

ENVIRON = {"REPERTOIRE_AUTHORING": "approval", "REPERTOIRE_SEARCH_MODEL": "off", "REPERTOIRE_READY_WORKFLOWS": "false"}
AGREE = "approve: it runs with my rights"


class Person:
    """Answers each form alike: with a choice, or by leaving it."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.shown: list[Any] = []

    async def __call__(self, context: Any, params: Any) -> Any:
        self.shown.append(params)
        if self.answer == "decline":
            return types.ElicitResult(action="decline")
        if self.answer == "cancel":
            return types.ElicitResult(action="cancel")
        return types.ElicitResult(action="accept", content={"answer": self.answer})


@pytest.fixture(scope="module", params=["stdio-legacy", "stdio-modern"])
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with way_in(request.param, tmp_path_factory.mktemp("forms") / "home", ENVIRON) as found:
        yield found


async def test_a_person_who_agrees_approves_that_text(way: Way) -> None:
    person = Person(AGREE)
    source = DOUBLE.replace("number.", "num\u202eber.", 1)
    async with way.client(elicitation_callback=person) as client:
        made = await call(client, "create_workflow", {"name": "agreed", "source": source})
        assert (made["status"], made["is_error"]) == ("published", False)
        (shown,) = person.shown
        assert "return n * 2" in shown.message and "num\\u202eber" in shown.message and "\u202e" not in shown.message
        assert (await call(client, "agreed", {"n": 4}))["result"] == 8
        known = await call(client, "get_workflow", {"name": "agreed"})
        assert known["trust"] == "approved" and known["approved"]["way"] == "form"


@pytest.mark.parametrize("answer", ["decline", "cancel", "do not approve"])
async def test_a_person_who_does_not_agree_leaves_a_draft(way: Way, answer: str) -> None:
    name = answer.replace(" ", "_")
    async with way.client(elicitation_callback=Person(answer)) as client:
        made = await call(client, "create_workflow", {"name": name, "source": DOUBLE})
        assert made["is_error"] and made["error"]["code"] == "approval_required"
        known = await call(client, "get_workflow", {"name": name})
        assert (known["status"], known["trust"]) == ("draft", "untrusted")
        again = await call(client, "publish_workflow", {"name": name, "version": known["version"]})
        assert again["is_error"] and again["error"]["code"] == "approval_required"


async def test_a_client_without_forms_gets_the_command(way: Way) -> None:
    async with way.client() as client:
        made = await call(client, "create_workflow", {"name": "no_forms", "source": DOUBLE})
        assert made["is_error"] and f"repertoire approve no_forms {made['version']}" in made["error"]["hint"]
        again = await call(client, "publish_workflow", {"name": "no_forms", "version": made["version"]})
        assert again["is_error"] and again["error"]["code"] == "approval_required"
        code = await call(client, "run_code", {"source": "1 + 1"})
        assert code["is_error"] and code["error"]["code"] == "approval_required"


async def test_a_source_that_is_too_long_for_a_form_needs_the_command(way: Way) -> None:
    person = Person(AGREE)
    async with way.client(elicitation_callback=person) as client:
        source = DOUBLE + "".join(f"# line {n} of many, which hide what is below\n" for n in range(500))
        made = await call(client, "create_workflow", {"name": "too_long", "source": source})
        assert made["is_error"] and not person.shown and "repertoire approve too_long" in made["error"]["hint"]


async def test_the_decision_is_bound_to_the_text_that_was_shown(way: Way) -> None:
    if way.name.endswith("legacy"):
        pytest.skip("only 2026-07-28 hands a state to the client")
    async with way.client(elicitation_callback=Person(AGREE)) as client:
        given = {"name": "bound", "source": DOUBLE}
        first = await begin(client, "create_workflow", given)
        answers: Any = {"approval": types.ElicitResult(action="accept", content={"answer": AGREE})}
        other = {**given, "source": DOUBLE.replace("* 2", "* 3")}
        for arguments, state in ((other, first.request_state), (given, "approve " + "0" * 64)):
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await begin(client, "create_workflow", arguments, input_responses=answers, request_state=state)
