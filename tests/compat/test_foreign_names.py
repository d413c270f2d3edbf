"""A file loads whatever it imports of Agno, phi and buddy: names that we lack can be made, and only their use is refused."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repertoire import RunResponse, SqliteStorage, Workflow
from repertoire.classes.agent_views import is_agent
from repertoire.compat import hook
from repertoire.values.refusals import NotAvailable


@pytest.fixture
def hooked() -> Iterator[None]:
    hook.install()
    yield
    hook.uninstall()


def do(source: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return namespace


IMPORTS = """
agno.agent Agent RunResponse RunResponseEvent AgentKnowledge
agno.db.sqlite SqliteDb
agno.embedder.google GeminiEmbedder
agno.knowledge.pdf PDFKnowledgeBase PDFReader
agno.media Image
agno.memory.v2.db.sqlite SqliteMemoryDb
agno.models.groq Groq
agno.models.nebius Nebius
agno.models.openai.like OpenAILike
agno.playground Playground serve_playground_app
agno.run.response RunResponseContentEvent RunResponseExtraData RunStatus
agno.run.team TeamRunResponse TeamRunEvent
agno.storage.agent.postgres PostgresAgentStorage
agno.storage.session.workflow WorkflowSession
agno.storage.workflow.sqlite SqliteWorkflowStorage
agno.tools tool Toolkit
agno.tools.eleven_labs ElevenLabsTools
agno.tools.yfinance YFinanceTools
agno.utils.log log_exception workflow_logger
agno.utils.string hash_string_sha256
agno.utils.web open_html_file
agno.vectordb.pgvector PgVector SearchType
agno.workflow WorkflowSession RunResponseEvent
buddy.knowledge.agent AgentKnowledge
buddy.tools.file FileTools
phi.agent Agent RunResponse AgentMemory
phi.assistant Assistant
phi.model.ollama Ollama
phi.model.openai OpenAIChat
phi.run.response RunEvent
phi.storage.workflow.sqlite SqlWorkflowStorage
phi.tools.arxiv_toolkit ArxivToolkit
phi.tools.duckduckgo DuckDuckGo
phi.utils.log logger
phi.utils.pprint pprint_run_response
phi.workflow Workflow RunResponse RunEvent
""".strip().splitlines()


@pytest.mark.parametrize("line", IMPORTS)
@pytest.mark.usefixtures("hooked")
def test_an_import_never_refuses_the_file(line: str) -> None:
    module, *names = line.split()
    found = do(f"from {module} import {', '.join(names)}")
    assert all(found[name] is not None for name in names)


@pytest.mark.usefixtures("hooked")
def test_a_name_is_the_same_object_by_every_path() -> None:
    for one, other, name in (
        ("agno.models.openai", "phi.model.openai", "OpenAIChat"),
        ("agno.run.response", "agno.agent", "RunResponse"),
        ("agno.team", "agno.team.team", "Team"),
        ("agno.vectordb.pgvector", "agno.vectordb.pgvector", "PgVector"),
    ):
        assert getattr(importlib.import_module(one), name) is getattr(importlib.import_module(other), name)
    found = do("from phi.tools.duckduckgo import DuckDuckGo\nfrom agno.tools.duckduckgo import DuckDuckGoTools")
    assert found["DuckDuckGo"] is found["DuckDuckGoTools"]


@pytest.mark.usefixtures("hooked")
def test_what_we_lack_can_be_made_and_given_and_only_its_use_is_refused() -> None:
    made = do("""
from agno.knowledge.pdf import PDFKnowledgeBase
from agno.playground import Playground, serve_playground_app
from agno.vectordb.pgvector import PgVector, SearchType

db = PgVector(table_name="t", search_type=SearchType.hybrid)
documents = PDFKnowledgeBase(path="docs", vector_db=db)
app = Playground(workflows=[]).get_app()


class Own(PDFKnowledgeBase):
    pass
""")
    assert made["documents"].path == "docs" and made["documents"].vector_db is made["db"]
    assert isinstance(made["Own"](), made["PDFKnowledgeBase"]) and not is_agent(made["documents"])
    uses: list[Any] = [made["documents"].load, made["serve_playground_app"]]
    for use in uses:
        with pytest.raises(NotAvailable, match=r"Repertoire has no agno\.") as refused:
            use()
        assert "Or install 'agno<2' and set prefer_installed" in (refused.value.hint or "")


@pytest.mark.usefixtures("hooked")
def test_a_part_of_a_deployment_answers_from_its_own_arguments() -> None:
    """The settings of Agno's app template build the address of a database from it, at their top level."""
    found = do("from agno.docker.app.postgres import PgVectorDb\ndb = PgVectorDb(pg_user='api', host_port=6000)")["db"]
    assert (found.get_db_user(), found.get_db_port(), found.get_db_host()) == ("api", 6000, "localhost")
    assert found.get_db_connection_local().startswith("postgresql") and found.get_db_driver() == ""


