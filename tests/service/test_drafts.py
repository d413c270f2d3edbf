"""Drafts: a source that cannot work is kept and not published, what may work is published; what callers and callees make of each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from repertoire.errors import BadArguments, Refused
from support.publishing import DOUBLE, ME, OFF, refused, rules
from support.services import opened, run

pytestmark = pytest.mark.anyio


def body(*lines: str, head: str = "n: int = 1") -> str:
    inside = "\n".join(f"    {line}" for line in lines)
    return f'"""A body."""\n\ndef run({head}) -> int:\n    """Do it."""\n{inside}\n'


CANNOT = {
    "an unknown workflow": (["return workflows.doubel(n=1)"], "There is no workflow `doubel`.", "Is it `double`?"),
    "one by invoke": (["return workflows.invoke('doubel', n=1)"], "There is no workflow `doubel`.", "Is it `double`?"),
    "an undefined name": (["return n + totl"], "The name `totl` is not defined", ""),
    "a forgotten import": (["return len(json.dumps(n))"], "The name `json` is not defined", ""),
    "in an f-string": (["return len(f'{totl} is it')"], "The name `totl` is not defined", ""),
    "in a helper": (["def help():", "    return totl", "return help()"], "The name `totl` is not defined", ""),
    "a handler that raises": (["try:", "    return totl", "except Exception as error:", "    raise RuntimeError('no') from error"],
                              "The name `totl` is not defined", ""),
    "a missing argument": (["return workflows.double()"], "`double` needs `n`", "workflows.invoke('double', n=...)"),
    "a strange argument": (["return workflows.double(n=1, m=2)"], "`double` has no parameter `m`", "It takes `n`."),
    "a positional argument": (["return workflows.double(n)"], "name the arguments", "workflows.double(n=...)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CANNOT)
async def test_g5_what_cannot_work_is_kept_as_a_draft(tmp_path: Path, kind: str) -> None:
    lines, says, hint = CANNOT[kind]
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        error = await refused(app, "top", body(*lines), examples=[{"arguments": {"n": 1}, "expect": 2}])
        assert (error.reason, error.details["status"]) == ("cannot_work", "draft")
        assert says in error.message and "kept as a draft" in error.message and hint in (error.hint or "")
        assert "force=true" in (error.hint or "") and error.line is not None
        assert error.details["findings"][0]["severity"] == "error"
        with pytest.raises(Refused, match="cannot work"):
            await app.service.publishing.publish(ME, "top", error.details["version"])
        answer = await app.service.publishing.create(ME, "top", body(*lines), force=True)
        assert answer["status"] == "published"
        assert "error" not in [one["severity"] for one in answer["findings"]], "it is published, so nothing stops it"


WORKS = {
    "exec": (["exec('totl = 2', globals())", "return totl"], 2),
    "globals": (["globals()['totl'] = 2", "return totl"], 2),
    "a builtin of its own": (["import builtins", "builtins.totl = 2", "return totl if n > 5 else 2"], 2),
    "a fallback": (["try:", "    return workflows.nobody(n=1)", "except Exception:", "    return 2"], 2),
    "a name of another Python": (["try:", "    return unicode", "except NameError:", "    return 2"], 2),
    "another platform": (["import sys", "if sys.platform == 'vms':", "    return totl", "return 2"], 2),
    "a suppressed failure": (["from contextlib import suppress", "with suppress(Exception):", "    totl", "return 2"], 2),
    "a function that nobody calls": (["def help():", "    return workflows.nobody()", "return 2"], 2),
    "after the end": (["return 2", "return totl"], 2),
    "an annotation": (["def help(it: 'np.ndarray') -> 'pd.Series': ...", "return 2"], 2),
    "a late binding": (["for one in range(2):", "    if one:", "        return totl", "    totl = 2"], 2),
    "a global": (["def help():", "    global totl", "    totl = 2", "help()", "return totl"], 2),
    "failures that are collected": (
        ["async def help(): return totl", "import asyncio", "await asyncio.gather(help(), return_exceptions=True)", "return 2"], 2),
    "a look before": (["if workflows.get('later'):", "    return workflows.later()", "return 2"], 2),
    "names given as a dict": (["return workflows.double(**{'n': 1})"], 2),
}  # fmt: skip


@pytest.mark.parametrize("kind", WORKS)
async def test_g5_what_works_is_no_draft(tmp_path: Path, kind: str) -> None:
    lines, expected = WORKS[kind]
    source = body(*lines).replace("def run", "async def run") if "await " in str(lines) else body(*lines)
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        answer = await app.service.publishing.create(ME, "top", source)
        assert answer["status"] == "published", answer
        assert (await run(app, ME, "top"))["result"] == expected


async def test_g5_conditional_and_starred_names_of_the_module_are_no_drafts(tmp_path: Path) -> None:
    source = '''"""Names that come from elsewhere."""
import sys
from math import *

if sys.version_info > (3,):
    def twice(n): return 2 * n
class Box:
    size = 2
    def double(self): return twice(self.size)
def run() -> float:
    """Do it."""
    return floor(Box().double() / 2)
'''
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "top", source)
        assert (await run(app, ME, "top"))["result"] == 2


async def test_g5_a_call_of_a_draft_names_it_and_a_pair_is_published_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        draft = await app.service.publishing.create(ME, "double", DOUBLE, publish=False)
        error = await refused(app, "top", body("return workflows.double(n=n)"))
        assert f"publish_workflow('double', '{draft['version']}')" in (error.hint or "")
        await app.service.publishing.publish(ME, "double", draft["version"])
        await app.service.publishing.publish(ME, "top", error.details["version"])
        assert (await run(app, ME, "top", n=4))["result"] == 8


async def test_g5_a_file_that_cannot_work_is_not_written(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        with pytest.raises(Refused, match=r"no workflow `nobody`. Nothing was written"):
            await app.service.own_files.add(ME, "top", body("return workflows.nobody()"))
        assert not (tmp_path / "workflows" / "top.py").exists()
        assert (await app.service.own_files.add(ME, "top", body("return workflows.nobody()"), force=True))["file"]


async def test_g5_a_version_that_was_published_before_comes_back_with_a_warning(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        first = await app.service.publishing.create(ME, "top", body("return workflows.double(n=n)"))
        await app.service.publishing.create(ME, "top", body("return 2"), replace=True)
        assert await app.service.publishing.delete(ME, "double")
        answer = await app.service.publishing.publish(ME, "top", first["version"])
        assert [one["severity"] for one in answer["findings"] if one["rule"] == "unknown_workflow"] == ["warning"]


TAKES = '"""Take a value."""\n\ndef run(value: {kind}) -> str:\n    """Take it."""\n    return str(value)\n'

NOW_INTEGERS = {
    "a literal": "return workflows.takes(value=5)",
    "int()": "return workflows.takes(value=int(text))",
    "a parameter": "return workflows.takes(value=n)",
    "a local name": "number: int = helper()\n    return workflows.takes(value=number)",
    "an annotated function": "return workflows.takes(value=helper())",
    "one of two numbers": "number = 5\n    if n:\n        number = len(text)\n    return workflows.takes(value=number)",
}
HELPER = "\n\ndef helper() -> int:\n    return 5\n"


@pytest.mark.parametrize("kind", NOW_INTEGERS)
async def test_g6_a_caller_that_gives_the_new_type_already_does_not_hinder_the_change(
    tmp_path: Path, kind: str
) -> None:
    caller = body(NOW_INTEGERS[kind], head="n: int = 1, text: str = '1'").replace("-> int:", "-> str:", 1) + HELPER
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "takes", TAKES.format(kind="str"))
        answer = await app.service.publishing.create(ME, "top", caller)
        assert [one["severity"] for one in answer["findings"] if one["rule"] == "wrong_argument"] == ["warning"]
        await app.service.publishing.create(ME, "takes", TAKES.format(kind="int"), replace=True)
        assert (await run(app, ME, "top"))["status"] == "completed"


async def test_g6_a_caller_that_gives_the_old_type_is_told_with_its_argument(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "takes", TAKES.format(kind="str"))
        caller = body("return len(workflows.takes(value='many'))")
        await app.service.publishing.create(ME, "top", caller)
        error = await refused(app, "takes", TAKES.format(kind="int"), replace=True)
        assert error.reason == "in_use" and "`value` 'many', which it no longer takes" in error.message
        await app.service.publishing.create(ME, "top", caller.replace("'many'", "5"), replace=True)
        await app.service.publishing.create(ME, "takes", TAKES.format(kind="int"), replace=True)
        assert (await run(app, ME, "top"))["result"] == 1


async def test_g6_what_cannot_be_told_says_so_and_names_force(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "takes", TAKES.format(kind="str"))
        caller = body("values = {'a': 1}", "return len(workflows.takes(value=values['a']))")
        await app.service.publishing.create(ME, "top", caller)
        error = await refused(app, "takes", TAKES.format(kind="int"), replace=True)
        assert "do not tell if they still could" in error.message and "force=true" in (error.hint or "")
        forced = await app.service.publishing.create(ME, "takes", TAKES.format(kind="int"), replace=True, force=True)
        assert forced["callers_broken"] == ["top"] and "top: " in forced["message"]


@pytest.mark.parametrize(
    ("kind", "given", "is_wrong"),
    [
        ("int", "'many'", True), ("int", "'5'", False), ("int", "5.5", True), ("int", "True", False), ("int", "None", True),
        ("str", "5", True), ("str", "float(n)", True), ("str", "f'{n}'", False), ("str", "[n]", True), ("str", "n", True),
        ("list[int]", "'[1]'", False), ("list[int]", "5", True), ("list[int]", "['a']", True), ("list[int]", "[n]", False),
        ("dict", "[]", False), ("dict", "5", True), ("float", "n", False), ("str | None", "None", False), ("str | None", "n", True),
        ("bool", "'yes'", False), ("bool", "7", True), ("Literal['a', 'b']", "'c'", True), ("Literal['a', 'b']", "'a'", False),
        ("str", "unknown(n)", False), ("object", "5", False), ("str", "n if n else 'a'", False),
    ],
)  # fmt: skip
async def test_g6_a_caller_that_gives_what_the_callee_does_not_take_is_told(
    tmp_path: Path, kind: str, given: str, is_wrong: bool
) -> None:
    """Each warning is true: the call fails, and a call without one does not."""
    takes = TAKES.format(kind=kind).replace('"""\n', '"""\nfrom typing import Literal\n', 1)
    caller = body(f"return len(workflows.takes(value={given}))") + "\n\ndef unknown(n):\n    return str(n)\n"
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "takes", takes)
        answer = await app.service.publishing.create(ME, "top", caller)
        assert ("wrong_argument" in rules(answer)) == is_wrong
        ended = await run(app, ME, "top")
        if given != "n if n else 'a'":
            assert (ended["status"] == "failed") == is_wrong, ended


async def test_g12_drafts_are_listed_deleted_and_get_examples_without_their_source(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        publishing, library = app.service.publishing, app.service.library

        async def drafts() -> list[str]:
            return [row["name"] for row in (await library.list_workflows(ME, status="draft"))["workflows"]]

        wrong = [{"arguments": {"n": 2}, "expect": 5}]
        error = await refused(app, "double", DOUBLE, tags=["numbers"], examples=wrong)
        await publishing.create(ME, "other", DOUBLE, publish=False)
        assert await drafts() == ["other", "double"]
        assert await publishing.delete(ME, "other") and not await publishing.delete(ME, "other")
        assert await drafts() == ["double"]
        answer = await publishing.create(ME, "double", examples=[{"arguments": {"n": 2}, "expect": 4}])
        assert (answer["status"], answer["version"]) == ("published", error.details["version"])
        assert (await library.list_workflows(ME))["workflows"][0]["tags"] == ["numbers"] and await drafts() == []
        more = [{"arguments": {"n": 3}, "expect": 6}]
        answer = await publishing.create(ME, "double", replace=True, examples=more)
        assert answer["version"] == error.details["version"]
        assert (await app.service.versions.get(ME, "double"))["examples"] == more
        assert await publishing.delete(ME, "double")
        with pytest.raises(BadArguments, match="source"):
            await publishing.create(ME, "double", examples=more)
        with pytest.raises(BadArguments, match="source"):
            await publishing.create(ME, "nobody", examples=more)


async def test_g12_a_deleted_draft_comes_back_by_its_version(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        draft = await app.service.publishing.create(ME, "double", DOUBLE, publish=False)
        assert await app.service.publishing.delete(ME, "double")
        assert (await app.service.publishing.publish(ME, "double", draft["version"]))["status"] == "published"
        assert (await run(app, ME, "double", n=4))["result"] == 8


async def test_g19_all_missing_mocks_are_named_in_one_answer_with_from_run(tmp_path: Path) -> None:
    source = body("first = workflows.double(n=n)", "if ask('Go on?', bool):", "    first = workflows.triple(n=first)",
                  "return first + workflows.reads(n=0)")  # fmt: skip
    async with opened(tmp_path, **OFF) as app:
        for name in ("double", "triple"):
            await app.service.publishing.create(ME, name, DOUBLE)
        await app.service.publishing.create(ME, "reads", '__workflow__ = {"read_only": True}\n' + DOUBLE)
        error = await refused(app, "top", source, examples=[{"arguments": {"n": 1}}])
        listed = '"mocks": [{"call": "double", "result": ...}, {"call": "triple", "result": ...}, {"call": "ask", "result": ...}]'
        assert listed in error.message and "from_run=RUN_ID" in (error.hint or "")
        mocks = [{"call": "double", "result": 2}, {"call": "triple", "result": 6}, {"call": "ask", "result": True}]
        answer = await app.service.publishing.create(
            ME, "top", examples=[{"arguments": {"n": 1}, "expect": 6, "mocks": mocks}]
        )
        assert answer["examples"] == {"passed": 1, "failed": 0}


async def test_g20_a_creation_says_that_state_makes_runs_take_turns(tmp_path: Path) -> None:
    source = '"""Count."""\n\ndef run() -> int:\n    """Count."""\n    session_state["n"] = 1\n    return 1\n'
    async with opened(tmp_path, **OFF) as app:
        answer = await app.service.publishing.create(ME, "count", source)
        (said,) = [one for one in answer["findings"] if one["rule"] == "state_takes_turns"]
        assert said["severity"] == "info" and "one after another" in said["message"] and '"new"' in said["hint"]
        assert "state_takes_turns" not in rules(await app.service.publishing.create(ME, "double", DOUBLE))
