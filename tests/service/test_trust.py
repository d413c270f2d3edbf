"""Trust: who may call whom as a table, what the setting `authoring` lets run, what an approval changes and for which text.

In a real home with real workers where anything runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from repertoire.app import App
from repertoire.engine.interpreted import Interpreted
from repertoire.errors import NotApproved, Refused, WorkflowNotAllowed
from repertoire.model.workflow_options import Options
from repertoire.model.workflow_version import Approval, WorkflowVersion
from repertoire.sandbox.layers import LAYERS, Isolation, Layer
from repertoire.service.trust import TrustRules, may_call
from repertoire.settings import Settings, load
from repertoire.text import escaped
from support.publishing import DOUBLE, ME, OFF, TRIPLE, refused
from support.services import opened, run
from support.versions import a_version

pytestmark = pytest.mark.anyio

APPROVAL = Approval(principal="local", client="a test", way="command line", at=1.0)
CALLS_DOUBLE = '"""Use it."""\n\ndef run(n: int = 1) -> int:\n    return workflows.double(n=n)\n'
MARKED = '__workflow__ = {"callable_by_untrusted": True}\n'


def version(trust: str, name: str = "double", *, marked: bool = False) -> WorkflowVersion:
    made = msgspec.structs.replace(a_version(name), options=Options(callable_by_untrusted=marked))
    if trust == "operator":
        return msgspec.structs.replace(made, origin="operator", path=f"/w/{name}.py", root="/w")
    return msgspec.structs.replace(made, approval=APPROVAL if trust == "approved" else None)


@pytest.mark.parametrize("trust", ["operator", "approved", "untrusted"])
def test_trust_is_read_off_origin_and_approval(trust: str) -> None:
    assert version(trust).trust == trust
    assert version(trust).is_trusted == (trust != "untrusted")


RULE = [
    # caller, callee, marked, listed, allowed
    ("operator", "operator", False, (), True),
    ("operator", "approved", False, (), True),
    ("operator", "untrusted", False, (), False),
    ("operator", "untrusted", True, ("*",), False),
    ("approved", "operator", False, (), True),
    ("approved", "approved", False, (), True),
    ("approved", "untrusted", False, (), False),
    ("untrusted", "untrusted", False, (), True),
    ("untrusted", "operator", False, (), False),
    ("untrusted", "operator", True, (), True),
    ("untrusted", "operator", False, ("double",), True),
    ("untrusted", "operator", False, ("dou*",), True),
    ("untrusted", "operator", False, ("*",), True),
    ("untrusted", "operator", False, ("doubles", "do"), False),
    ("untrusted", "approved", False, (), False),
    ("untrusted", "approved", True, (), True),
    ("untrusted", "approved", False, ("double",), True),
]


@pytest.mark.parametrize(("caller", "callee", "marked", "listed", "allowed"), RULE)
def test_who_may_call_whom(caller: str, callee: str, marked: bool, listed: tuple[str, ...], allowed: bool) -> None:
    assert may_call(version(caller, "top"), version(callee, marked=marked), listed) is allowed


def rules_of(settings: Settings, isolation: Callable[[], Awaitable[Isolation]]) -> TrustRules:
    return TrustRules(settings, isolation, Interpreted(isolation, "never"))


@pytest.mark.parametrize(
    ("setting", "isolated", "means", "may_run"),
    [
        ("", True, "sandboxed", True),
        ("", False, "approval", False),
        ("sandboxed", False, "sandboxed", True),
        ("approval", True, "approval", False),
        ("off", True, "off", True),
        ("off", False, "off", False),
    ],
)
async def test_what_the_setting_means(setting: Any, isolated: bool, means: str, may_run: bool) -> None:
    rules = rules_of(Settings(home="/h", authoring=setting), walls(isolated))
    assert await rules.authoring() == means and await rules.may_run(version("untrusted")) is may_run
    assert await rules.may_run(version("approved")) and await rules.may_run(version("operator"))


def walls(are_real: bool) -> Callable[[], Awaitable[Isolation]]:
    async def found() -> Isolation:
        return Isolation(tuple(Layer(name, "active", "") for name in LAYERS) if are_real else ())

    return found


async def test_where_no_sandbox_can_be_started_a_person_approves() -> None:
    async def fails() -> Isolation:
        raise OSError("no process")

    assert await rules_of(Settings(home="/h"), fails).authoring() == "approval"


@pytest.mark.parametrize(
    ("given", "authoring", "remarks"),
    [
        ({}, "", 0),
        ({"AUTHORING": "open"}, "sandboxed", 1),
        ({"PUBLISH_REQUIRES": "approval"}, "approval", 1),
        ({"AUTHORING": "open", "PUBLISH_REQUIRES": "approval"}, "approval", 2),
        ({"AUTHORING": "off", "PUBLISH_REQUIRES": "approval"}, "off", 1),
    ],
)
def test_former_spellings_are_read(tmp_path: Path, given: dict[str, str], authoring: str, remarks: int) -> None:
    settings = load(home=str(tmp_path), environ={f"REPERTOIRE_{name}": value for name, value in given.items()})
    assert (settings.authoring, settings.publish_requires, len(settings.remarks)) == (authoring, "nothing", remarks)
    assert "publish_requires" not in settings.sources


def test_a_text_that_a_person_decides_by_hides_nothing() -> None:
    assert escaped("a\u202eb\u200bc\x1b[2J\r\U000e0041é\n\t") == "a\\u202eb\\u200bc\\u001b[2J\\u000d\\U000e0041é\n\t"


async def approve(app: App, name: str, version: str | None = None) -> dict[str, Any]:
    shown = await app.service.approvals.look(ME, name, version)
    return await app.service.approvals.approve(ME, name, shown["hash"])


async def test_nothing_of_an_unapproved_version_is_loaded_or_run(tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    source = f"open({str(marker)!r}, 'w').close()\n{DOUBLE}"
    async with opened(tmp_path / "home", authoring="approval", **OFF) as app:
        error = await refused(app, "double", source, examples=[{"arguments": {"n": 1}, "expect": 2}])
        assert error.reason == "approval_required" and "repertoire approve double" in (error.hint or "")
        with pytest.raises(Refused, match="approved"):
            await app.service.publishing.publish(ME, "double", error.details["version"])
        with pytest.raises(Refused, match="a person has approved"):
            await app.service.code_runs.start(ME, "1 + 1")
        assert not marker.exists()
        (waits,) = (await app.service.approvals.waiting(ME))["waiting"]
        assert (waits["name"], waits["status"], waits["trust"]) == ("double", "draft", "untrusted")
        answer = await approve(app, "double")
        assert answer["status"] == "published" and answer["examples"]["passed"] == 1 and marker.exists()
        assert (await app.service.approvals.waiting(ME))["waiting"] == []
        shown = await app.service.versions.get(ME, "double")
        assert shown["trust"] == "approved" and shown["approved"]["by"] == "a test 1.0"
        assert (await run(app, ME, "double", n=2))["result"] == 4
        error = await refused(app, "double", source.replace("n * 2", "n * 3"), replace=True, examples=[])
        assert error.reason == "approval_required", "approving one version says nothing of the next"
        look = await app.service.approvals.look(ME, "double")
        assert "+    return n * 3" in look["text"] and look["replaces"] == shown["version"]
        assert (await app.service.approvals.revoke(ME, "double"))["revoked"]
        with pytest.raises(NotApproved, match="approved"):
            await run(app, ME, "double", n=2)
        assert not (await app.service.approvals.revoke(ME, "double"))["revoked"]


async def test_an_approval_outlives_the_server_and_is_bound_to_the_text(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        await approve(app, "double")
    async with opened(tmp_path, **OFF) as app:
        assert app.service.library.find(ME, "double").trust == "approved"
        again = await app.service.publishing.create(ME, "double", DOUBLE, replace=True)
        assert (await app.service.versions.get(ME, "double", again["version"]))["trust"] == "approved"
        await app.service.publishing.create(ME, "double", TRIPLE, replace=True, examples=[])
        shown = await app.service.versions.get(ME, "double")
        assert shown["trust"] == "untrusted" and "approved" not in shown
        assert [one["trust"] for one in shown["versions"]] == ["untrusted", "approved"]
        await app.service.publishing.publish(ME, "double", again["version"])
        assert app.service.library.find(ME, "double").trust == "approved", "the text that was approved is back"


async def test_an_approved_version_has_the_rights_of_a_file(tmp_path: Path) -> None:
    source = '"""Wait."""\n\ndef run() -> str:\n    import os\n    return os.getcwd()\n'
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "where", source)
        before = (await run(app, ME, "where"))["result"]
        await approve(app, "where")
        caller = msgspec.structs.replace(ME, cwd=str(tmp_path))
        assert before != str(tmp_path) == (await run(app, caller, "where"))["result"]


async def test_calls_between_trusted_and_untrusted(tmp_path: Path) -> None:
    folder = tmp_path / "workflows"
    folder.mkdir(mode=0o700)
    (folder / "file_calls.py").write_text(CALLS_DOUBLE)
    (folder / "secret.py").write_text(DOUBLE)
    (folder / "open_one.py").write_text(DOUBLE.replace('"""\n\n\n', f'"""\n\n{MARKED}\n\n', 1))
    (folder / "listed_one.py").write_text(DOUBLE)
    async with opened(tmp_path, untrusted_workflows="listed_*", **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        failed = await run(app, ME, "file_calls")
        assert "may not call double" in failed["error"]["message"], failed
        assert "repertoire approve double" in failed["error"]["hint"], failed
        for callee, code in (
            ("secret", "workflow_not_allowed"),
            ("open_one", None),
            ("listed_one", None),
            ("double", None),
        ):
            created = await app.service.publishing.create(ME, f"uses_{callee}", CALLS_DOUBLE.replace("double", callee))
            warned = [one for one in created["findings"] if one["rule"] == "workflow_not_allowed"]
            assert [one["line"] for one in warned] == ([] if code is None else [4])
            ended = await run(app, ME, f"uses_{callee}", n=4)
            assert ended["result"] == (8 if code is None else None)
            assert code is None or f"may not call {callee}" in ended["error"]["message"]
        code_run = await app.service.code_runs.start(ME, "workflows.secret(n=1)")
        once = await app.service.runs.wait_for_end(code_run)
        assert once.error is not None and "may not call secret" in once.error.message
        await approve(app, "uses_secret")
        assert (await run(app, ME, "uses_secret", n=4))["result"] == 8, "an approved caller may call a file"
        await approve(app, "double")
        assert (await run(app, ME, "file_calls", n=4))["result"] == 8
        assert "may not call double" in (await run(app, ME, "uses_double"))["error"]["message"], "it is trusted now"
        await app.service.publishing.create(ME, "double", TRIPLE, replace=True, examples=[])
        assert "may not call double" in (await run(app, ME, "file_calls"))["error"]["message"]


async def test_what_a_run_creates_is_untrusted(tmp_path: Path) -> None:
    maker = f'"""Make."""\n\ndef run() -> str:\n    return workflows.create("made", source={DOUBLE!r})["status"]\n'
    (tmp_path / "workflows").mkdir(mode=0o700)
    (tmp_path / "workflows" / "maker.py").write_text(maker)
    async with opened(tmp_path, **OFF) as app:
        assert (await run(app, ME, "maker"))["result"] == "published"
        assert app.service.library.find(ME, "made").trust == "untrusted"
        await app.service.publishing.create(ME, "other_maker", maker.replace('"made"', '"other"'))
        assert (await run(app, ME, "other_maker"))["result"] == "published"
        assert app.service.library.find(ME, "other").trust == "untrusted"


async def test_the_same_text_is_trusted_where_a_file_has_it(tmp_path: Path) -> None:
    """A resumed run reads its version from the store, by a hash that a created workflow and a file may share."""
    file = tmp_path / "workflows" / "double.py"
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE, publish=False)
        (draft,) = await app.store.versions_of("double")
        file.write_text(DOUBLE)
        await app.service.library.refresh(ME)
        stored = await app.store.version(draft.hash)
        assert stored is not None and (stored.trust, stored.path) == ("operator", str(file))
        file.unlink()
        await app.service.library.refresh(ME)
        stored = await app.store.version(draft.hash)
        assert stored is not None and stored.trust == "untrusted"


async def test_a_run_that_was_parked_waits_for_the_approval(tmp_path: Path) -> None:
    source = '"""Ask."""\n\ndef run() -> str:\n    return ask("Who?")\n'
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "who", source)
        live = await app.service.runs.start(ME, "who", {})
        waiting = await app.service.runs.wait(live, 30)
        assert waiting.status == "input_required"
    async with opened(tmp_path, authoring="approval", **OFF) as app:
        (row,) = (await app.service.inbox.contents(ME))["approvals"]
        assert row["command"].startswith("repertoire approve who ")
        await app.service.runs.answer(ME, waiting.id, "Ada")
        stuck = await app.service.runs.get(ME, waiting.id, wait_s=1)
        assert stuck["status"] == "working" and stuck["result"] is None
        (decision,) = (await app.service.inbox.contents(ME))["decisions"]
        assert "approve who" in decision["text"]
        await approve(app, "who")
        await app.service.history.resume(ME, waiting.id)
        ended = await app.service.runs.get(ME, waiting.id, wait_s=30)
        assert (ended["status"], ended["result"]) == ("completed", "Ada")


async def test_what_is_shown_for_a_decision(tmp_path: Path) -> None:
    source = (
        '"""Look\u202e up."""\n\nimport numpy\n\n'
        f"def run(n: int) -> int:\n    x = 1{' ' * 60}; tools.fetch(url='http://x')\n    return workflows.double(n=n) # \x1b[8m\n"
    )
    async with opened(tmp_path, authoring="approval", **OFF) as app:
        await refused(app, "shown", source)
        look = await app.service.approvals.look(ME, "shown")
        assert look["needs"] == {"tools": ["fetch"], "workflows": ["double"], "packages": ["numpy"], "hosts": ["x"]}
        assert "Look\\u202e up." in look["text"] and "\\u001b[8m" in look["text"] and "\x1b" not in look["text"]
        assert "[60 blanks]" in look["text"] and "created by: a test 1.0" in look["text"]
    with pytest.raises(WorkflowNotAllowed):
        rules_of(Settings(home="/h"), walls(True)).check_may_call(version("operator", "top"), version("untrusted"))
