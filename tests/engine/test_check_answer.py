"""The check of an answer against the schema of its question: the schema is somebody else's."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from repertoire.engine.long_waits import check_answer
from repertoire.errors import BadArguments
from repertoire.model.run import Question


def question(schema: dict[str, Any]) -> Question:
    return Question("q", "r", "Well?", schema, 0.0)


def test_a_reference_to_an_address_is_not_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        schema = {"$ref": f"http://127.0.0.1:{listener.getsockname()[1]}/schema"}
        assert check_answer(question(schema), "yes") == "yes", "it is no schema: any answer will do"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_reference_within_the_schema_is_followed() -> None:
    schema = {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"}
    assert check_answer(question(schema), "3") == 3
    with pytest.raises(BadArguments, match="does not fit"):
        check_answer(question(schema), "three")
