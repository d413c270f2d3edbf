"""What the worker rewrites in a workflow file, and that the file is otherwise what it was: values, lines, columns, errors."""

from __future__ import annotations

import ast
import asyncio
import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest

from repertoire.worker.replay.run_clock import RunClock
from repertoire.worker.source.shims import builtins_for
from repertoire.worker.source.transform import compile_source, needs_rewriting, transform

HELPERS = {"__aio__", "__decorator__", "__clock_attr__"}

AWAITED = [
    ("await t.f(t.g())", "await __aio__(t.f)(t.g())"),
    ("x = t.f()", "x = t.f()"),
    ("await (t.f() if a else t.g(1))", "await (__aio__(t.f)() if a else __aio__(t.g)(1))"),
    ("x = t.f()\nawait x", "x = __aio__(t.f)()\nawait x"),
    ("x = t.f()\nawait g(x)", "x = t.f()\nawait __aio__(g)(x)"),
    ("await gather(t.f(), *t.many())", "await __aio__(gather)(__aio__(t.f)(), *t.many())"),
    ("await gather(*[t.f(x) for x in y])", "await __aio__(gather)(*[__aio__(t.f)(x) for x in y])"),
    ("await gather(*(t.f(x) for x in t.g()))", "await __aio__(gather)(*(__aio__(t.f)(x) for x in t.g()))"),
    ("await gather(*map(t.f, t.g()))", "await __aio__(gather)(*map(__aio__(t.f), t.g()))"),
    ("r = asyncio.gather(t.f(), t.g())\nawait r", "r = __aio__(asyncio.gather)(__aio__(t.f)(), __aio__(t.g)())\nawait r"),
    ("await a.wait_for(t.f(), t.g())", "await __aio__(a.wait_for)(__aio__(t.f)(), t.g())"),
    ("await a.wait({t.f()}, timeout=t.g())", "await __aio__(a.wait)({__aio__(t.f)()}, timeout=t.g())"),
    ("page.wait(t.seconds())", "page.wait(t.seconds())"),
    ("g.create_task(t.f(), name=t.g())", "g.create_task(__aio__(t.f)(), name=t.g())"),
    ("g.create_task(coro=t.f())", "g.create_task(coro=__aio__(t.f)())"),
    ("tools.todo.create_task(t.f())", "tools.todo.create_task(t.f())"),
    ("n.start_soon(t.f, 1)", "n.start_soon(__aio__(t.f), 1)"),
    ("n.start_soon(partial(t.f, 1))", "n.start_soon(partial(__aio__(t.f), 1))"),
    ("asyncio.run(t.f())", "asyncio.run(__aio__(t.f)())"),
    ("subprocess.run(t.f())", "subprocess.run(t.f())"),
    ("import asyncio as a\na.run(t.f())", "import asyncio as a\na.run(__aio__(t.f)())"),
    ("from asyncio import run\nrun(t.f())", "from asyncio import run\nrun(__aio__(t.f)())"),
    ("with asyncio.Runner() as r:\n r.run(t.f())", "with asyncio.Runner() as r:\n    r.run(__aio__(t.f)())"),
    ("async with t.f() as x:\n pass", "async with __aio__(t.f)() as x:\n    pass"),
    ("async for x in t.f():\n pass", "async for x in __aio__(t.f)():\n    pass"),
    ("[x async for x in t.f()]", "[x async for x in __aio__(t.f)()]"),
    ("s = [t.f(x) for x in y]\nawait gather(*s)", "s = [__aio__(t.f)(x) for x in y]\nawait __aio__(gather)(*s)"),
    ("s = t.f()\nawait gather(*s)", "s = t.f()\nawait __aio__(gather)(*s)"),
    ("s.append(t.f())\nawait wait(s)", "s.append(__aio__(t.f)())\nawait __aio__(wait)(s)"),
    ("s += [t.f()]\nawait wait(s)", "s += [__aio__(t.f)()]\nawait __aio__(wait)(s)"),
    ("s = [t.f()]\nfor x in s:\n await x", "s = [__aio__(t.f)()]\nfor x in s:\n    await x"),
    ("s = [t.f()]\n[await x for x in s]", "s = [__aio__(t.f)()]\n[await x for x in s]"),
    ("s = [t.f()]\np = s\nawait p[0]", "s = [__aio__(t.f)()]\np = s\nawait p[0]"),
    ("s = {1: t.f()}\nawait gather(*s.values())", "s = {1: __aio__(t.f)()}\nawait __aio__(gather)(*s.values())"),
    ("s[1] = t.f()\nfor k, x in s.items():\n await x", "s[1] = __aio__(t.f)()\nfor k, x in s.items():\n    await x"),
    ("u = [t.g()]\ns = [t.f()]\nfor a, b in zip(u, s):\n await b",
     "u = [t.g()]\ns = [__aio__(t.f)()]\nfor a, b in zip(u, s):\n    await b"),
    ("a, b = t.f(), t.g()\nawait b", "a, b = (t.f(), __aio__(t.g)())\nawait b"),
    ("self.x = t.f()\nawait self.x", "self.x = __aio__(t.f)()\nawait self.x"),
    ("(x := t.f())\nawait x", "(x := __aio__(t.f)())\nawait x"),
    ("await super().f()", "await __aio__(super().f)()"),
    ("await super()", "await super()"),
    ("x = t.f()\ndef g():\n async def h(x):\n  await x", "x = t.f()\n\ndef g():\n\n    async def h(x):\n        await x"),
]  # fmt: skip

