"""Elicitation forms: `form_of` turns the JSON Schema of a question's answer into a form that MCP allows; used by questions.py.

A form is a flat object whose fields are strings, numbers, booleans or choices (one or several). A scalar answer becomes a form of one
field. Keywords that a form cannot have (`pattern`, `multipleOf` ...) are left out: the answer is checked against the whole schema later.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

_FIELD: Final = "answer"
"""The one field of a scalar answer's form."""
_SAID: Final = frozenset({"title", "description", "default"})
_KEPT: Final[dict[str, frozenset[str]]] = {
    "string": _SAID | {"minLength", "maxLength"},
    "integer": _SAID | {"minimum", "maximum"},
    "number": _SAID | {"minimum", "maximum"},
    "boolean": _SAID,
}
_SHAPES: Final = frozenset({"type", "enum", "const", "oneOf", "anyOf", "allOf"})
_FORMATS: Final = frozenset({"email", "uri", "date", "date-time"})


class Form(NamedTuple):
    """`schema` is the requestedSchema of the elicitation."""

    schema: dict[str, Any]
    is_scalar: bool

    def answer(self, content: dict[str, Any] | None) -> Any:
        """The form's content as the answer. Fields that are missing in the content are missing in the answer."""
        content = content or {}
        return content.get(_FIELD) if self.is_scalar else content


def form_of(schema: dict[str, Any]) -> Form | None:
    """None: an answer of this kind does not fit into a form."""
    definitions = schema.get("$defs", {})
    schema = _resolve(schema, definitions)
    if not _SHAPES & schema.keys():
        schema = {"type": "string", **schema}  # any answer is allowed, so text is
    if schema.get("type") != "object":
        field = _field(schema, definitions)
        return None if field is None else Form(_object({_FIELD: field}, [_FIELD]), is_scalar=True)
    fields: dict[str, Any] = {}
    for name, part in schema.get("properties", {}).items():
        if (field := _field(part, definitions)) is None:
            return None
        fields[name] = field
    required = [name for name in schema.get("required", []) if name in fields]
    return Form(_object(fields, required), is_scalar=False)


def _object(fields: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": required}


def _resolve(schema: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema without its reference to $defs, and without a `null` beside one other type: an empty field means null."""
    if not isinstance(schema, dict):
        return {}
    kinds = schema.get("type")
    if isinstance(kinds, list):
        wanted = [kind for kind in kinds if kind != "null"]
        schema = {**schema, "type": wanted[0] if len(wanted) == 1 else "any"}
    branches = [branch for branch in schema.get("anyOf", []) if branch != {"type": "null"}]
    if len(branches) == 1:
        rest = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
        schema = {**_resolve(branches[0], definitions), **rest}
    reference = schema.get("$ref", "")
    if reference.startswith("#/$defs/"):
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_resolve(definitions.get(reference.removeprefix("#/$defs/"), {}), {}), **rest}
    return {**schema}


def _field(schema: Any, definitions: dict[str, Any]) -> dict[str, Any] | None:
    schema = _resolve(schema, definitions)
    said = {key: schema[key] for key in _SAID if key in schema}
    if (choices := _choices(schema, "oneOf")) is not None:
        return {"type": "string", **said, **choices}
    kind = schema.get("type")
    if kind == "array":
        choices = _choices(_resolve(schema.get("items"), definitions), "anyOf")
        bounds = {key: schema[key] for key in ("minItems", "maxItems") if key in schema}
        return None if choices is None else {"type": "array", "items": {"type": "string", **choices}, **said, **bounds}
    if kind not in _KEPT or "enum" in schema or "const" in schema:  # a form has no choice among numbers
        return None
    kept = {key: value for key, value in schema.items() if key in _KEPT[kind]}
    if schema.get("format") in _FORMATS:
        kept["format"] = schema["format"]
    return {"type": kind, **kept}


def _choices(schema: dict[str, Any], titled: str) -> dict[str, Any] | None:
    """A choice among texts, plain or with titles. `titled` is the keyword that MCP wants for titles at this place."""
    plain = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if plain and all(isinstance(value, str) for value in plain):
        return {"enum": list(plain)}
    branches = schema.get("oneOf") or schema.get("anyOf") or []
    if branches and all(isinstance(branch, dict) and isinstance(branch.get("const"), str) for branch in branches):
        return {
            titled: [{"const": branch["const"], "title": branch.get("title", branch["const"])} for branch in branches]
        }
    return None
