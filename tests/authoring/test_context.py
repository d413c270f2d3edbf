"""The context style: `run(ctx)` in real workers, and its payload typed in each way."""

from __future__ import annotations

import anyio
import pytest

from repertoire.authoring.context import Context
from support import workers
from support.workers import Worker, notes, schema

shared, worker = workers.shared, workers.worker


# Ways to say what the payload is. Each takes a text, and how many of its words to give.

TYPED = {
    "Context[Model]": """
        from pydantic import BaseModel
        from repertoire import Context
        class Wanted(BaseModel):
            text: str
            most: int = 2
        def run(ctx: Context[Wanted]) -> list[str]:
            return ctx.payload.text.split()[: ctx.payload.most]
        """,
    "Context[Model], postponed": """
        from __future__ import annotations
        from dataclasses import dataclass
        from repertoire import Context
        @dataclass
        class Wanted:
            text: str
            most: int = 2
        def run(ctx: Context[Wanted]) -> list[str]:
            return ctx.payload.text.split()[: ctx.payload.most]
        """,
    "Context[TypedDict]": """
        from typing import TypedDict
        from typing_extensions import NotRequired
        import repertoire
        class Wanted(TypedDict):
            text: str
            most: NotRequired[int]
        def run(ctx: repertoire.Context[Wanted]) -> list[str]:
            return ctx.payload["text"].split()[: ctx.payload.get("most", 2)]
        """,
    "Payload, a pydantic model": """
        from pydantic import BaseModel
        class Payload(BaseModel):
            text: str
            most: int = 2
        def run(ctx) -> list[str]:
            again = Payload(**ctx.payload)
            assert isinstance(ctx.payload, Payload) and "text" in ctx.payload and ctx.payload.get("none", 1) == 1
            return ctx.payload["text"].split()[: again.most]
        """,
    "Payload, a dataclass": """
        from dataclasses import dataclass
        @dataclass
        class Payload:
            text: str
            most: int = 2
        def run(ctx) -> list[str]:
            assert dict(ctx.payload)["most"] == ctx.payload.most
            return ctx.payload["text"].split()[: ctx.payload.most]
        """,
    "Payload, a TypedDict": """
        from typing import TypedDict
        from typing_extensions import NotRequired
        class Payload(TypedDict):
            text: str
            most: NotRequired[int]
        def run(context) -> list[str]:
            return context.payload["text"].split()[: context.payload.get("most", 2)]
        """,
    "parameters after ctx": """
        def run(ctx, text: str, most: int = 2) -> list[str]:
            assert ctx.payload["text"] == text
            return text.split()[:most]
        """,
}


@pytest.mark.parametrize("way", TYPED)
def test_each_way_of_typing_gives_one_schema_and_one_check(worker: Worker, way: str) -> None:
    source = TYPED[way]
    read = schema(worker, source)
    default = {} if "TypedDict" in way else {"default": 2}
    assert read["properties"] == {"text": {"type": "string"}, "most": {"type": "integer", **default}}
    assert read["required"] == ["text"] and read["type"] == "object" and read["additionalProperties"] is False
    assert "title" not in read and notes(worker, source) == []
    for _ in range(2):
        assert worker.result(source, {"text": "a b c", "most": "1"}) == ["a"]
    assert worker.result(source, {"text": "a b c"}) == ["a", "b"]
    assert worker.fault(source).message == "`text`: missing; wants a string"
    wrong = worker.fault(source, {"text": "a", "most": "x"})
    assert wrong.code == "invalid_arguments" and wrong.message == "`most`: wants an integer, got 'x' (str)"
    assert len(worker.fault(source, {"most": "x", "mots": 1}).message.split("; ")) >= 3
    assert worker.fault(source, {"text": "a", "mots": 1}).message == "`mots`: unknown argument; did you mean `most`?"


OPEN = '''
    """Sum up."""
    def run(ctx):
        """Sum up.

        Args:
            text: What to sum up.
        """
        audience = ctx.payload.get("audience", "general")
        return [ctx.payload["text"], audience, ctx.payload.get("most", 3), sorted(ctx.payload)]
    '''


def test_untyped_keys_are_read_off_the_source_and_the_schema_stays_open(worker: Worker) -> None:
    assert schema(worker, OPEN) == {
        "type": "object",
        "properties": {
            "audience": {"type": "string", "default": "general"},
            "text": {"description": "What to sum up."},
            "most": {"type": "integer", "default": 3},
        },
        "required": ["text"],
        "additionalProperties": True,
    }
    assert notes(worker, OPEN) == ["untyped_payload"]
    assert worker.result(OPEN, {"text": 5, "other": None}) == [5, "general", 3, ["other", "text"]]
    assert worker.result(OPEN, {"text": "t", "most": "4", "_": 1}) == ["t", "general", 4, ["most", "text"]]
    assert worker.fault(OPEN, {}).message == "`text`: missing; wants a value"
    assert worker.fault(OPEN, {"text": "t", "most": "x"}).message == "`most`: wants an integer, got 'x' (str)"


