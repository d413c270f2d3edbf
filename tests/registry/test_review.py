"""What is said of a source before it is published: our own rules, ruff's, and the workflows and tools that it calls by name."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repertoire.model.workflow_version import Finding
from repertoire.registry.review import (
    distinct,
    lint,
    merge,
    references,
    review,
)
from repertoire.registry.review.findings import RULES
from repertoire.registry.review.tree import MOST_NODES

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
            "class Fetch(Workflow):\n    def run(self): ...\n",
            'class Fetch(Workflow):\n    def run(self):\n        """The method has one: it is the description."""\n',
        ),
    ],
    "fuller_docstring": [
        (f'"""Fetch."""\n{body("return url", doc="Fetch a page, and follow each of its links.")}', GOOD),
        (
            f'"""Fetch it."""\n{body("return url", doc="Fetch a page again, when it has changed.")}',
            f'"""Fetch the page."""\n{body("return url", doc="Fetch the page of the url.")}',
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
