"""What is said of a source before it is published: our own rules, ruff's, and the workflows and tools that it calls by name."""

from __future__ import annotations

import ast
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from repertoire.model.workflow import Finding
from repertoire.registry.review import (
    Reference,
    change_problem,
    distinct,
    lint,
    merge,
    references,
    review,
    ruff,
    ruff_path,
    unfit_calls,
)
from repertoire.registry.review.findings import RULES
from repertoire.registry.review.ruff import GLOBALS
from repertoire.registry.review.tree import MOST_NODES
from repertoire.signature.schema import read
from repertoire.wire import Code
from repertoire.worker.source.loader import LoadedVersions, Version

pytestmark = pytest.mark.anyio

READY = sorted((Path(__file__).parents[2] / "workflows").glob("[!_]*.py"))
LARGEST = 256 * 1024
KEY = "sk-" + "proj-" + "a1B2c3D4e5F6g7H8i9J0"  # in two pieces, so that nobody's scanner takes it for a real one


def reviewed(source: str) -> list[Finding]:
    return review(ast.parse(source), source)


def the(rule: str, source: str) -> Finding:
    (found,) = [one for one in reviewed(source) if one.rule == rule]
    return found


def body(
    *lines: str, signature: str = "def run(url: str) -> str:", doc: str = "Fetch.\n\n    Args:\n        url: Where."
) -> str:
    """A workflow without any other fault."""
    return f'{signature}\n    """{doc}\n    """\n' + "".join(f"    {line}\n" for line in lines)


def caught(handler: str, *lines: str) -> str:
    return body("try:", "    return fetch(url)", handler, *(f"    {line}" for line in lines))