def test_the_first_parameter_is_the_context_by_its_type_or_where_its_name_says_so(worker: Worker) -> None:
    sources = {
        "def run(ctx): return ctx.id": True,
        "def run(context): return context.id": True,
        "from repertoire import Context\ndef run(c: Context): return c.id": True,
        "from repertoire import Context\ndef run(c: 'Context'): return c.id": True,
        "import repertoire as r\nasync def run(c: r.Context[dict]): return c.id": True,
        "from typing import Any\ndef run(ctx: Any): return ctx.id": True,
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from repertoire import Context\n"
        "def run(c: 'Context'): return c.id": True,
        "from functools import partial\ndef base(n, ctx): return ctx.id\nrun = partial(base, 1)": True,
        "def run(a: int = 1, *, ctx): return ctx.id": True,
        "def run(context: str = 'run'): return context": False,
        "from pydantic import BaseModel\nclass Context(BaseModel):\n    id: str = 'run'\n"
        "def run(c: Context = Context()): return c.id": False,
    }
    for source, is_context in sources.items():
        assert worker.result(source) == "run", source
        names = schema(worker, source)["properties"]
        assert (set(names) <= {"a"}) == is_context, (source, names)


BODIES = {
    "def": "def run(ctx): return [ctx.payload['n'], 2]",
    "async def": "async def run(ctx): return [ctx.payload['n'], 2]",
    "generator": "def run(ctx):\n    yield ctx.payload['n']\n    yield 2",
    "async generator": "async def run(ctx):\n    yield ctx.payload['n']\n    yield 2",
    "awaitable": "async def work(ctx): return [ctx.payload['n'], 2]\ndef run(ctx): return work(ctx)",
}


@pytest.mark.parametrize("kind", BODIES)
def test_every_kind_of_body_runs(worker: Worker, kind: str) -> None:
    assert worker.result(BODIES[kind], {"n": 1}) == [1, 2]
    assert [data["value"] for data in worker.said("item")] == ([1, 2] if "generator" in kind else [])
    assert schema(worker, BODIES[kind])["required"] == ["n"]


def test_the_context_says_which_run_it_is(worker: Worker) -> None:
    source = """
    def run(ctx):
        again = type(ctx)(run_id=ctx.id).random.random()
        assert ctx.random is ctx.random and ctx.random.random() == again and type(ctx)(run_id="x").random.random() != again
        return [ctx.id, ctx.run_id, ctx.workflow_name, ctx.req, ctx.payload, ctx.now().utcoffset().total_seconds()]
    """
    assert worker.result(source, name="who") == ["run", "run", "who", None, {}, 0]


@pytest.mark.parametrize("await_", ["", "await "])
def test_b26_a_log_is_one_event_awaited_or_not(worker: Worker, await_: str) -> None:
    source = f"""
    async def run(ctx):
        {await_}ctx.log.info("x", a=1)
        {await_}ctx.log.warn("careful")
        {await_}ctx.progress(1, 2, "half")
    """
    assert worker.result(source) is None
    assert worker.said() == [
        {"level": "info", "message": "x", "a": 1},
        {"level": "warning", "message": "careful"},
    ]
    assert worker.said("progress") == [{"done": 1, "total": 2, "message": "half"}]


def test_every_level_is_there(worker: Worker) -> None:
    source = "def run(ctx):\n    for level in ('debug', 'info', 'warn', 'warning', 'error'):\n        getattr(ctx.log, level)(level)"
    assert worker.result(source) is None
    assert [data["level"] for data in worker.said()] == ["debug", "info", "warning", "warning", "error"]


def test_the_state_is_the_session_s(worker: Worker) -> None:
    source = """
    def run(ctx):
        ctx.session_state["n"] = ctx.session_state.get("n", 0) + 1
        assert ctx.session_state is session_state
        if ctx.payload.get("replace"):
            ctx.session_state = {"new": 1}
        ctx.commit_state()
        return dict(ctx.session_state)
    """
    assert worker.result(source, state='{"n":4}') == {"n": 5}
    assert worker.commits == ['{"n":5}']
    assert worker.result(source, {"replace": True}, state='{"n":4}') == {"new": 1}
    assert worker.messages == []


