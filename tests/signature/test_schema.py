"""What `run` takes and gives as JSON Schema, arguments as sentences, results as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from repertoire.signature.docstring import parameter_descriptions
from repertoire.signature.fast_adapters import plain_schema
from repertoire.values.refusals import ResultMismatch, ResultNotJson, ResultTooLarge, SchemaError
from support.signatures import complaint, signature


@pytest.mark.parametrize(
    ("annotation", "schema", "came", "wanted"),
    [
        ("int", {"type": "integer"}, "3", 3),
        ("float", {"type": "number"}, 1, 1.0),
        ("str", {"type": "string"}, "a", "a"),
        ("bool", {"type": "boolean"}, "true", True),
        ("Optional[int]", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, None, None),
        ("int | str", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "x", "x"),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}, ["1", 2], [1, 2]),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}, {"a": 1}, {"a": 1.0}),
        ("Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}, "b", "b"),
        ("Annotated[int, Field(ge=1, description='d')]", {"type": "integer", "minimum": 1, "description": "d"}, 1, 1),
        ("datetime.date", {"type": "string", "format": "date"}, "2026-01-31", date(2026, 1, 31)),
        ("uuid.UUID", {"type": "string", "format": "uuid"}, str(UUID(int=1)), UUID(int=1)),
        ("set[int]", {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, [1, 1], {1}),
        ("Any", {}, [1], [1]),
        ("'int'", {"type": "integer"}, 1, 1),
    ],
)
def test_each_annotation_has_its_schema_and_coercion(
    annotation: str, schema: dict[str, Any], came: Any, wanted: Any
) -> None:
    sig = signature(f"def run(x: {annotation}): ...")
    assert sig.input_schema == {
        "type": "object", "properties": {"x": schema}, "required": ["x"], "additionalProperties": False,
    }  # fmt: skip
    assert sig.bind({"x": came}) == ([], {"x": wanted})


@pytest.mark.parametrize(
    ("annotation", "name", "came", "attribute"),
    [("Point", "Point", {"x": "1"}, "x"), ("Size", "Size", {"w": "1"}, "w")],
)
def test_models_and_dataclasses_are_built_and_their_schemas_stay_in_the_root(
    annotation: str, name: str, came: dict[str, Any], attribute: str
) -> None:
    sig = signature(f"def run(x: list[{annotation}]): ...")
    assert sig.input_schema["properties"]["x"]["items"] == {"$ref": f"#/$defs/{name}"}
    assert sig.input_schema["$defs"][name]["title"] == name
    assert getattr(sig.bind({"x": [came]})[1]["x"][0], attribute) == 1


def test_enums_and_typed_dicts_work_and_no_parameter_has_a_title() -> None:
    sig = signature("def run(c: Color, m: Movie): ...")
    assert sig.bind({"c": "red", "m": {"title": "t"}})[1]["c"].value == "red"
    assert all("title" not in described for described in sig.input_schema["properties"].values())


def test_names_that_pydantic_keeps_for_itself_are_ordinary_parameters() -> None:
    sig = signature("def run(model_config: int, copy: str, schema: str, _x: int = 1): ...")
    assert sig.bind({"model_config": 1, "copy": "c", "schema": "s", "_x": 2})[1]["_x"] == 2


def test_defaults_are_shown_but_left_to_python() -> None:
    sig = signature("def run(a: int, b: list[str] = ['x'], c: Color = Color.RED): ...")
    assert sig.input_schema["required"] == ["a"]
    assert sig.input_schema["properties"]["b"]["default"] == ["x"]
    assert sig.bind({"a": 1}) == ([], {"a": 1})


def test_a_default_that_json_cannot_show_is_left_out() -> None:
    sig = signature("def run(a: float = float('nan'), b: object = object()): ...")
    assert sig.input_schema["properties"] == {"a": {"type": "number"}, "b": {}}
    assert "required" not in sig.input_schema


def test_field_defaults_come_from_pydantic() -> None:
    assert signature("def run(a: int = Field(7, description='d')): ...").bind({}) == ([], {"a": 7})
    assert signature("def run(a: Annotated[int, Field(alias='from')]): ...").bind({"from": 1}) == ([], {"a": 1})


def test_a_default_of_none_lets_null_through_without_changing_the_type() -> None:
    sig = signature("def run(x: dict = None): ...")
    assert sig.input_schema["properties"]["x"] == {"type": "object", "additionalProperties": True, "default": None}
    assert sig.bind({"x": None}) == ([], {})


def test_kwargs_are_additional_properties() -> None:
    sig = signature("def run(a: int, **rest: int): ...")
    assert sig.input_schema["additionalProperties"] == {"type": "integer"}
    assert sig.bind({"a": 1, "z": "2"}) == ([], {"a": 1, "z": 2})


def test_positional_only_parameters_are_passed_by_position() -> None:
    sig = signature("def run(a: int, b: int = 2, c: int = 3, /, d: int = 4): ...")
    assert sig.bind({"a": 1, "c": 5, "d": 6}) == ([1, 2, 5], {"d": 6})
    assert sig.bind({"a": 1}) == ([1], {})


def test_remarks_name_untyped_and_ignored_parameters() -> None:
    sig = signature("def run(a, *more): ...")
    assert [note.rule for note in sig.notes] == ["untyped_parameter", "ignored_parameter"]
    assert list(sig.input_schema["properties"]) == ["a"]


DOCSTRINGS = {
    "google": "Do.\n\n    Args:\n        a: The first\n            of all.\n        b (int): Second.\n    ",
    "numpy": "Do.\n\n    Parameters\n    ----------\n    a : int\n        The first\n        of all.\n    b : int\n        Second.\n    ",
    "rest": "Do.\n\n    :param a: The first\n        of all.\n    :param int b: Second.\n    ",
}


@pytest.mark.parametrize("style", DOCSTRINGS)
def test_descriptions_come_from_the_docstring(style: str) -> None:
    sig = signature(
        f'def run(a: int, b: int, c: Annotated[int, Field(description="own")] = 1):\n    """{DOCSTRINGS[style]}"""'
    )
    properties = sig.input_schema["properties"]
    assert (properties["a"]["description"], properties["b"]["description"]) == ("The first of all.", "Second.")
    assert properties["c"]["description"] == "own"


def test_a_docstring_that_cannot_be_read_describes_nothing() -> None:
    assert parameter_descriptions("x\n\n: :param x:Args:") == {}, "docstring_parser meets an IndexError"
    sig = signature('def run(x: int):\n    """x\n\n    : :param x:Args:"""')
    assert "description" not in sig.input_schema["properties"]["x"]


def test_the_module_docstring_serves_when_run_has_none() -> None:
    sig = signature("__doc__ = 'Do.\\n\\nArgs:\\n    a: From the module.'\ndef run(a: int): ...")
    assert sig.input_schema["properties"]["a"]["description"] == "From the module."


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def run(x: Nowhere): ...", ["`x`", "Nowhere", "cannot be resolved"]),
        ("def run() -> Nowhere: ...", ["return annotation", "Nowhere"]),
        ("import socket\ndef run(ok: int, x: socket.socket): ...", ["`x`", "socket", "no JSON schema"]),
        ("def run(f: Callable[[int], int]): ...", ["`f`", "Callable", "no JSON schema"]),
        ("import socket\ndef run() -> socket.socket: ...", ["return annotation", "socket"]),
        ("def run(session_id: str): ...", ["session_id", "reserved"]),
        ("def run(tools: list[str]): ...", ["tools", "reserved"]),
        ("def run(a: int, ctx: 'dict[str, int]'): ...", ["ctx", "reserved"]),
        ("def run(tools, /): ...", ["tools", "reserved"]),
    ],
)
def test_a_signature_that_cannot_be_a_tool_is_refused_with_its_line(source: str, words: list[str]) -> None:
    with pytest.raises(SchemaError) as caught:
        signature(source)
    assert all(word in caught.value.message for word in words), caught.value.message
    assert caught.value.line is not None


@pytest.mark.parametrize(
    ("annotation", "schema", "returns"),
    [
        ("Iterator[int]", {"type": "array", "items": {"type": "integer"}}, False),
        ("Iterable[int]", {"type": "array", "items": {"type": "integer"}}, False),
        ("Generator[int, None, None]", {"type": "array", "items": {"type": "integer"}}, False),
        ("Generator[int, None, str]", {"type": "string"}, True),
        ("Generator[int, Any, Any]", {}, False),
    ],
)
def test_a_generator_gives_its_return_value_or_a_list(annotation: str, schema: dict[str, Any], returns: bool) -> None:
    sig = signature(f"def run() -> {annotation}:\n    yield 1")
    assert (sig.output_schema, sig.gives_return_value) == (schema, returns)


def test_an_async_generator_gives_a_list() -> None:
    sig = signature("async def run() -> AsyncIterator[str]:\n    yield 'a'")
    assert sig.output_schema == {"type": "array", "items": {"type": "string"}}


def test_an_unannotated_result_has_an_empty_schema_and_none_is_null() -> None:
    assert signature("def run(): ...").output_schema == {}
    assert signature("def run() -> None: ...").output_schema == {"type": "null"}


@pytest.mark.parametrize(
    ("source", "arguments", "sentence"),
    [
        ("def run(count: int): ...", {"count": "abc"}, "`count`: wants an integer, got 'abc' (str)"),
        ("def run(count: int): ...", {"count": 1.5}, "`count`: wants an integer, got 1.5 (float)"),
        ("def run(a: str): ...", {}, "`a`: missing; wants a string"),
        ("def run(a: int | str): ...", {"a": []}, "`a`: wants an integer or a string, got [] (list)"),
        ("def run(a: int, b: int = 1): ...", {"a": 1, "zzz": 1}, "`zzz`: unknown argument; this workflow takes a, b"),
        ("def run(): ...", {"zzz": 1}, "`zzz`: unknown argument; this workflow takes no arguments"),
        ("def run(c: Literal['a', 'b']): ...", {"c": "x"}, "`c`: wants one of 'a' or 'b', got 'x' (str)"),
        ("def run(c: Color): ...", {"c": "x"}, "`c`: wants one of 'red' or 'blue', got 'x' (str)"),
        ("def run(c: Color): ...", {}, "`c`: missing; wants one of 'red', 'blue'"),
        ("def run(p: Point): ...", {"p": {"x": "q"}}, "`p.x`: wants an integer, got 'q' (str)"),
        ("def run(p: list[Point]): ...", {"p": [{"x": 1}, {}]}, "`p[1].x`: missing"),
        ("def run(p: Point | None): ...", {"p": 3}, "`p`: wants an object, got 3 (int)"),
        ("def run(d: dict[str, int]): ...", {"d": {"k": "v"}}, "`d.k`: wants an integer, got 'v' (str)"),
        ("def run(n: Annotated[int, Field(gt=5)]): ...", {"n": 3}, "`n`: wants a value greater than 5, got 3 (int)"),
        ("def run(b: bool): ...", {"b": "perhaps"}, "`b`: wants true or false, got 'perhaps' (str)"),
    ],
)
def test_an_argument_error_says_what_is_wanted_and_what_came(
    source: str, arguments: dict[str, Any], sentence: str
) -> None:
    assert complaint(source, arguments) == sentence


def test_all_problems_come_at_once_and_long_values_are_cut() -> None:
    message = complaint("def run(a: int, b: str): ...", {"a": "x" * 1000, "c": 1})
    assert message.count(";") >= 2 and len(message) < 400
    assert all(f"`{name}`" in message for name in "abc")


def test_an_underscore_argument_of_vs_code_is_dropped() -> None:
    assert signature("def run(): ...").bind({"_": ""}) == ([], {})


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        ("int", "5", "5"),
        ("float", math.nan, "null"),
        ("Any", {"a": [math.inf]}, '{"a":[null]}'),
        ("Point", {"x": 1}, '{"x":1,"label":"p"}'),
        ("datetime.date", date(2026, 1, 31), '"2026-01-31"'),
        ("Iterator[int]", [1], None),
    ],
)
def test_results_are_json(annotation: str, value: Any, text: str | None) -> None:
    assert signature(f"def run() -> {annotation}: ...").dump(value, 1000) == (text or "[1]")


def test_an_unannotated_result_takes_models_dataclasses_and_dates() -> None:
    @dataclasses.dataclass
    class Pair:
        a: int

    assert json.loads(signature("def run(): ...").dump([Pair(1), date(2026, 1, 1), {1: 2}], 1000)) == [
        {"a": 1},
        "2026-01-01",
        {"1": 2},
    ]


def test_results_are_refused_with_the_place_and_the_reason() -> None:
    anything = signature("def run(): ...")
    with pytest.raises(ResultNotJson, match=r"result\['a'\]\[1\].*object"):
        anything.dump({"a": [1, object()]}, 1000)
    with pytest.raises(ResultMismatch, match=r"run\(\) says it returns `int`, but returned 'x' \(str\)"):
        signature("def run() -> int: ...").dump("x", 1000)
    with pytest.raises(ResultTooLarge, match="1002 bytes"):
        anything.dump("x" * 1000, 1000)
    around: list[Any] = []
    around.append(around)
    with pytest.raises(ResultNotJson):
        anything.dump(around, 1000)


@pytest.mark.parametrize(
    ("annotation", "lasting"),
    [
        ("int", True),
        ("list[dict[str, int | None]]", True),
        ("Literal['a']", True),
        ("datetime.date", True),
        ("Annotated[int, Field(ge=1)]", True),
        ("Point", False),
        ("list[Size | None]", False),
        ("dict[str, list[Color]]", False),
        ("Annotated[int, __import__('pydantic').AfterValidator(lambda v: v)]", False),
        ("__import__('pydantic').create_model('Made', x=(int, 1))", False),
    ],
)
def test_only_types_from_elsewhere_are_kept_for_the_next_run(annotation: str, lasting: bool) -> None:
    assert signature(f"def run(x: {annotation}): ...").lasting is lasting


def test_a_wrapped_or_partial_run_and_an_object_with_call_are_read() -> None:
    wrapped = """
    import functools
    def loud(f):
        @functools.wraps(f)
        def inner(*args, **kwargs): return f(*args, **kwargs)
        return inner
    @loud
    def run(a: int, b: str = "x") -> int: ...
    """
    partial = "import functools\ndef base(a: int, b: str) -> int: ...\nrun = functools.partial(base, b='x')"
    called = "class Job:\n    def __call__(self, a: int) -> int: ...\nrun = Job()"
    for source in (wrapped, partial, called):
        assert signature(source).input_schema["properties"]["a"] == {"type": "integer"}


@pytest.mark.parametrize(
    "annotation",
    [str, int, float, bool, None, Any, list, dict, list[str], dict[str, int], dict[str, Any], str | None, None | int,
     list[dict[str, list[int]]], list[str | None], dict[str, float] | None, dict[Any, bool]],
)  # fmt: skip
def test_what_the_table_of_plain_types_makes_is_what_pydantic_makes(annotation: Any) -> None:
    made = TypeAdapter(annotation).core_schema

    def without_metadata(schema: Any) -> Any:
        if isinstance(schema, dict):
            return {key: without_metadata(value) for key, value in schema.items() if key != "metadata"}
        return schema

    assert plain_schema(annotation) == without_metadata(made)


@pytest.mark.parametrize(
    "annotation", [bytes, tuple[int, ...], set[str], int | str, int | str | None, Annotated[int, "x"], Literal["a"]]
)
def test_the_table_leaves_other_types_to_pydantic(annotation: Any) -> None:
    assert plain_schema(annotation) is None