REWRITTEN = [
    ("@step\ndef f(): ...", "@__decorator__(step)\ndef f():\n    ..."),
    ("@a.cached(1)\nasync def f(): ...", "@__decorator__(a.cached)(1)\nasync def f():\n    ..."),
    ("@a.b\n@stepping\ndef f(): ...", "@a.b\n@stepping\ndef f():\n    ..."),
    ("x = d.now(z), d.utcnow, d.today()", "x = (__clock_attr__(d.now)(z), __clock_attr__(d.utcnow), __clock_attr__(d.today)())"),
    ("x.now = y.now\ndel x.now", "x.now = __clock_attr__(y.now)\ndel x.now"),
    ("match x:\n case a.now: pass", "match x:\n    case a.now:\n        pass"),
    ("def f(a: d.now=d.now) -> d.now: ...",
     "def f(a: __clock_attr__(d.now)=__clock_attr__(d.now)) -> __clock_attr__(d.now):\n    ..."),
    ("from __future__ import annotations\ndef f(a: d.now) -> d.now: ...",
     "from __future__ import annotations\n\ndef f(a: d.now) -> d.now:\n    ..."),
    ("now = 1\nstep = now", "now = 1\nstep = now"),
]  # fmt: skip

SNIPPETS = {
    "super": """
        class A:
            async def f(self, x): return [x]
            @classmethod
            async def g(cls): return cls.__name__
        class B(A):
            async def f(self, x): return [*await super().f(x), *await super(B, self).f(x), __class__.__name__]
            @classmethod
            async def g(cls): return await super().g()
        async def both(): return await B().f(1), await B.g()
        result = asyncio.run(both())""",
    "dataclass": """
        import dataclasses, datetime, copy
        @dataclasses.dataclass(order=True)
        class D:
            at: datetime.datetime = dataclasses.field(default_factory=datetime.datetime.now)
            n: int = 1
        d = D(datetime.datetime(2020, 1, 1))
        result = repr(copy.deepcopy(d)), type(D().at) is datetime.datetime, D.__annotations__""",
    "pydantic": """
        import datetime, pydantic
        class M(pydantic.BaseModel):
            at: datetime.datetime
            made: datetime.datetime = pydantic.Field(default_factory=datetime.datetime.now)
            day: datetime.date | None = None
        m = M(at="2020-01-01T00:00:00", day="2020-01-02")
        result = m.model_dump(exclude={"made"}), type(m.made) is datetime.datetime, M.model_json_schema()""",
    "enum": """
        import enum
        class E(enum.Enum):
            now = 1
            today = 2
        result = E.now.value, [e.name for e in E], E("x") if False else E(2).name""",
    "exec": """
        names = {}
        exec("import time, datetime\\nx = [datetime.date.today, len('abc')][1]", names)
        result = names["x"], eval("sum([1, 2])"), eval("a + 1", {"a": 1}), sorted(set(names) - {"time", "datetime"})""",
    "scopes": """
        total = 0
        def outer():
            count = 0
            async def inner():
                nonlocal count
                global total
                count += 1; total += 1
                return count
            async def use(): return await inner() + await inner()
            return asyncio.run(use()), count
        result = outer(), total""",
    "generators": """
        async def numbers(n):
            for i in range(n):
                sent = yield i
        async def use():
            a = [x async for x in numbers(3)]
            b = {x: y async for x in numbers(2) for y in [x]}
            g = numbers(3)
            return a, b, await anext(g), await g.asend(None), [await f for f in [c(1), c(2)]]
        async def c(x): return x
        def back():
            got = yield 1
            yield got
        g = back(); result = asyncio.run(use()), next(g), g.send("x")""",
    "await a yield": """
        import types
        class Y:
            def __await__(self):
                got = yield from self.inner()
                return got
            def inner(self):
                return (yield "out")
        async def f(): return await Y()
        c = f(); sent = c.send(None)
        try: c.send("in")
        except StopIteration as end: result = sent, end.value""",
    "match walrus fstring": """
        import datetime
        class X: now = 3
        def f(v):
            match v:
                case X.now: return "now"
                case {"a": [x, *rest]} if (n := len(rest)): return f"{x} {n=} {X.now!r:>4}"
                case _: return "other"
        result = f(3), f({"a": [1, 2]}), f(0)""",
    "decorators": """
        import functools
        def step(f=None, *, times=1):
            if f is None: return functools.partial(step, times=times)
            @functools.wraps(f)
            def g(*a): return [f(*a)] * times
            return g
        @step
        def a(x): "doc"; return x
        @step(times=2)
        def b(x): return x
        result = a(1), b(1), a.__doc__, a.__name__""",
    "order": """
        said = []
        def say(x): said.append(x); return lambda *a, **k: coro(x)
        async def coro(x): return x
        async def f(): return await say("f")(said.append("arg"), k=said.append("kw")), await asyncio.gather(say("g")(said.append(1)))
        result = asyncio.run(f()), said""",
    "pickle": """
        import pickle, copy, datetime, types
        def f(x): return x
        result = (copy.deepcopy(f) is f, pickle.loads(pickle.dumps(datetime.datetime)) is datetime.datetime,
                  pickle.loads(pickle.dumps(datetime.datetime.now)) == datetime.datetime.now,
                  types.FunctionType(f.__code__, {})(1), isinstance(datetime.datetime.now(), datetime.date))""",
    "errors": """
        import datetime
        def error(f):
            try: f()
            except Exception as e: return type(e).__name__, str(e), getattr(e, "name", None)
        result = [error(f) for f in (lambda: datetime.now(), lambda: (1).today, lambda: None.utcnow(), lambda: nothing.now,
                                     lambda: datetime.date.now(), lambda: datetime.datetime.now(1))]""",
    "tasks": """
        async def c(x): await asyncio.sleep(0); return x
        async def f():
            tasks = [asyncio.create_task(c(i)) for i in range(3)]
            first = await tasks[0]
            done, pending = await asyncio.wait(tasks)
            async with asyncio.TaskGroup() as group: own = group.create_task(c("own"))
            async with asyncio.timeout(5): late = await asyncio.wait_for(c("late"), timeout=1)
            return first, len(done), await asyncio.gather(*map(c, "ab")), own.result(), late
        result = asyncio.run(f())""",
    "type alias": """
        from typing import TypeAlias, Annotated, get_type_hints
        A: TypeAlias = "list[int]"
        def f(x: A, y: Annotated[int, "step"]) -> "dict[str, A]": ...
        result = str(get_type_hints(f, include_extras=True))""",
}  # fmt: skip