@pytest.mark.usefixtures("hooked")
def test_a_foreign_storage_is_refused_by_the_first_run_of_a_script_and_not_before() -> None:
    found = do("from agno.storage.postgres import PostgresStorage")

    class Greeting(Workflow):
        def run(self) -> RunResponse:
            return RunResponse(content="hello")

    greeting = Greeting(storage=found["PostgresStorage"](table_name="t", db_url="postgresql://nowhere"))
    with pytest.raises(NotAvailable, match=r"agno\.storage\.postgres\.PostgresStorage") as refused:
        greeting.run()
    assert "a script uses SqliteStorage" in (refused.value.hint or "")


@pytest.mark.usefixtures("hooked")
def test_older_names_of_the_sqlite_storage_are_ours(tmp_path: Path) -> None:
    found = do(
        "from phi.storage.workflow.sqlite import SqlWorkflowStorage\n"
        "from agno.storage.workflow.sqlite import SqliteWorkflowStorage"
    )
    assert found["SqlWorkflowStorage"] is found["SqliteWorkflowStorage"] is SqliteStorage


@pytest.mark.usefixtures("hooked")
def test_a_piece_of_a_stream_is_known_by_the_name_of_its_event() -> None:
    found = do("""
from agno.run.response import RunResponse, RunResponseContentEvent, RunResponseCompletedEvent, RunResponseEvent, RunStatus
from agno.run.team import RunResponseContentEvent as OfTeam, TeamRunResponse, TeamRunEvent
""")
    piece = RunResponse(content="x", event="RunResponseContent")
    assert isinstance(piece, found["RunResponseContentEvent"]) and isinstance(piece, found["RunResponseEvent"])
    assert not isinstance(piece, found["RunResponseCompletedEvent"]) and not isinstance(piece, found["OfTeam"])
    made = found["RunResponseContentEvent"](content="y")
    assert (made.content, made.event, made.to_dict()["event"]) == ("y", "RunResponseContent", "RunResponseContent")
    assert isinstance(found["OfTeam"](content="z"), found["OfTeam"])
    assert found["TeamRunEvent"].run_started == "TeamRunStarted" and found["TeamRunResponse"](content=1).content == 1
    assert found["RunStatus"].completed == "completed" and found["RunStatus"].error == "failed"


@pytest.mark.usefixtures("hooked")
def test_the_small_utilities_do_their_work(tmp_path: Path) -> None:
    found = do("""
from agno.utils.json_io import read_json_file, write_json_file
from agno.utils.merge_dict import merge_dictionaries
from agno.utils.string import hash_string_sha256, url_safe_string
from phi.utils.timer import Timer
""")
    found["write_json_file"](tmp_path / "a" / "b.json", {"x": [1]})
    assert found["read_json_file"](tmp_path / "a" / "b.json") == {"x": [1]}
    assert found["read_json_file"](tmp_path / "none.json") is None
    a = {"x": {"y": 1, "z": 2}}
    found["merge_dictionaries"](a, {"x": {"y": 3}, "w": 4})
    assert a == {"x": {"y": 3, "z": 2}, "w": 4}
    assert found["hash_string_sha256"]("a").startswith("ca978112") and found["url_safe_string"]("A b_c") == "a-b-c"
    with found["Timer"]() as timer:
        pass
    assert timer.elapsed >= 0


HYBRID = """
from agno.agent import Agent
from agno.workflow import Workflow
"""


@pytest.mark.parametrize("version", [1, 2])
def test_of_an_installed_agno_1_only_the_workflow_is_ours(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "agno"
    for below in ("agent", "workflow", *(["storage"] if version == 1 else [])):
        (package / below).mkdir(parents=True)
        (package / below / "__init__.py").write_text("class Agent: real = True\nclass Workflow: real = True\n")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    hook.install(prefer_real=True)
    try:
        found = do(HYBRID)
        assert found["Agent"].real
        assert (found["Workflow"] is Workflow) is (version == 1)
    finally:
        hook.uninstall()
        for name in [one for one in sys.modules if one.partition(".")[0] == "agno"]:
            del sys.modules[name]
