"""OpenAPI schemas as JSON Schema 2020-12: references become `$defs`, and 3.0's own keywords are translated; used by openapi_document.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_DROPPED: Final = frozenset(("discriminator", "xml", "externalDocs", "example", "nullable"))
_OF_SCHEMAS: Final = frozenset(("properties", "patternProperties", "$defs", "dependentSchemas"))
_OF_VALUES: Final = frozenset(("enum", "const", "default", "examples", "required"))
_MAX_STEPS: Final = 32
"""References that lead to references: a longer chain is a circle."""


class Schemas:
    """Translates the schemas of one document. Each referenced schema is translated once and shared by all tools that use it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._names: dict[str, str] = {}
        self._references: dict[str, str] = {}
        self._done: dict[str, tuple[Any, set[str]]] = {}

    def translated(self, schema: Any) -> tuple[Any, set[str]]:
        """The schema, and the names of the definitions that it refers to."""
        used: set[str] = set()
        return self._translate(schema, used), used

    def definitions(self, used: set[str]) -> dict[str, Any]:
        """`$defs` with these definitions and all that they refer to."""
        found: dict[str, Any] = {}
        waiting = sorted(used)
        while waiting:
            if (name := waiting.pop()) not in found:
                if name not in self._done:
                    self._done[name] = self.translated(self._at(self._references[name]))
                found[name], more = self._done[name]
                waiting += sorted(more)
        return dict(sorted(found.items()))

    def resolve(self, value: Any) -> Any:
        """The value, or the one in this document that its `$ref` names. An empty dict where there is none."""
        for _ in range(_MAX_STEPS):
            if not isinstance(value, dict) or not isinstance(reference := value.get("$ref"), str):
                return value
            value = self._at(reference)
        return {}

    def _at(self, reference: str) -> Any:
        """The value at `#/components/schemas/Pet`. Other documents are not read: that would be a request of the document's author."""
        if not reference.startswith("#/"):
            return {}
        value: Any = self._document
        for part in reference[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict):
                value = value.get(key, {})
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                return {}
        return value

    def _translate(self, schema: Any, used: set[str]) -> Any:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            return {}
        if isinstance(reference := schema.get("$ref"), str):
            name = self._name(reference)
            used.add(name)
            beside = {key: schema[key] for key in ("description", "default") if key in schema}
            return {"$ref": f"#/$defs/{name}"} | beside
        found: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _DROPPED or key.startswith("x-"):
                continue
            if key in _OF_VALUES:
                found[key] = value
            elif key in _OF_SCHEMAS and isinstance(value, dict):
                found[key] = {name: self._translate(each, used) for name, each in value.items()}
            elif isinstance(value, dict):
                found[key] = self._translate(value, used)
            elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
                found[key] = [self._translate(each, used) for each in value]
            else:
                found[key] = value
        return _of_three_zero(found, is_nullable=schema.get("nullable") is True)

    def _name(self, reference: str) -> str:
        """The name of the definition. Its schema is translated later: schemas refer to themselves and to each other."""
        if reference not in self._names:
            base = "".join(char if char.isalnum() else "_" for char in reference.rpartition("/")[2]) or "schema"
            name, number = base, 1
            while name in self._references:
                number += 1
                name = f"{base}_{number}"
            self._names[reference], self._references[name] = name, reference
        return self._names[reference]


def _of_three_zero(schema: dict[str, Any], *, is_nullable: bool) -> dict[str, Any]:
    """OpenAPI 3.0's `nullable` and its boolean `exclusiveMinimum` in the words of JSON Schema."""
    for exclusive, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(flag := schema.get(exclusive), bool):
            del schema[exclusive]
            if flag and plain in schema:
                schema[exclusive] = schema.pop(plain)
    if not is_nullable:
        return schema
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}