CLASS_A = "class A:\n  def g(self): return self\n  def h(self, x, k=0): 1/0\nasyncio.run(f())"

FAILING = [
    "async def f():\n    await (missing\n        .g(1,\n  2))\nasyncio.run(f())",
    "async def f():\n    await (asyncio\n        .gather(1 /\n  0))\nasyncio.run(f())",
    "async def f():\n    x = (A()\n       .g()\n       .h(*[1]))\n    await x\n" + CLASS_A,
    "async def f():\n    x = (A()\n       .g()\n       .h(1, k=2))\n    await x\n" + CLASS_A,
    "async def f():\n    x = (A()\n       .é()\n       .nö(1))\n    await x\nclass A:\n  def é(self): return self\nasyncio.run(f())",
    "import datetime\nx = (datetime\n  .datetime\n  .now(1,\n 2))",
    "x = (asyncio\n  .now\n  .then)",
    "def step(x): 1 / 0\n@step\ndef f():\n  pass",
    "class S:\n  def step(self, x): 1 / 0\n@(S()\n .step(\n1))\ndef f():\n  pass",
    "async def f(): await g(h(1))\nasync def g(x): pass\ndef h(x): raise ValueError(x)\nasyncio.run(f())",
    "async def f():\n  await g(1, 2)\nasync def g(x): pass\nasyncio.run(f())",
]

