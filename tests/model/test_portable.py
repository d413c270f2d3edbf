"""What is listed of a schema: valid under the 2020-12 meta-schema for whatever pydantic or an author makes, and what is answered fits it."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import typing
import uuid
from types import GenericAlias
from typing import Annotated, Any, Literal

import annotated_types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import BaseModel, Field, TypeAdapter, create_model

from repertoire.limits import Limits
from repertoire.model.output_check import fitting
from repertoire.model.portable_pattern import NotPortable, matcher
from repertoire.model.portable_schema import PROPERTY, Portable, portable_input, portable_output
from repertoire.signature.schema_generator import schema_of
from repertoire.surfaces.mcp.fixed_tools import fixed_tools
from repertoire.text import cut, is_well_formed, well_formed, well_formed_json
from support.hosts import node_problems
from support.outside import need_node


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 3


class Tree(BaseModel):
    value: float
    children: list[Tree] = []


LEAVES: list[Any] = [
    str, int, float, bool, bytes, type(None), Any, datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal,
    uuid.UUID, Colour, Literal["a", 1, None], Tree, list, dict, Annotated[str, Field(pattern=r"^(?P<x>\d+)$")],
    Annotated[str, Field(pattern=r"^\w+-\d{2}$")], Annotated[int, annotated_types.Ge(0), annotated_types.Le(2**70)],
    Annotated[float, annotated_types.MultipleOf(0.1)], Annotated[list[int], annotated_types.Len(1, 3)],
    Annotated[str, Field(json_schema_extra={"required": True, "nullable": True, "id": "x", "$schema": "http://json-schema.org/draft-04/schema"})],
    Annotated[int, Field(json_schema_extra={"$ref": "https://example.com/elsewhere", "items": [{"type": "string"}], "enum": []})],
]  # fmt: skip
NAMES = st.sampled_from(["name", "größe", "x" * 80, "名", "a b", "$ref", "type", "ok.name-1"])


def models(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def model(found: dict[str, Any]) -> Any:
        fields: dict[str, Any] = {f"f{n}": (kind, Field(alias=name)) for n, (name, kind) in enumerate(found.items())}
        return create_model("Größe", **fields)

    return st.dictionaries(NAMES, parts, min_size=1, max_size=4).map(model)


TYPES = st.recursive(
    st.sampled_from(LEAVES),
    lambda parts: st.one_of(
        parts.map(lambda part: GenericAlias(list, (part,))),
        parts.map(lambda part: GenericAlias(dict, (str, part))),
        parts.map(lambda part: typing.Union[part, None]),  # noqa: UP007  parts are made at run time
        st.tuples(parts, parts).map(lambda pair: GenericAlias(tuple, pair)),
        st.tuples(parts, parts).map(lambda pair: typing.Union[pair]),  # noqa: UP007  as above
        models(parts),
    ),
    max_leaves=6,
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(), st.text(max_size=5), st.just("x" * 5000)
)
KEYWORDS = st.sampled_from(
    [
        "type", "enum", "const", "pattern", "format", "items", "prefixItems", "properties", "required", "additionalProperties", "$ref", "anyOf",
        "oneOf", "allOf", "not", "if", "then", "$defs", "maximum", "minLength", "multipleOf", "uniqueItems", "description", "default",
        "patternProperties", "contains", "propertyNames", "$schema", "$id", "nullable", "examples", "dependentRequired", "x-own",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(SCALARS, st.sampled_from(["string", "object", "array", "number", "#", "#/$defs/a", "date-time", "(?P<x>", "[a-z]+", "größe"])),
    lambda parts: st.one_of(
        st.lists(parts, max_size=3), st.dictionaries(st.one_of(KEYWORDS, NAMES), parts, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip
HAND_WRITTEN = st.dictionaries(KEYWORDS, VALUES, max_size=6)


def names_in(schema: Any) -> list[str]:
    """The names of all properties, wherever they are."""
    if isinstance(schema, list):
        return [name for part in schema for name in names_in(part)]
    if not isinstance(schema, dict):
        return []
    own = list(schema["properties"]) if isinstance(schema.get("properties"), dict) else []
    return own + [name for part in schema.values() for name in names_in(part)]


def check_valid(schema: dict[str, Any]) -> None:
    json.dumps(schema, allow_nan=False)
    Draft202012Validator.check_schema(schema)
    Draft7Validator.check_schema(schema)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(kind=TYPES)
def test_m3_m4_m9_what_pydantic_makes_is_listed_validly(kind: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    output = portable_output(schema_of(adapter, "serialization")).schema
    given_ = {"type": "object", "properties": {"größe": schema_of(adapter)}}
    for schema in (output, portable_input(given_).schema):
        check_valid(schema)
        assert all(PROPERTY.fullmatch(name) for name in names_in(schema))
    fitting(output)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=HAND_WRITTEN, value=VALUES)
def test_m3_m5_a_schema_by_hand_is_listed_validly_and_what_fits_it_fits_for_others(schema: Any, value: Any) -> None:
    output = portable_output(schema).schema
    check_valid(output)
    check_valid(portable_input({**schema, "properties": {"x": schema}}).schema)
    value = json.loads(json.dumps(value, allow_nan=True), parse_constant=lambda _: None)
    try:
        fits = fitting(output)(value) is None
    except RecursionError:  # a reference that leads to itself
        return
    if fits:
        Draft202012Validator(output).validate(value)


def test_m3_m5_a_typescript_host_compiles_what_pydantic_makes() -> None:
    need_node()
    outputs = [portable_output(schema_of(TypeAdapter(kind), "serialization")).schema for kind in LEAVES]
    tools = [
        {"name": f"tool{n}", "inputSchema": portable_input({"properties": {"x": schema_of(TypeAdapter(kind))}}).schema,
         "outputSchema": {"type": "object", "properties": {"result": {k: v for k, v in output.items() if k != "$defs"}},
                          **({"$defs": output["$defs"]} if "$defs" in output else {})}}
        for n, (kind, output) in enumerate(zip(LEAVES, outputs, strict=True))
    ]  # fmt: skip
    tools += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in fixed_tools(Limits()).values()]
    assert node_problems(tools) == []


def test_m3_a_typescript_host_refuses_what_is_not_portable() -> None:
    need_node()
    bad = {"type": "object", "properties": {"n": {"type": "string", "pattern": r"^(?P<x>\d+)$"}}}
    assert len(node_problems([{"name": "bad", "inputSchema": bad}])) == 2


@pytest.mark.parametrize(
    "pattern",
    [r"^(?P<x>\d+)$", r"\Ax\Z", r"(?i)x", r"a(?=b)", r"(a)\1", r"x*+", r"[a-\d]", r"a{2,1}", "[[a]", "]", "a{", r"\p{L}", r"\_", "(?#x)a"],
)  # fmt: skip
def test_m3_a_pattern_that_engines_read_differently_is_not_listed(pattern: str) -> None:
    with pytest.raises(NotPortable):
        matcher(pattern)
    found = portable_output({"type": "object", "properties": {"n": {"type": "string", "pattern": pattern}}})
    assert found.schema["properties"]["n"] == {"type": "string"}
    assert [(one.location, one.keyword) for one in found.left_out] == [("n", "pattern")]


def test_m3_a_portable_pattern_means_the_same_to_all() -> None:
    assert portable_output({"type": "string", "pattern": r"^[A-Z]+-\d{2}$"}).schema["pattern"] == r"^[A-Z]+-\d{2}$"
    number = matcher(r"^\d+$")
    assert number("12") and not number("١٢") and not number("12\n")
    assert matcher(r"^[^\]\-.]+(?:a|b)?/\x41$")("xyzb/A") and not matcher(r"^.$")("\u2028")


def test_m4_a_parameter_is_listed_under_a_portable_name_of_its_own() -> None:
    taken = {
        "größe": {"type": "integer", "description": "How large."},
        "groesse": {},
        "große": {},
        "名": {},
        "x" * 80: {},
    }
    found = portable_input({"type": "object", "properties": taken, "required": ["größe"]}, taken=("session_id",))
    names = list(found.schema["properties"])
    assert names[:4] == ["grosse", "groesse", "grosse_2", "parameter"] and all(map(PROPERTY.fullmatch, names))
    assert found.schema["required"] == ["grosse"]
    assert found.schema["properties"]["grosse"]["description"] == "`größe`: How large."
    assert found.aliases == {"grosse": "größe", "grosse_2": "große", "parameter": "名", names[4]: "x" * 80}


def test_m4_a_field_that_has_no_portable_name_is_told_in_words_and_still_taken() -> None:
    inner = {
        "type": "object",
        "properties": {"ä b": {"type": "string"}, "ok": {}},
        "required": ["ä b", "ok"],
        "additionalProperties": False,
    }
    listed = portable_input({"properties": {"x": inner}, "anyOf": [{"required": ["x"]}]})
    assert listed.schema["properties"]["x"] == {
        "type": "object", "properties": {"ok": {}}, "required": ["ok"], "description": "Also: `ä b`.",
    }  # fmt: skip
    assert "anyOf" not in listed.schema and len(listed.left_out) == 2


@pytest.mark.parametrize(
    ("schema", "items"),
    [
        (tuple[float, float, float, float], {"anyOf": [{"type": "number"}, {"type": "null"}]}),
        (tuple[int, str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ({"type": "array"}, {}),
        ({"type": ["array", "null"]}, {}),
        (
            {"type": "array", "items": [{"type": "string"}], "additionalItems": {"type": "integer"}},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, {}),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, {"type": "string"}),
    ],
)  # fmt: skip
def test_m9_an_array_has_items_that_every_item_fits(schema: Any, items: Any) -> None:
    source = schema if isinstance(schema, dict) else TypeAdapter(schema).json_schema()
    assert portable_output(source).schema["items"] == items


def test_m5_a_result_schema_is_as_wide_as_json_is() -> None:
    def of(kind: Any) -> Portable:
        return portable_output(schema_of(TypeAdapter(kind), "serialization"))

    null_or_number = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert of(float).schema == null_or_number and of(float | None).schema == null_or_number
    assert of(dict[str, float]).schema["additionalProperties"] == null_or_number
    assert "format" not in of(datetime.datetime).schema and of(datetime.date).schema["format"] == "date"
    tree = fitting(of(Tree).schema)
    assert tree({"value": None, "children": [{"value": 1.5, "children": []}]}) is None
    assert tree({"value": 1, "children": [{"value": "x"}]}) == ".children[0].value"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_m2_halves_are_joined_and_lone_ones_replaced(text: str) -> None:
    halves = text.encode("utf-16-be", "surrogatepass")
    split = "".join(chr(int.from_bytes(halves[n : n + 2], "big")) for n in range(0, len(halves), 2))
    assert well_formed(split) == text and is_well_formed(text)
    assert is_well_formed(well_formed(split[: len(split) // 2]))


def test_m2_a_lone_half_is_shown_as_what_it_was() -> None:
    assert well_formed("caf\udce9 \ud83c\udf89 \ud83c") == "caf\\xe9 🎉 \ufffd"
    assert well_formed_json({"\ud83c": ["\ud83c\udf89", ("\udc00", 1)]}) == {"\ufffd": ["🎉", ["\ufffd", 1]]}


@given(st.text(max_size=300), st.integers(60, 200))
def test_m18_a_cut_text_has_its_length_as_javascript_counts_it(text: str, limit: int) -> None:
    short = cut(text, limit, "… more")
    assert len(short.encode("utf-16-le")) // 2 <= limit
    assert short == text or short.endswith("… more")


def test_the_meta_schema_is_one_that_finds_something() -> None:
    with pytest.raises(SchemaError):
        check_valid({"required": True})