GOOD = body("return fetch(url).upper()")
WARNINGS_AND_NEAR_MISSES = {
    "untyped_parameter": [
        (body("return fetch(url, t)", signature="def run(url, t: int) -> str:"), GOOD),
        (body("return url + mode", signature="def run(url: str, *, mode='a') -> str:"), GOOD),
        (
            "class Fetch(Workflow):\n    def run(self, url): ...\n",
            "class Fetch(Workflow):\n    def run(self, url: str): ...\n",
        ),
        (
            "class Fetch(Workflow):\n    async def arun(self, url): ...\n",
            "class Fetch(Workflow):\n    def other(self, url): ...\n    async def arun(self, link: str): ...\n",
        ),
        ("def run(ctx, url): ...\n", "def run(ctx, url: str, tools, workflows, *rest, **more): ...\n"),
        ("def run(given): ...\n", "def run(given: Context[Payload]): ...\n"),
    ],
    "untyped_result": [
        (body("return url", signature="def run(url: str):"), GOOD),
        ("def run(): yield 'a'\n", "class Fetch(Workflow):\n    def run(self, url: str): yield url\n"),
    ],
    "no_docstring": [
        ("def run(url: str) -> str:\n    return get(url).text\n", '"""Fetch."""\ndef run(url: str) -> str: ...\n'),
        (
            'class Fetch(Workflow):\n    def run(self):\n        """Only the method has one."""\n',
            'class Fetch(Workflow):\n    description = "Fetch."\n    def run(self): ...\n',
        ),
    ],
    "undescribed_parameter": [
        (body("return url", doc="Fetch."), GOOD),
        (
            body("return url", doc="Fetch.\n\n    Args:\n        uri: Where."),
            body("return url", doc="Fetch.\n\n    :param url: Where."),
        ),
        (
            body("return url", signature="def run(url: list[Field]) -> str:", doc="Fetch."),
            body("return url", signature="def run(url: Annotated[str, Field(description='Where')]) -> str:", doc="Fetch."),
        ),
    ],
    "undescribed_result": [
        (body("return {'a': fetch(url)}", signature="def run(url: str) -> dict[str, Any]:"), GOOD),
        (
            body("return {'a': fetch(url)}", signature="def run(url: str) -> dict:"),
            body(
                "return {'a': fetch(url)}",
                signature="def run(url: str) -> dict:",
                doc="Fetch.\n\n    Args:\n        url: Where.\n\n    Returns:\n        A dict with `a`.",
            ),
        ),
        (
            body("return [fetch(url)]", signature="def run(url: str) -> list[dict]:"),
            body("return [fetch(url)]", signature="def run(url: str) -> dict[str, int]:"),
        ),
    ],
    "undescribed_error": [
        (body("raise ValueError(url)"), body("def inner(): raise ValueError(url)", "return inner() + url")),
        (
            body("raise errors.Broken(url)"),
            body("raise ValueError(url)", doc="Fetch.\n\n    Args:\n        url: Where.\n\n    Raises:\n        ValueError: Bad."),
        ),
        (body("raise ValueError"), caught("except OSError as error:", "raise")),
    ],
    "bare_except": [
        (caught("except:", "log.warning('failed')"), caught("except:", "clean_up()", "raise")),
        (caught("except:", "return retry(url)"), caught("except OSError:", "return retry(url)")),
    ],
    "hidden_failure": [
        (caught("except Exception:", "pass"), caught("except FileNotFoundError:", "pass")),
        (caught("except:", "return {}"), caught("except Exception as error:", "log.warning(str(error))", "return {}")),
        (caught("except (ValueError, Exception):", "return None"), caught("except (ValueError, KeyError):", "return None")),
        (caught("except BaseException as error:", "text = ''"), caught("except Exception:", "text = fallback(url)")),
        (caught("except Exception:", "return False"), caught("except Exception:", "return cache[url]")),
        (caught("except Exception:", "'never mind'", "return -1"), caught("except Exception:", "raise Broken")),
        (
            body("for one in url:", "    try:", "        fetch(one)", "    except Exception:", "        continue"),
            body("for one in url:", "    try:", "        fetch(one)", "    except LookupError:", "        continue"),
        ),
        (body("with suppress(Exception):", "    fetch(url)"), body("with suppress(KeyError):", "    fetch(url)")),
    ],
    "error_as_result": [
        (caught("except OSError as error:", "return {'error': str(error)}"), caught("except OSError:", "return {'text': ''}")),
        (caught("except OSError as error:", "return str(error)"), caught("except OSError as error:", "return str(url)")),
        (caught("except OSError as error:", "return f'{error}'"), caught("except OSError as error:", "return f'{url}'")),
        (caught("except OSError:", "return f'Error: {url}'"), caught("except OSError:", "return f'Errors are rare: {url}'")),
        (caught("except OSError:", "return 'Failed to fetch ' + url"), caught("except OSError:", "return 'nothing at ' + url")),
        (
            caught("except OSError:", "return {'success': False, 'text': url}"),
            caught("except OSError:", "return {'success': True, 'error': None}"),
        ),
        (caught("except OSError as error:", "return None, str(error)"), caught("except OSError:", "return None, url")),
        (
            caught("except OSError as error:", "return RunResponse(content=f'Error: {error}')"),
            caught("except OSError as error:", "return RunResponse(content=url)"),
        ),
        (caught("except OSError as error:", "return dict(error=error)"), body("return {'error': url}")),
        (
            caught("except OSError as error:", "return json.dumps({'status': 'error'})"),
            caught("except OSError as error:", "def later():", "    return {'error': str(error)}", "return retry(later)"),
        ),
    ],
    "unclear_name": [
        (body("return x", signature="def run(x: str) -> str:"), GOOD),
        (
            "def run(x: float) -> float: return x * 2\n",
            "def run(x: float, y: float) -> float: return x * y\n",
        ),
        ("def run(data1: str) -> str: return data1\n", "def run(data: str, file1: str) -> str: return data + file1\n"),
        (body("tmp = fetch(url)", "return tmp"), body("temperature = fetch(url)", "return temperature")),
        (body("d = fetch(url)", "return d"), body("f = open(url)", "i = n = 0", "return f[i:n]")),
        (body("return [fetch(url)]", "def do_stuff(): ..."), body("return [fetch(url)]", "def do_report(): ...")),
        (
            GOOD + "def parse(x: str) -> str:\n    rows = x.split()\n    rows.sort()\n    return rows[0]\n",
            GOOD + "def parse(x: str) -> str:\n    return x.split()[0]\n",
        ),
        (
            "class MyWorkflow(Workflow):\n    def run(self): ...\n",
            "class MyTaxReport(Workflow):\n    def run(self): ...\n",
        ),
        (body("foo = fetch(url)", "return foo"), body("for a, b in fetch(url): return [c for c in a + b]")),
    ],
    "abbreviated_name": [
        (
            "def run(incl_contrib: bool) -> str: ...\n",
            "def run(include_contributors: bool, repo: str, url: str, id: int) -> str: ...\n",
        ),
        ("def run(num: int) -> str: ...\n", "def run(number: int, numeral: str) -> str: ...\n"),
    ],
    "only_a_wrapper": [
        (body("return workflows.invoke('fetch', url=url)"), body("return workflows.invoke('fetch', url=url + '/')")),
        (body("return tools.curl.get(url)"), body("return tools.curl.get(url, timeout=limit())")),
        (
            "async def run(url: str, most: int):\n    return await client.get(url, limit=most)\n",
            "async def run(url: str, most: int):\n    return await client.get(url)\n",
        ),
        (body("requests.get(url)"), body("return url.upper()")),
        (
            "def run(*names: str, **more: str): return join(*names, **more)\n",
            "def run(url: str): return helper(url)\ndef helper(url): ...\n",
        ),
        (
            "class Fetch(Workflow):\n    def run(self, url: str): return get(url)\n",
            "class Fetch(Workflow):\n    def run(self, url: str): return self.fetched(url)\n",
        ),
    ],
    "swallowed_parameter": [
        ("def run(config: dict) -> str: ...\n", "def run(configuration: dict) -> str: ...\n"),
        ("def run(url: str, *, runtime: str = '') -> str: ...\n", "def helper(runtime): ...\ndef run() -> str: ...\n"),
        ("def run(run_manager: str) -> str: ...\n", "def run(manager: str) -> str:\n    config = 1\n"),
        (
            "class Payload(BaseModel):\n    config: str\ndef run(ctx): ...\n",
            "class Settings(BaseModel):\n    config: str\ndef run(ctx): ...\n",
        ),
        (
            "class Wanted(BaseModel):\n    config: str\ndef run(ctx: Context[Wanted]): ...\n",
            "class Wanted(BaseModel):\n    settings: str\ndef run(ctx: Context[Wanted]): ...\n",
        ),
    ],
    "secret_in_source": [
        (f"api_key = {KEY!r}\ndef run(): ...\n", "api_key = os.environ['API_KEY']\ndef run(): ...\n"),
        (f"client = Client({KEY!r})\ndef run(): ...\n", "client = Client('sk-...')\ndef run(): ...\n"),
        ("DB_PASSWORD: str = 'hunter2'\ndef run(): ...\n", "DB_PASSWORD: str = ''\ndef run(): ...\n"),
        ("connect(password='hunter2')\ndef run(): ...\n", "connect(password='<password>')\ndef run(): ...\n"),
        ("password = 'hunter2'\ndef run(): ...\n", "api_key_variable = 'hunter2hunter2hunter2'\ndef run(): ...\n"),
        (
            "headers = {'token': 'abcdef0123456789abcdef'}\ndef run(): ...\n",
            "headers = {'token': 'next_page_of_results'}\ndef run(): ...\n",
        ),
        (f"def run(url: str, key: str = {KEY!r}): ...\n", "def run(api_key: str = 'OPENAI_API_KEY'): ...\n"),
        ("def run(*, secret: str = 'abcdef0123456789'): ...\n", "def run(*, secret: str = 'your-secret-0123456789'): ...\n"),
        (
            "url = 'postgres://ada:lovelace@db/main'\ndef run(): ...\n",
            "url = 'postgres://{user}:{password}@db/main'\ndef run(): ...\n",
        ),
        (f"os.environ['OPENAI_API_KEY'] = {KEY!r}\ndef run(): ...\n", "tokens['a'] = 'b'\ndef run(): ...\n"),
    ],
    "unnamed_arguments": [
        ("def run(**fields: str) -> str: ...\n", "def run(name: str, **fields: str) -> str: ...\n"),
    ],
    "long_body": [
        (body(*["fetch(url)"] * 101), body(*["fetch(url)"] * 60)),
    ],
}  # fmt: skip
CASES = [(rule, bad, good) for rule, pairs in WARNINGS_AND_NEAR_MISSES.items() for bad, good in pairs]