BROKEN = [
    "async def f(:\n  await x", "return await x", "await x\nnonlocal y", "def f():\n  await x",
    "x = 'a\nawait", "f(await x for x in y) = 1",
    "from __future__ import nothing\nawait", "async def f():\n x = 1\n global x", "  await x", "async def f():\n\tawait x\n        y",
    "await\0",
    "class A:\n async def f(self):\n  yield\n  return 1", "break # await", "def f(a, a): await_", "(" * 300 + "await",
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), AWAITED)
def test_calls_that_are_awaited_are_marked_and_no_others(source: str, expected: str) -> None:
    assert marked(source) == expected


class _Unwrapping(ast.NodeTransformer):
    def visit_Await(self, node: ast.Await) -> ast.Await:
        self.generic_visit(node)
        match node.value:
            case ast.Call(func=ast.Name(id="__awaitable__"), args=[value]):
                node.value = value
            case _:
                assert isinstance(node.value, ast.Call), "what is awaited and is no call goes through __awaitable__"
        return node


def marked(source: str) -> str:
    """The source with its marks of calls, without what is done with awaited values."""
    return ast.unparse(_Unwrapping().visit(transform(source, "f")))


@pytest.mark.parametrize(("source", "expected"), REWRITTEN)
def test_decorators_and_the_clock_of_datetime_are_rewritten(source: str, expected: str) -> None:
    assert ast.unparse(transform(source, "f")) == expected


def test_a_name_awaited_in_one_function_says_nothing_about_another() -> None:
    source = "async def f():\n    x = t.f()\n    await x\n\nasync def g():\n    x = t.f()\n    return x"
    assert marked(source) == source.replace("t.f()", "__aio__(t.f)()", 1)


