"""Results as JSON: bytes, numpy's numbers and arrays, and text that is no valid Unicode."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy
import pytest
from pydantic import BaseModel, ConfigDict

from repertoire.signature.schema import read
from repertoire.values.refusals import ResultNotJson, ResultTooLarge

RAW = bytes(range(251, 256)) + b">>>???"


class Model(BaseModel):
    data: bytes
    more: Any = None


class Hex(BaseModel):
    model_config = ConfigDict(ser_json_bytes="hex")
    data: bytes


@dataclass
class Pair:
    model: Model
    by_key: dict[bytes, int]


def dumped(value: Any, kind: Any = None, max_bytes: int = 10_000) -> Any:
    """What a `run` gives that returns this; `kind` is its annotation."""

    def run() -> None: ...

    run.__annotations__ = {} if kind is None else {"return": kind}
    return json.loads(read(run, globals()).dump(value, max_bytes))


def output_schema(kind: Any) -> dict[str, Any]:
    def run() -> None: ...

    run.__annotations__ = {"return": kind}
    return read(run, globals()).output_schema


def test_m13_bytes_are_base64_wherever_they_are() -> None:
    text = base64.b64encode(RAW).decode()
    said = {"type": "string", "contentEncoding": "base64"}
    assert dumped(RAW, bytes) == dumped(RAW) == text and output_schema(bytes) == said
    assert dumped(None, bytes | None) is None and said in output_schema(bytes | None)["anyOf"]
    assert dumped({"a": [RAW, (RAW, {RAW})], "b": memoryview(RAW)}) == {"a": [text, [text, [text]]], "b": text}
    assert dumped({"a": RAW}, dict[str, Any]) == {"a": text}
    assert dumped(Pair(Model(data=RAW), {RAW: 1})) == dumped(Pair(Model(data=RAW), {RAW: 1}), Pair)
    assert dumped([Model(data=RAW, more={"x": RAW})], list[Model]) == [{"data": text, "more": {"x": text}}]
    assert dumped(Hex(data=b"\xff"), Hex) == {"data": "ff"}, "what an author says of bytes holds"
    assert "contentEncoding" not in output_schema(Hex)["properties"]["data"]


@pytest.mark.parametrize(
    ("value", "kind", "result"),
    [
        ({"n": numpy.float64(1), "i": numpy.int64(2), "b": numpy.bool_(True)}, None, {"n": 1.0, "i": 2, "b": True}),
        (numpy.str_("x"), str, "x"),
        (numpy.arange(4).reshape(2, 2), None, [[0, 1], [2, 3]]),
        (numpy.array([1.5, float("nan")]), list[float | None], [1.5, None]),
        (numpy.float32(1.5), float, 1.5), (numpy.int16(3), int, 3), (numpy.bool_(False), bool, False),
        ([{"x": numpy.int8(1)}], list[dict[str, int]], [{"x": 1}]),
        (numpy.array([1, 2]), numpy.ndarray, [1, 2]), (numpy.float64(2), numpy.float64, 2.0),
        (Model(data=b"", more=numpy.array([1])), Model, {"data": "", "more": [1]}),
    ],
)  # fmt: skip
def test_m13_numpy_becomes_numbers_and_lists(value: Any, kind: Any, result: Any) -> None:
    assert dumped(value, kind) == result


@pytest.mark.parametrize("kind", [None, list[float], dict[str, Any]])
def test_m13_an_array_that_is_too_large_is_refused_before_it_is_written(kind: Any) -> None:
    array = numpy.broadcast_to(numpy.float64(1), (10**12,))  # it needs no memory, its list would need all
    with pytest.raises(ResultTooLarge, match="array of 1000000000000 values"):
        dumped({"a": array} if kind == dict[str, Any] else array, kind)


def test_text_with_half_a_character_is_made_valid_and_other_things_are_still_refused() -> None:
    assert dumped("caf\udce9 \ud83c\udf89", str) == "caf\\xe9 🎉"
    assert dumped({"\ud83c": Model(data=b"a", more="\ud83c")}) == {"\ufffd": {"data": "YQ==", "more": "\ufffd"}}
    with pytest.raises(ResultNotJson, match=r"result\['a'\]\[0\] has no JSON form: it is of type object"):
        dumped({"a": [object()]})