@pytest.mark.parametrize(("rule", "bad", "good"), CASES, ids=[f"{rule}-{n}" for n, (rule, _, _) in enumerate(CASES)])
def test_a_rule_sees_its_case_and_leaves_the_near_miss_alone(rule: str, bad: str, good: str) -> None:
    found = the(rule, bad)
    assert found.severity in ("warning", "info")
    assert found.line and found.column and found.hint
    assert rule not in {one.rule for one in reviewed(good)}


def test_a_source_without_fault_has_no_remark() -> None:
    assert reviewed(GOOD) == []


@pytest.mark.parametrize("file", READY, ids=lambda file: file.stem)
async def test_the_ready_workflows_are_good(file: Path) -> None:
    source = file.read_text()
    found = merge(reviewed(source), await lint(source))
    assert [one for one in found if one.severity == "warning"] == []


def test_hints_show_the_better_form() -> None:
    source = "async def run(url, timeout=30, *, mode=None):\n    return {'a': 1}\n"
    assert the("untyped_parameter", source).hint == (
        "async def run(url: str, timeout: int = 30, *, mode: str | None = None) -> dict[str, str]:"
    )
    assert the("untyped_parameter", "def run(a=-1) -> str: ...\n").hint == "def run(a: int = -1) -> str:"
    assert the("untyped_result", "def run(a: int):\n    yield 'b'\n").hint == "def run(a: int) -> Iterator[str]:"
    assert "`settings: dict[str, int]`" in str(
        the("swallowed_parameter", "def run(config: dict[str, int]): ...\n").hint
    )
    cut = the("abbreviated_name", "def run(incl_contrib: bool, repo_url: str): ...\n").hint
    assert cut == "Write it out: `incl_contrib` → `include_contributors`, `repo_url` → `repository_url`."
    handled = the("error_as_result", caught("except OSError as problem:", "return str(problem)")).hint
    assert str(handled).startswith("raise RuntimeError(") and str(handled).endswith("from problem")
    assert "\n    url: " in str(the("no_docstring", "def run(url: str) -> str: ...\n").hint)