class Door:
    is_door = True

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, x: Any) -> str:
        self.calls.append("sync")
        return f"{x}"

    def aio(self, x: Any) -> Any:
        self.calls.append("async")
        return asyncio.sleep(0, f"{x}")

    def decorator(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append("decorator")
        return args[0] if args else functools.partial(lambda f: f)


def test_a_door_is_told_how_it_is_called() -> None:
    door = Door()
    source = (
        "import asyncio\n@step\ndef f(x): return x\n@step(retries=1)\nasync def g(x): return await step(step(x))\n"
        "async def run():\n    tasks = [step(x) for x in 'ab']\n    return step(1), await g(2), await asyncio.gather(*tasks)\n"
        "result = asyncio.run(run())"
    )
    assert execute(compile_source(source, "f"), {"step": door}) == ("1", "2", ["a", "b"])
    assert door.calls == ["decorator", "decorator", "async", "async", "sync", "sync", "async"]


@pytest.mark.parametrize("name", SNIPPETS)
def test_plain_python_means_what_it_meant(name: str) -> None:
    source = "import asyncio\nif True:" + SNIPPETS[name]
    plain = execute(compile(source, "f", "exec", dont_inherit=True))
    assert execute(compile_source(source, "f")) == plain
    assert execute(compile_source(source, "f"), clock=RunClock("seed", Live())) == plain


@pytest.mark.parametrize("source", FAILING)
def test_tracebacks_show_the_same_lines_and_columns(source: str) -> None:
    source = "import asyncio\n" + source
    plain = positions(compile(source, "<f>", "exec", dont_inherit=True))
    assert positions(compile_source(source, "<f>")) == plain
    assert plain


@pytest.mark.parametrize("source", BROKEN)
def test_what_does_not_compile_is_refused_in_the_same_words(source: str) -> None:
    assert refusal(compile_source, source) == refusal(plainly, source)


def test_a_source_with_nothing_to_rewrite_is_left_alone() -> None:
    source = '"""Doc."""\nfrom __future__ import annotations\nx = 1 + 1\ndef steps(know): return know.nowhere'
    assert not needs_rewriting(source)
    assert ast.dump(transform(source, "f"), include_attributes=True) == ast.dump(
        ast.parse(source), include_attributes=True
    )


def test_docstring_and_future_imports_stay_first() -> None:
    names: dict[str, Any] = {"__builtins__": builtins_for(None)}
    exec(
        compile_source('"""Doc."""\nfrom __future__ import annotations\nasync def f(x: Y): """D."""; await x()', "f"),
        names,
    )
    assert (names["__doc__"], names["f"].__doc__, names["f"].__annotations__) == ("Doc.", "D.", {"x": "Y"})


def test_expressions_may_nest_deeper_than_python_s_own_frames() -> None:
    source = "async def f(x): await x()\na = 1\nresult = a" + " + a" * 900
    assert execute(compile_source(source, "f")) == 901


@pytest.mark.filterwarnings("ignore")
def test_the_standard_library_compiles_to_the_same_lines() -> None:
    library = Path(os.__file__).parent
    files = sorted(f for f in library.rglob("*.py") if "site-packages" not in f.parts)
    chosen = {*files[:: max(1, len(files) // 100)], *(library / "asyncio").glob("*.py"), library / "datetime.py"}
    rewritten = 0
    for file in sorted(chosen):
        source = file.read_text(encoding="utf-8", errors="replace")
        try:
            plain = plainly(source, str(file))
        except (SyntaxError, ValueError):
            continue
        tree = transform(source, str(file))
        assert outline(compile(tree, str(file), "exec", dont_inherit=True)) == outline(plain), file
        helpers = sum(isinstance(node, ast.Name) and node.id in HELPERS for node in ast.walk(tree))
        rewritten += helpers
        if helpers == 0:
            assert ast.dump(tree) == ast.dump(ast.parse(source)), file
    assert rewritten > 100


class Live:
    def read_clock(self, live: Callable[[], float], /) -> float:
        return live()


def execute(code: CodeType, names: dict[str, Any] | None = None, clock: RunClock | None = None) -> Any:
    module = ModuleType("repertoire_snippet")
    module.__dict__.update(names or {}, __builtins__=builtins_for(clock))
    sys.modules[module.__name__] = module
    try:
        with warnings.catch_warnings(action="ignore"):
            exec(code, module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module.__dict__["result"]


def positions(code: CodeType) -> list[tuple[Any, ...]]:
    try:
        execute(code)
    except Exception as error:
        frames: list[tuple[FrameType, int]] = list(traceback.walk_tb(error.__traceback__))
        shown = traceback.TracebackException.from_exception(error).stack
        assert len(frames) == len(shown)
        return [
            (one.name, one.lineno, one.end_lineno, one.colno, one.end_colno) for one in shown if one.filename == "<f>"
        ] + [(type(error), str(error))]
    raise AssertionError("it did not fail")


def plainly(source: str, filename: str) -> CodeType:
    return compile(source, filename, "exec", dont_inherit=True)


def refusal(compiling: Callable[[str, str], CodeType], source: str) -> tuple[Any, ...]:
    with pytest.raises((SyntaxError, ValueError)) as caught:
        compiling(source, "<f>")
    error = caught.value
    if not isinstance(error, SyntaxError):
        return type(error), str(error)
    return (
        type(error),
        error.msg,
        error.filename,
        error.lineno,
        error.offset,
        error.end_lineno,
        error.end_offset,
        error.text,
    )


def outline(code: CodeType) -> list[tuple[Any, ...]]:
    """Of each code object in it: where its instructions are and what names it has."""
    found: list[tuple[Any, ...]] = []
    todo = [code]
    while todo:
        one = todo.pop()
        lines = frozenset(line for _, _, line in one.co_lines())
        found.append(
            (one.co_name, one.co_firstlineno, lines, one.co_flags, one.co_varnames, one.co_freevars, one.co_cellvars)
        )
        todo += [inner for inner in one.co_consts if isinstance(inner, CodeType)]
    return found