def test_a_step_calls_its_function_in_sync_and_async_bodies(worker: Worker) -> None:
    functions = "import asyncio\ndef plain(a, b=0): return a + b\nasync def later(a): return a\n"
    sync = functions + "def run(ctx): return [ctx.step(plain, 1, b=2), ctx.step(later, 4)]"
    asynchronous = functions + "async def run(ctx): return [await ctx.step(plain, 1, b=2), await ctx.step(later, 4)]"
    assert worker.result(sync) == worker.result(asynchronous) == [3, 4]
    fault = worker.fault("def boom(): 1 / 0\ndef run(ctx): ctx.step(boom)")
    assert (fault.type, fault.line) == ("ZeroDivisionError", 1)


def test_init_takes_what_create_agent_gives(worker: Worker) -> None:
    fault = worker.fault("agent = object()\nasync def run(ctx):\n    await ctx.init(agent)")
    assert (fault.type, fault.line) == ("ValueError", 3) and "create_agent" in fault.message


def test_b36_env_holds_what_is_allowed_and_nothing_else(worker: Worker) -> None:
    source = "import os\ndef run(ctx): return [dict(ctx.env), ctx.env.get('HOME'), os.environ['ONE'], ctx.env['PATH']]"
    fault = worker.fault(source, env={"ONE": "1"})
    assert fault.type == "KeyError" and "worker_env" in fault.message and fault.line == 2
    assert worker.result("def run(ctx): return dict(ctx.env)", env={"ONE": "1"}) == {"ONE": "1"}
    assert worker.result("def run(ctx): return [dict(ctx.env), ctx.env.get('ONE')]") == [{}, None]


MODEL = "from pydantic import RootModel\nfrom repertoire import Context\nclass L(RootModel[list[int]]): ...\n"
CLASS = "from dataclasses import dataclass\n@dataclass\nclass Payload:\n    session_id: str\n"
BAD = {
    "a payload that is no object": (MODEL + "def run(ctx: Context[L]): ...", 4, "no object"),
    "a type that does not resolve": (
        "from repertoire import Context\ndef run(ctx: 'Context[No]'): ...",
        2,
        "Context[No]",
    ),
    "a type without a schema": (
        "import socket\nfrom repertoire import Context\ndef run(ctx: Context[socket.socket]): ...",
        3,
        "no JSON schema",
    ),
    "two ways at once": (CLASS + "def run(ctx, b: int): ...", 5, "both"),
    "a key named session_id": ("def run(ctx): return ctx.payload['session_id']", 1, "session_id"),
    "a field named session_id": (CLASS + "def run(ctx): ...", 5, "session_id"),
    "a ctx that the caller would give": ("def run(ctx: str): ...", 1, "reserved"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_payload_that_cannot_be_a_tools_input_is_refused(worker: Worker, kind: str) -> None:
    source, line, word = BAD[kind]
    fault = worker.inspect(source).fault
    assert (fault.code, fault.line) == ("bad_signature", line) and word in fault.message


def test_a_model_that_refers_to_itself_and_one_that_says_what_becomes_of_further_names(worker: Worker) -> None:
    tree = """
    from __future__ import annotations
    from pydantic import BaseModel
    class Payload(BaseModel):
        name: str
        below: list[Payload] = []
    def run(ctx):
        return len(ctx.payload.below)
    """
    read = schema(worker, tree)
    assert read["type"] == "object" and read["required"] == ["name"] and "Payload" in read["$defs"]
    assert worker.result(tree, {"name": "a", "below": [{"name": "b"}]}) == 1
    assert worker.fault(tree, {"name": "a", "below": [{}]}).message == "`below[0].name`: missing"
    whole = """
    from pydantic import BaseModel, model_validator
    class Payload(BaseModel):
        low: int = 0
        high: int = 1
        @model_validator(mode="after")
        def ordered(self):
            if self.low > self.high:
                raise ValueError("low is above high")
            return self
    def run(ctx):
        return ctx.payload["high"] - ctx.payload["low"]
    """
    assert "low is above high" in worker.fault(whole, {"low": 5}).message
    assert worker.result(whole, {"low": -1}) == 2
    free = """
    from pydantic import BaseModel, Field
    class Payload(BaseModel, extra="allow"):
        name: str = Field(alias="from")
        def get(self, name): return "own"
    def run(ctx):
        return [ctx.payload.name, ctx.payload["more"], ctx.payload.get("x"), sorted(ctx.payload.keys())]
    """
    assert schema(worker, free)["additionalProperties"] is True
    assert worker.result(free, {"from": "a", "more": 1}) == ["a", 1, "own", ["more", "name"]]


def test_a_context_can_be_made_for_a_test_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    async def run(ctx: Context) -> str:
        await ctx.log.info("started", n=1)
        return f"{ctx.payload['text']} {ctx.env.get('X')}"

    assert anyio.run(run, Context({"text": "hi"}, env={"X": "y"})) == "hi y"
    assert capsys.readouterr().err == "info: started n=1\n"
    assert Context().payload == {} and "run_id=''" in repr(Context())