def test_a_secret_is_not_shown_and_its_variable_is_named() -> None:
    found = the("secret_in_source", f"openai_api_key = {KEY!r}\ndef run(): ...\n")
    assert KEY not in str(found) and "OPENAI_API_KEY" in str(found.hint)


def test_findings_are_placed_ordered_few_and_one_for_each_rule_in_a_line() -> None:
    many = "def run() -> None:\n" + "".join(f"    é = 'ä'; tmp{n} = thing{n} = 1\n" for n in range(40))
    found = reviewed(many + "    try: f()\n    except: return None\n")
    assert len(found) == 20
    assert [one.line for one in found] == sorted(one.line or 0 for one in found)
    assert len({(one.rule, one.line) for one in found}) == 20
    assert {"no_docstring", "hidden_failure"} <= {one.rule for one in found}, "warnings come before remarks"
    assert next(one.column for one in found if one.rule == "unclear_name") == 14, "in characters, not bytes"


def test_an_error_returned_by_a_helper_weighs_less_than_one_returned_by_the_entry() -> None:
    handler = "    try: return fetch()\n    except OSError as error: return {'error': str(error)}\n"
    assert the("error_as_result", f"def run():\n{handler}").severity == "warning"
    assert the("error_as_result", f"def run(): ...\ndef one():\n{handler}").severity == "info"


def test_what_loading_says_again_is_left_out() -> None:
    own = (
        Finding("untyped_parameter", "warning", "`a` and `b` have no type", 3),
        Finding("ruff:F401", "info", "unused", 1),
    )
    again, new = (
        Finding("untyped_parameter", "warning", "`a` has no type", 2),
        Finding("ignored_parameter", "warning", "*c", 2),
    )
    assert distinct(own, [again, new]) == (*own, new)
    assert distinct((), [again, again]) == (again, again), "a file that is only scanned has no other remarks"


def test_the_page_on_publishing_names_the_rules_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text()
    section = page.partition("\n## Remarks\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == list(RULES)
    assert all(code in section for code in ("`F`", "`B`", "`ASYNC`")), "what ruff is asked for"


# Ruff


async def test_ruff_finds_mistakes_in_the_lines_where_they_are() -> None:
    found = await lint("import os\n\ndef run(a=[]):\n    é = 1; return undefind\n")
    assert [(one.rule, one.severity, one.line, one.column) for one in found] == [
        ("ruff:F401", "info", 1, 8),
        ("ruff:B006", "warning", 3, 11),
        ("ruff:F841", "info", 4, 5),
        ("ruff:F821", "warning", 4, 19),
    ]
    assert found[0].hint == "Remove unused import: `os`."
    assert str(found[3].hint).startswith("See https://")


async def test_ruff_findings_are_few_and_the_serious_ones_among_them() -> None:
    found = await lint("".join(f"import a{n}\n" for n in range(30)) + "def run(): undefind\n")
    assert len(found) == 20
    assert found[-1].rule == "ruff:F821"


async def test_ruff_knows_the_names_that_are_there_without_an_import() -> None:
    used = "".join(f"    {name}\n" for name in GLOBALS)
    assert await lint(f"def run():\n{used}    nobody_put_this_here\n") == [
        Finding(
            "ruff:F821", "warning", "Undefined name `nobody_put_this_here`", len(GLOBALS) + 2, 5,
            "See https://docs.astral.sh/ruff/rules/undefined-name",
        )
    ]  # fmt: skip


def test_the_names_that_are_there_are_those_that_the_worker_puts_there() -> None:
    finders = sys.meta_path[:]
    try:
        with LoadedVersions().load(Version(Code("h", "seen", "def run(): ...", "seen.py", (), None))) as module:
            names = {name for name in vars(module) if not name.startswith("__")} - {"run"}
    finally:
        sys.meta_path[:] = finders
    assert names == set(GLOBALS)


@pytest.mark.parametrize(
    "quiet",
    [
        "from pydantic import Field\ndef run(text: str = Field('a'), *, timeout=1):\n    for i in 'ab': print(text)\n    assert text\n",
        "from typing import List, Optional\ndef run(a: Optional[int], b: List[int]):\n    return dict(zip(a, b))\n",
        "async def run():\n    with open('a') as f: return f.read()\n",
        "import random, subprocess\ndef run():\n    subprocess.run(['ls'])\n    return random.random()\n",
        "class X:\n    pass\nx = {'a':1 , 'b' : 2}\ndef run():    return x\n",
    ],
)
async def test_ruff_is_not_asked_about_taste(quiet: str) -> None:
    assert await lint(quiet) == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("ruff:ASYNC251", "import time\nasync def run():\n    time.sleep(9)\n"),
        ("ruff:S113", "import requests\ndef run():\n    return requests.get('http://a')\n"),
        ("ruff:S506", "import yaml\ndef run(a):\n    return yaml.load(a)\n"),
        ("ruff:B023", "def run():\n    return [lambda: i for i in 'ab']\n"),
        ("ruff:RUF006", "import asyncio\nasync def run():\n    asyncio.create_task(f())\ndef f(): ...\n"),
        ("ruff:RUF013", "def run(a: int = None): return a\n"),
        ("ruff:F632", "def run(a): return a is 'b'\n"),
        ("ruff:PLE1142", "def run():\n    await f()\ndef f(): ...\n"),
        ("ruff:invalid-syntax", "def run(:\n"),
    ],
)
async def test_ruff_is_asked_about_mistakes(rule: str, source: str) -> None:
    assert rule in {one.rule for one in await lint(source)}


