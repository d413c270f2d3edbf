"""The signature of a source, as a worker reads it."""

from __future__ import annotations

import textwrap
from types import ModuleType
from typing import Any

import pytest

from repertoire.signature.schema import Signature, read
from repertoire.values.refusals import ArgumentError

HEAD = """
from __future__ import annotations
import dataclasses, datetime, decimal, enum, pathlib, uuid
from collections.abc import *
from typing import Annotated, Any, Literal, Optional, Union
from typing_extensions import TypedDict
from pydantic import BaseModel, Field

class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Point(BaseModel):
    x: int
    label: str = "p"

@dataclasses.dataclass
class Size:
    w: int
    h: int = 2

class Movie(TypedDict):
    title: str
"""


def signature(source: str) -> Signature:
    """The signature of `run` in a module with this source, as a worker reads it."""
    import sys

    module = ModuleType("schema_test_module")
    sys.modules[module.__name__] = module
    try:
        exec(compile(HEAD + textwrap.dedent(source), "schema_test.py", "exec", dont_inherit=True), module.__dict__)
        read_one = read(module.run, module.__dict__, {module.__name__})
        _ = read_one.input_schema, read_one.output_schema
        return read_one
    finally:
        del sys.modules[module.__name__]


def complaint(source: str, arguments: dict[str, Any]) -> str:
    with pytest.raises(ArgumentError) as caught:
        signature(source).bind(arguments)
    return caught.value.message


TAGGED = '''"""Say what came."""

def run(tags: list[str], limit: int = 5, note: str = "-") -> list[str]:
    return [f"{tag}{limit}{note}" for tag in tags]
'''
