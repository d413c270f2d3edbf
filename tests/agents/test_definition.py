"""Definitions of agents: their fields, profiles and options, and what is refused; skills; in a script, with a model of pydantic-ai's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from repertoire import Context, create_agent, define_agent_profile
from repertoire.agents.definition import (
    FIELDS,
    CompactionConfig,
    Skill,
    config_of,
    extend_agent_profile,
    merged_profile,
)
from repertoire.agents.skills import load_skill, load_skills
from repertoire.agents.turn import ResultMismatch
from repertoire.values.refusals import NotAvailable


def echo(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    prompt = getattr(messages[-1].parts[-1], "content", "")
    if info.output_tools:
        return ModelResponse([ToolCallPart(info.output_tools[0].name, {"wrong": prompt})])
    return ModelResponse([TextPart(f"{len(messages)}: {prompt} ({info.instructions})")])


MODEL = FunctionModel(echo)


def test_the_fields_of_an_agent_come_over_those_of_its_profile() -> None:
    base = define_agent_profile(
        {"name": "base", "instructions": "Be brief.", "tools": [print], "thinking_level": "low"}
    )
    made = merged_profile(config_of({"profile": base, "name": "own", "tools": [len], "cwd": "/workspace"}))
    assert (made.name, made.instructions, made.thinking_level, made.tools) == ("own", "Be brief.", "low", (print, len))
    assert extend_agent_profile(base, tools=[len]).tools == (print, len)
    assert config_of({"compaction": {"keep_recent_tokens": 5}}).compaction == CompactionConfig(keep_recent_tokens=5)


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ({"modle": "x"}, "unknown 'modle'. The fields are name, description, model"),
        ({"profile": {"cwd": "x"}}, "unknown 'cwd'"),
        ({"compaction": {"size": 1}}, "unknown 'size'"),
        ({"compaction": 3}, "compaction"),
        ({"thinking_level": "huge"}, "off, minimal, low"),
        ({"name": "two words"}, "name"),
        ({"instructions": ""}, "instructions"),
        ({"model": " "}, "model"),
        ({"tools": "tool"}, "tools"),
        ({"skills": [Skill("a"), Skill("a")]}, "'a' is there twice"),
        ({"subagents": [{"instructions": "x"}]}, "each needs a name"),
        ({"cwd": "../x"}, "leads out"),
        (7, "must return a dict"),
    ],
)
def test_a_wrong_definition_says_what_is_wrong(definition: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        Context().init(create_agent(lambda: definition))


def test_what_is_no_definition_and_no_agent() -> None:
    with pytest.raises(TypeError):
        create_agent(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="create_agent"):
        Context().init(7)
    with pytest.raises(ValueError, match="unknown 'colour'"):
        Context().init(create_agent({}), colour="red")
    with pytest.raises(ValueError, match=", ".join(FIELDS[:3])):
        create_agent({"colour": "red"})


@pytest.mark.parametrize(
    "options", [{"sandbox": "daytona"}, {"mcp_servers": {"a": {}}}, {"python_backend": "monty"}, {"commands": ["ls"]}]
)
def test_what_cannot_be_honoured_is_refused_with_what_to_use(options: dict[str, Any]) -> None:
    with pytest.raises(NotAvailable) as caught:
        Context().init(None, model="openai:gpt-4o-mini", **options)
    assert caught.value.hint


def test_an_option_without_effect_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    Context().init(None, model="openai:gpt-4o-mini", harness="deepagents", allow_write=True)
    said = capsys.readouterr().err
    assert "ctx.init(harness=...) has no effect" in said and "allow_write" in said


def test_the_definition_is_called_with_the_context_and_may_be_async() -> None:
    async def later(ctx: Context) -> dict[str, Any]:
        return {"name": ctx.payload["name"]}

    async def work() -> str:
        harness = await Context({"name": "ada"}).init(create_agent(later))
        return str((await harness).name)

    assert asyncio.run(work()) == Context({"name": "ada"}).init(create_agent(later)).name == "ada"


def test_sessions_in_a_script_with_a_model_of_its_own() -> None:
    helper = define_agent_profile({"name": "helper", "instructions": "You help."})
    harness = Context().init(create_agent({"model": MODEL, "instructions": "Be brief.", "subagents": [helper]}))
    session = harness.session()
    assert session is harness.session("default") and harness.session("b") is not session
    assert session.prompt("one").text.startswith("1: one (Be brief.") and session.prompt("two").text.startswith(
        "3: two"
    )
    assert session.task("sub", agent="helper").text == "1: sub (You help.)"
    assert "You help." in session.prompt("as", role="helper").text
    assert session.prompt("😀 \ud800").text.startswith("7: 😀 \ufffd")
    assert str(session.prompt("x" * 200_000)).startswith("9: xxx")
    with pytest.raises(ResultMismatch, match="Structured output validation failed") as caught:
        session.prompt("shape", result=dict[str, int], retries=1)
    assert isinstance(caught.value, ValueError) and "wrong" in caught.value.reply
    assert len(session.messages) == 10, "a prompt that failed is not in the history"
    with pytest.raises(TypeError, match="unknown 'colour'"):
        session.prompt("x", colour="red")
    with pytest.raises(NotAvailable):
        session.prompt("x", secrets=["KEY"])
    with pytest.raises(KeyError, match="helper"):
        session.task("x", agent="nobody")
    assert session.delete() is False and session.messages == []
    with pytest.raises(KeyError):
        harness.sessions.get("c")
    assert harness.sessions.create("c") is harness.sessions.get("c")
    with pytest.raises(FileExistsError):
        harness.sessions.create("c")
    for wrong in ("", "x" * 300, 7):
        with pytest.raises(ValueError, match="id"):
            harness.session(wrong)
    with pytest.raises(ValueError, match="model=False"):
        Context().init(create_agent({"model": False})).session().prompt("x")


def test_a_response_that_a_body_returns_is_its_result() -> None:
    from repertoire.signature.schema import read

    response = Context().init(create_agent({"model": MODEL})).session().prompt("one")
    assert read(lambda: None, {}).dump({"said": response}, 1000) == '{"said":"1: one (None)"}'


def test_the_model_gives_a_task_to_a_subagent_with_the_same_files() -> None:
    def lead(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if "You help." in (info.instructions or ""):
            done = any(part.part_kind == "tool-return" for message in messages for part in message.parts)
            return ModelResponse(
                [TextPart("helped")] if done else [ToolCallPart("write", {"path": "a.md", "content": "by helper"})]
            )
        last = messages[-1].parts[-1]
        if last.part_kind == "tool-return":
            return ModelResponse([TextPart(f"lead heard: {last.content}")])
        return ModelResponse([ToolCallPart("task", {"prompt": "Do it.", "agent": "helper"})])

    helper = {"name": "helper", "description": "Helps.", "instructions": "You help."}

    async def work() -> list[Any]:
        harness = await Context().init(
            create_agent({"model": FunctionModel(lead), "cwd": "tasks", "subagents": [helper]})
        )
        return [(await harness.session().prompt("Go.")).text, await harness.fs.read_file("a.md")]

    assert asyncio.run(work()) == ["lead heard: helped", "by helper"]


def test_skills_of_a_folder_and_those_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".agents" / "skills").mkdir(parents=True)
    (tmp_path / ".agents" / "skills" / "greet.md").write_text("Say hello.")
    monkeypatch.chdir(tmp_path)
    assert "Say hello." in Context().init(create_agent({"model": MODEL})).session().skill("greet").text
    given = Context().init(None, model=MODEL, skills_dir=tmp_path / ".agents" / "skills")
    assert [one.name for one in given.profile.skills] == ["greet"]
    with pytest.raises(KeyError, match="greet"):
        given.session().skill("none")


def test_a_skill_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "triage").mkdir()
    (tmp_path / "triage" / "SKILL.md").write_text("---\ndescription: Sorts.\n---\nSort it.\n")
    (tmp_path / "plain.md").write_text("Just do it.")
    (tmp_path / "broken.md").write_text("---\na: [\n---\nx")
    skill = load_skill(tmp_path / "triage" / "SKILL.md")
    assert (skill.name, skill.description, skill.instructions) == ("triage", "Sorts.", "Sort it.")
    assert load_skill(tmp_path / "plain.md").instructions == "Just do it."
    with pytest.raises(ValueError, match="YAML"):
        load_skills(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_skill(tmp_path / "none.md")
