"""Imports of created code through the service: what is refused before it is loaded, what a person may still publish, and its needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.errors import Refused
from support.publishing import DOUBLE, ME, OFF, refused, rules
from support.services import opened, run

pytestmark = pytest.mark.anyio

NETWORK = "import httpx\n\n" + DOUBLE


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    async with opened(
        tmp_path_factory.mktemp("home"),
        **OFF,
        packages="iniconfig,-tomlkit",
        authoring="sandboxed",
        inspect_timeout_s="60",
    ) as app:
        yield app


async def test_a_refused_import_is_told_with_its_place_and_nothing_of_the_source_runs(app: App, tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    source = f"open({str(marker)!r}, 'w').close()\nimport json, socket\n\n{DOUBLE}    import ctypes\n"
    for force in (False, True):
        error = await refused(app, "sends", source, force=force)
        assert (error.reason, error.line, error.column) == ("import_failed", 2, 13) and not marker.exists()
        assert "`socket` cannot be imported here" in error.message and "tools.fetch" in str(error.hint)
    found = [one for one in error.details["findings"] if one["rule"] == "import_not_allowed"]
    assert [(one["line"], one["severity"]) for one in found] == [(2, "error"), (14, "error")]
    assert error.details["status"] == "draft" and (await app.service.versions.get(ME, "sends"))["status"] == "draft"
    draft = await app.service.publishing.create(ME, "sends", source, publish=False)
    assert (draft["status"], draft["needs"]) == ("draft", {"packages": ["ctypes", "socket"]}) and not marker.exists()


async def test_no_client_publishes_such_a_draft_and_a_person_does(app: App) -> None:
    error = await refused(app, "fetches", NETWORK)
    version = error.details["version"]
    for force in (False, True):
        with pytest.raises(Refused, match="`httpx` cannot be imported") as caught:
            await app.service.publishing.publish(ME, "fetches", version, force)
        assert (caught.value.reason, caught.value.line) == ("import_failed", 1)
    answer = await app.service.approvals.approve(ME, "fetches", version)
    (told,) = [one for one in answer["findings"] if one["rule"] == "import_not_allowed"]
    assert told["severity"] == "warning" and "a person has approved" in told["hint"]
    assert (answer["status"], answer["needs"]) == ("published", {"packages": ["httpx"]})


async def test_the_setting_and_a_way_without_it_are_accepted(app: App) -> None:
    answer = await app.service.publishing.create(ME, "marks", "import iniconfig\n" + DOUBLE)
    assert "import_not_allowed" not in rules(answer) and answer["needs"] == {"packages": ["iniconfig"]}
    assert "excludes it" in (await refused(app, "notes", "import tomlkit\n" + DOUBLE)).message
    source = "try:\n    import httpx\nexcept ImportError:\n    httpx = None\n" + DOUBLE
    answer = await app.service.publishing.create(ME, "either", source)
    assert (answer["status"], rules(answer).count("import_not_allowed")) == ("published", 1)
    assert (await run(app, ME, "either", n=21))["result"] == 42


async def test_a_missing_package_leaves_no_draft(app: App) -> None:
    error = await refused(app, "lacks", DOUBLE + "\n\ndef other() -> None:\n    import no_such_package\n")
    assert error.reason == "import_failed" and "status" not in error.details
    assert "list it in the setting `packages`" in str(error.hint)


async def test_code_that_is_run_once_is_limited_and_the_operator_s_is_not(app: App) -> None:
    source = "n = 2\nimport json; import subprocess\nsubprocess.run(['true']).returncode + n"
    with pytest.raises(Refused, match="starts no processes") as caught:
        await app.service.code_runs.start(ME, source)
    assert (caught.value.reason, caught.value.line, caught.value.column) == ("cannot_work", 2, 20)
    live = await app.service.code_runs.start(ME, source, origin="operator")
    assert app.service.runs.envelope(await app.service.runs.wait_for_end(live))["result"] == 2
    added = await app.service.own_files.add(ME, "own", NETWORK)
    assert added["status"] == "published" and rules(added).count("import_not_allowed") == 0


async def test_a_body_that_creates_a_workflow_is_refused_too(app: App) -> None:
    source = f'''"""Make one."""

def run() -> str:
    try:
        workflows.create("made", {NETWORK!r})
    except CallError as error:
        return error.message
    return "created"
'''
    live = await app.service.code_runs.start(ME, "from repertoire import CallError\n" + source, origin="operator")
    done = app.service.runs.envelope(await app.service.runs.wait_for_end(live))
    assert "`httpx` cannot be imported here" in str(done["result"]), done


async def test_needs_are_shown_with_the_workflow(app: App) -> None:
    source = '''"""Ask."""

def run(n: int) -> object:
    page = tools.fetch(url=f"https://api.example.org/{n}")
    return ask(page)
'''
    created: dict[str, Any] = await app.service.publishing.create(ME, "asks", source)
    expected = {"tools": ["fetch"], "hosts": ["api.example.org"], "asks": True}
    assert created["needs"] == (await app.service.versions.get(ME, "asks"))["needs"] == expected


async def test_before_an_approval_such_imports_are_warnings(tmp_path: Path) -> None:
    async with opened(tmp_path, authoring="approval", **OFF) as app:
        error = await refused(app, "fetches", NETWORK)
        (told,) = [one for one in error.details["findings"] if one["rule"] == "import_not_allowed"]
        assert (error.reason, told["severity"]) == ("approval_required", "warning")
        answer = await app.service.approvals.approve(ME, "fetches", error.details["version"])
        assert answer["status"] == "published"