async def test_what_our_own_rules_say_ruff_does_not_say_again() -> None:
    source = "def run():\n    try: f()\n    except: pass\n    undefind()\ndef f(): ...\n"
    ruff = await lint(source)
    assert {"ruff:E722", "ruff:S110", "ruff:F821"} <= {one.rule for one in ruff}
    both = merge(reviewed(source), ruff)
    assert {one.rule for one in both if one.rule.startswith("ruff:")} == {"ruff:F821"}
    assert "hidden_failure" in {one.rule for one in both}
    assert [one.line for one in both] == sorted(one.line or 0 for one in both)
    assert merge([], ruff) == ruff


async def test_the_source_and_the_surroundings_configure_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ruff.toml").write_text("[lint]\nignore = ['F821']\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUFF_CONFIG", str(tmp_path / "ruff.toml"))
    assert [one.rule for one in await lint("def run(): undefind\n")] == ["ruff:F821"]
    assert sorted(os.listdir(tmp_path)) == ["ruff.toml"]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Puts a program of the test's in ruff's place."""

    def put(script: str) -> None:
        program = tmp_path / "ruff"
        program.write_text(f"#!{sys.executable}\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(ruff, "ruff_path", lambda: str(program))

    yield put


@pytest.mark.parametrize(
    "script",
    [
        "import sys; sys.exit(2)",
        "import os, signal; os.kill(os.getpid(), signal.SIGABRT)",
        "import sys; sys.stdin.read(); print('{'); print('[1]'); print('no JSON')",
        "import os; os.close(0)",
    ],
)
async def test_a_ruff_that_fails_says_nothing(script: str, stand_in: Any) -> None:
    stand_in(script)
    assert await lint("undefind\n" * 20_000) == []


async def test_a_ruff_that_hangs_is_ended_and_holds_up_nobody(
    stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    monkeypatch.setattr(ruff, "_TIMEOUT_S", 1.0)
    turns = 0
    began = time.monotonic()
    async with anyio.create_task_group() as tasks:

        async def linted() -> None:
            assert await lint("x = 1\n" * 40_000) == []
            tasks.cancel_scope.cancel()

        tasks.start_soon(linted)
        while time.monotonic() - began < 30:
            await anyio.sleep(0.01)
            turns += 1
    assert turns > 10
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_a_ruff_that_does_not_stop_talking_is_cut_short(stand_in: Any) -> None:
    line = {"code": "F821", "message": "no", "location": {"row": 3, "column": 2}, "url": None, "fix": None}
    stand_in(f"import sys\nsys.stdin.read()\nwhile True: print({msgspec.json.encode(line).decode()!r})")
    with anyio.fail_after(4):
        assert await lint("x\n") == [Finding("ruff:F821", "warning", "no", 3, 2)]


async def test_without_ruff_there_is_nothing_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ruff_path()
    assert found is not None and os.access(found, os.X_OK)
    monkeypatch.setattr("sysconfig.get_path", lambda *_: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ruff_path() is None
    assert await lint("undefind\n") == []
    (tmp_path / "ruff").symlink_to(found)
    assert ruff_path() == str(tmp_path / "ruff")


# Who is called by name


CALLS = [
    ("workflows.invoke('fetch', url=1, most=2)", Reference("fetch", 1, ("url", "most"))),
    ("workflows.fetch(url=1)", Reference("fetch", 1, ("url",))),
    ("workflows.invoke(workflow_name='fetch', url=1)", Reference("fetch", 1, ("url",))),
    ("workflows.invoke('fetch', workflow_name='a')", Reference("fetch", 1, ("workflow_name",))),
    ("workflows.fetch(session_id='parent', url=1)", Reference("fetch", 1, ("url",))),
    ("workflows.fetch(**{'url': 1}, most=2)", Reference("fetch", 1, ("url", "most"))),
    ("workflows.fetch(most=2, **rest)", Reference("fetch", 1, ("most",), open=True)),
    ("workflows.fetch(**{key: 1})", Reference("fetch", 1, (), open=True)),
    ("from repertoire import workflows as w; w.invoke('fetch')", Reference("fetch", 1)),
    ("import repertoire; repertoire.workflows.fetch()", Reference("fetch", 1)),
    ("import repertoire as r; r.workflows.invoke('fetch')", Reference("fetch", 1)),
    ("call = workflows.invoke; call('fetch', url=1)", Reference("fetch", 1, ("url",))),
    ("fetch = workflows.fetch_json; again = fetch; again(url=1)", Reference("fetch_json", 1, ("url",))),
    ("getattr(workflows, 'fetch')(url=1)", Reference("fetch", 1, (), open=True)),
    ("map(workflows.fetch, urls)", Reference("fetch", 1, (), open=True)),
    ("[workflows.fetch(url=one) for one in urls]", Reference("fetch", 1, ("url",))),
    ("f = lambda url: workflows.fetch(url=url)", Reference("fetch", 1, ("url",))),
    ("class A:\n  def m(self):\n    def inner(): return workflows.fetch()", Reference("fetch", 3)),
    ("async def run(ctx, workflows):\n  await workflows.fetch()", Reference("fetch", 2)),
    ("async def run():\n  await gather(*(workflows.fetch(url=u) for u in urls))", Reference("fetch", 2, ("url",))),
    ("def run():\n  if workflows.search('a'): w = workflows\n  return w.invoke('fetch')", Reference("fetch", 3)),
]


@pytest.mark.parametrize(("source", "expected"), CALLS)
def test_workflows_that_are_called_are_found(source: str, expected: Reference) -> None:
    found = references(ast.parse(source))
    assert found.workflows == (expected,)
    assert not found.dynamic


@pytest.mark.parametrize(
    "source",
    [
        "workflows.search('a'); workflows.list(); workflows.get(name); workflows.delete('a'); workflows.create(name, source)",
        "def run(workflows: list[str]): workflows.append('a')",
        "def run():\n  workflows = []\n  workflows.append('a')",
        "from elsewhere import workflows\nworkflows.fetch()",
        "import elsewhere as workflows\nworkflows.fetch()",
        "for workflows in rows: workflows.fetch()",
        "class workflows: ...\nworkflows.fetch()",
        "repertoire.workflows.fetch()",
        "w = workflows if a else b\nw = other\nw.fetch()",
        "w = other\nw = workflows\nw.fetch()",
        "other.workflows.fetch(); self.workflows.fetch(); 'workflows'.fetch()",
        "workflows._private()",
    ],
)
def test_what_only_looks_like_a_call_of_a_workflow_is_none(source: str) -> None:
    assert references(ast.parse(source)).workflows == ()


@pytest.mark.parametrize(
    ("source", "dynamic"),
    [
        ("workflows.invoke(name, url=1)", True),
        ("workflows.invoke(**arguments)", True),
        ("getattr(workflows, name)(url=1)", True),
        ("getattr(tools, name)(url=1)", True),
        ("helper(workflows)", True),
        ("partial(workflows.invoke, 'fetch')", True),
        ("workflows.get(name)", False),
        ("w = workflows\nw.fetch()", False),
        ("getattr(other, name)()", False),
    ],
)
def test_calls_whose_target_is_not_in_the_source_are_dynamic(source: str, dynamic: bool) -> None:
    assert references(ast.parse(source)).dynamic is dynamic


def test_tools_are_found_by_their_dotted_names() -> None:
    source = "from repertoire import tools as t\ncurl = tools.curl\ncurl.get(url=1)\nt.git.log()\nt.git.log()\nmap(tools.a.b, [])\n"
    assert references(ast.parse(source)).tools == ("a.b", "curl.get", "git.log")
    assert references(ast.parse("tools = []\ntools.append(1)\n")).tools == ()


def schema(run: Any) -> dict[str, Any]:
    """As the product makes it."""
    made: dict[str, Any] = read(run, {}).input_schema
    return made


def fetch(url: str, most: int = 3) -> str: ...  # type: ignore[empty-body]


def open_fetch(url: str, **more: int) -> str: ...  # type: ignore[empty-body]


KNOWN = {"fetch_json": schema(fetch), "open_fetch": schema(open_fetch), "nothing": {}}


@pytest.mark.parametrize(
    ("call", "rule", "hint"),
    [
        ("workflows.fetch_jsn(url=1)", "unknown_workflow", "Is it `fetch_json`?"),
        ("workflows.zzz()", "unknown_workflow", "Publish that workflow first"),
        ("workflows.fetch_json(url=1, mots=2)", "unknown_argument", "Is it `most`? It takes `url`, `most`."),
        ("workflows.fetch_json(most=2)", "missing_argument", "workflows.invoke('fetch_json', most=..., url=...)"),
        ("workflows.open_fetch(other=2)", "missing_argument", "workflows.invoke('open_fetch', url=...)"),
        ("workflows.fetch_json(mots=2, **rest)", "unknown_argument", "Is it `most`?"),
    ],
)
def test_calls_that_cannot_succeed_are_told_with_what_was_meant(call: str, rule: str, hint: str) -> None:
    (found,) = unfit_calls(references(ast.parse("\n" + call)), KNOWN)
    assert (found.rule, found.severity, found.line) == (rule, "warning", 2)
    assert str(found.hint).startswith(hint)


@pytest.mark.parametrize(
    "call",
    [
        "workflows.fetch_json(url=1)",
        "workflows.fetch_json(url=1, most=2, session_id='parent')",
        "workflows.fetch_json(**rest)",
        "workflows.open_fetch(url=1, other=2)",
        "workflows.nothing(any=2)",
        "workflows.invoke('fetch-json', url=1)",
        "map(workflows.fetch_json, urls)",
        "workflows.create('new', source); workflows.new()",
        "workflows.get('new') and workflows.invoke('new')",
    ],
)
def test_calls_that_may_succeed_are_left_alone(call: str) -> None:
    assert unfit_calls(references(ast.parse(call)), KNOWN) == []


def test_missing_findings_are_few() -> None:
    found = unfit_calls(references(ast.parse("workflows.gone(); workflows.lost()\n" * 50)), KNOWN)
    assert len(found) == len({one.line for one in found}) == 20


def one(kind: Any, *, required: bool = True) -> dict[str, Any]:
    def run(value: Any = None) -> None: ...

    if required:
        run.__defaults__ = None
    run.__annotations__ = {"value": kind, "return": None}
    return schema(run)


GIVEN = Reference("count", 7, ("value",))


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        (int, str, "gives `value`, which may no longer be an integer."),
        (str | None, str, "gives `value`, which may no longer be null."),
        (float, int, "gives `value`, which may no longer be a number."),
        (list[int], list[str], "gives `value`, which is a list whose items changed: an item may no longer be an integer."),
        (dict[str, int], list[int], "gives `value`, which may no longer be an object."),
        (int | str, int, "gives `value`, which may no longer be a string."),
        (int, float, None),
        (str, str | None, None),
        (Any, str, None),
        (str, Any, None),
        (list[int], list[float], None),
        (list, list[int], None),
        (int, int | str, None),
    ],
)  # fmt: skip
def test_a_type_that_takes_less_is_narrower(before: Any, after: Any, ends: str | None) -> None:
    why = change_problem(one(before), one(after), GIVEN)
    assert why == (None if ends is None else f"The call of `count` in line 7 {ends}")


def _schema_of(**value: Any) -> dict[str, Any]:
    return {"properties": {"value": value}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, "may no longer be 'b'"),
        ({"enum": ["a"]}, {"enum": ["b", "a"]}, None),
        ({"type": "string"}, {"enum": ["a"]}, "must now be one of 'a'"),
        ({"const": "a"}, {"type": "string"}, None),
        ({"type": "string"}, {"type": "string", "format": "date"}, "must now be a string in the form date"),
        ({"type": "string", "format": "date"}, {"type": "string"}, None),
        ({"$ref": "#/$defs/A"}, {"type": "integer"}, None),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 5}, None),
    ],
)
def test_choices_and_forms_may_be_narrower_too(before: Any, after: Any, said: str | None) -> None:
    why = change_problem(_schema_of(**before), _schema_of(**after), GIVEN)
    assert why is None if said is None else said in str(why)


def test_parameters_that_go_or_come_break_callers() -> None:
    plain, both = schema(fetch), one(str)
    uses = Reference("fetch", 3, ("url",))
    assert (
        change_problem(plain, both, uses)
        == "The call of `fetch` in line 3 gives `url`, which is no longer a parameter."
    )
    assert change_problem({**plain, "required": []}, plain, Reference("fetch", 3)) == (
        "The call of `fetch` in line 3 does not give `url`, which is now required."
    )
    assert change_problem({**plain, "required": []}, plain, Reference("fetch", 3, open=True)) is None
    assert change_problem(plain, plain, Reference("fetch", 3)) is None, "it was broken before"
    assert change_problem(plain, schema(open_fetch), uses) is None
    assert change_problem(plain, {**plain, "required": ["url", "most"]}, Reference("fetch", 3, ("url", "most"))) is None
    assert "no longer a parameter" in str(
        change_problem(schema(open_fetch), plain, Reference("fetch", 3, ("url", "other")))
    )


def test_schemas_that_refer_to_themselves_are_compared_to_a_depth() -> None:
    def tree(leaf: str) -> dict[str, Any]:
        node = {"anyOf": [{"type": leaf}, {"type": "array", "items": {"$ref": "#/$defs/N"}}]}
        return {"$defs": {"N": node, "L": {"$ref": "#/$defs/L"}}, **_schema_of(**{"$ref": "#/$defs/N"})}

    assert change_problem(tree("string"), tree("string"), GIVEN) is None
    assert "may no longer be a string" in str(change_problem(tree("string"), tree("integer"), GIVEN))
    circle = {"$defs": {"L": {"$ref": "#/$defs/L"}}, **_schema_of(**{"$ref": "#/$defs/L"})}
    assert change_problem(circle, circle, GIVEN) is None


# Sources made to be slow or deep


HOSTILE = {
    "names": "x = [" + "a," * (LARGEST // 2 - 10) + "]\n",
    "lines": "a\n" * (LARGEST // 2),
    "calls": "a()\n" * (LARGEST // 4),
    "functions": "def f():0\n" * (LARGEST // 10),
    "chains": ("a" + ".b" * 500 + "\n") * (LARGEST // 1100),
    "calls of calls": ("a" + ".b()" * 250 + "\n") * (LARGEST // 1100),
    "sums": ("x = a" + "+a" * 500 + "\n") * (LARGEST // 1100),
    "lambdas": "x = " + "lambda a:" * 200 + "a\n",
    "nested functions": "".join(" " * i + f"def f{i}():\n" for i in range(90)) + " " * 90 + "a;" * 90_000 + "\n",
    "handlers": "def f():\n" + " try: pass\n except: x\n" * (LARGEST // 24),
    "classes": "".join(f"class A{n}(A{n - 1}, Workflow):\n def run(self):0\n" for n in range(3000)),
    "parameters": "def run(" + ",".join(f"a{n}" for n in range(LARGEST // 8)) + "): pass\n",
    "blank docstring": 'def run():\n """' + "\n" * (LARGEST - 100) + '"""\n',
    "odd docstring": 'def run(a: int) -> int:\n """x\n\n : :param x:Args:"""\n',
    "long secrets": "".join(f"token = 'sk-{'a-' * 2000}!'\n" for _ in range(LARGEST // 4100)),
    "deep tree": "",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sources_are_read_with_bounded_work(name: str) -> None:
    source = HOSTILE[name]
    tree = ast.parse(source) if source else deep_tree()
    for read_it in (lambda: review(tree, source), lambda: references(tree)):
        assert calls_made(read_it) < 40 * MOST_NODES


def calls_made(function: Callable[[], object]) -> int:
    """Calls of functions on the way, C's too: the same on a slow machine."""
    made = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return made


def test_what_was_not_read_to_its_end_may_call_anything() -> None:
    assert references(ast.parse(HOSTILE["lines"])).dynamic
    assert not references(ast.parse(HOSTILE["lambdas"])).dynamic


def deep_tree() -> ast.Module:
    """Deeper than any parser makes one."""
    value: ast.expr = ast.Name("a", ast.Load(), lineno=1, col_offset=0)
    for _ in range(50_000):
        value = ast.Attribute(ast.Call(value, [], [], lineno=1, col_offset=0), "b", ast.Load(), lineno=1, col_offset=0)
    return ast.Module([ast.Expr(value, lineno=1, col_offset=0)], [])
