"""OpenAPI documents: `read_document` finds the operations of one, with their parameters and schemas; used by openapi.py.

Versions 3.0 and 3.1, as JSON or YAML. Only what a call needs is read. The known readers were not taken: they validate whole documents and
so refuse many that are in use, or they leave references unresolved.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from ..errors import BadSettings
from ..text import cut
from .identifiers import RESERVED_TOOLS, unique_identifiers
from .openapi_schemas import Schemas

_log = logging.getLogger("repertoire.tools")

Location = Literal["path", "query", "header", "cookie", "body"]
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
_IGNORED_HEADERS: Final = frozenset(("accept", "content-type", "authorization"))
"""The specification says that parameters of these names are ignored."""
_FORM: Final = "application/x-www-form-urlencoded"
_DESCRIPTION_CHARS: Final = 600


class Argument(NamedTuple):
    """One parameter of a call. `name` is the API's own; in a body it is a property, or "" for all of the body."""

    name: str
    location: Location
    is_required: bool
    schema: Any
    style: str = ""
    explode: bool = True
    as_json: bool = False
    description: str = ""


class Operation(NamedTuple):
    name: str
    original: str
    method: str
    path: str
    description: str
    arguments: dict[str, Argument]
    """By the name that a caller uses."""
    body_type: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None


class Document(NamedTuple):
    """`servers` are URLs, `security` the schemes by name. `left_out` says why operations are missing."""

    operations: tuple[Operation, ...]
    servers: tuple[str, ...]
    security: dict[str, dict[str, Any]]
    left_out: tuple[str, ...]


def parse_document(text: str) -> dict[str, Any]:
    """JSON or YAML. Raises BadSettings."""
    try:
        data = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        import yaml

        try:
            data = _json_value(yaml.load(text, Loader=_yaml_loader()), {})
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise BadSettings(f"the document is neither JSON nor YAML: {' '.join(str(error).split())[:200]}") from None
    version = data.get("openapi") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not str(version).startswith("3."):
        kind = "Swagger 2.0" if isinstance(data, dict) and "swagger" in data else "no OpenAPI document"
        raise BadSettings(f"the document is {kind}: OpenAPI 3.0 or 3.1 is needed")
    return data


def _yaml_loader() -> Any:
    """YAML's loader without what JSON does not have: `on` and `2026-01-31` are texts, as in YAML 1.2."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    dropped = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    kept = {
        char: [(tag, form) for tag, form in rows if tag not in dropped]
        for char, rows in base.yaml_implicit_resolvers.items()
    }
    loader: Any = type("_Loader", (base,), {"yaml_implicit_resolvers": kept})
    loader.add_implicit_resolver(dropped[0], re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    return loader


def _json_value(value: Any, done: dict[int, Any]) -> Any:
    """The value of YAML with texts as keys. `done` holds the copies by id: what aliases share stays shared, also in a circle."""
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, dict):
        found = done[id(value)] = {}
        for key, each in value.items():
            found[str(key).lower() if isinstance(key, bool) else str(key)] = _json_value(each, done)
        return found
    if isinstance(value, list):
        rows = done[id(value)] = []
        rows += (_json_value(each, done) for each in value)
        return rows
    is_json = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_json else str(value)


def read_document(data: Mapping[str, Any]) -> Document:
    """The operations of a document that `parse_document` has read. One that cannot be called is left out."""
    schemas = Schemas(data)
    rows = list(_rows(data, schemas))
    names = unique_identifiers((original for original, *_ in rows), RESERVED_TOOLS)
    operations: list[Operation] = []
    left_out: list[str] = []
    for original, method, path, operation, shared in rows:
        try:
            operations.append(_operation(names[original], original, method, path, operation, shared, schemas))
        except BadSettings as error:
            left_out.append(f"{original}: {error.message}")
        except RecursionError:
            left_out.append(f"{original}: its schemas are nested too deeply")
        except Exception as error:  # a form that nobody thought of costs this operation only
            _log.warning("the operation %s cannot be read", original, exc_info=True)
            left_out.append(f"{original}: it cannot be read ({type(error).__name__})")
    components = schemas.resolve(data.get("components"))
    security = schemas.resolve(components.get("securitySchemes")) if isinstance(components, dict) else {}
    schemes = {name: schemas.resolve(each) for name, each in security.items()} if isinstance(security, dict) else {}
    return Document(tuple(operations), tuple(_servers(data)), schemes, tuple(left_out))


def _rows(data: Mapping[str, Any], schemas: Schemas) -> Iterator[tuple[str, str, str, dict[str, Any], list[Any]]]:
    """For each operation: its own name, method, path, and the parameters that all operations of the path share."""
    taken: set[str] = set()
    for path, item in _mapping(data.get("paths")).items():
        item = _mapping(schemas.resolve(item))
        for method in _METHODS:
            if isinstance(operation := item.get(method), dict):
                name = operation.get("operationId")
                if not isinstance(name, str) or not name or name in taken:
                    name = f"{method} {path}"
                taken.add(name)
                yield name, method, str(path), operation, _list(item.get("parameters"))


def _operation(
    name: str,
    original: str,
    method: str,
    path: str,
    operation: dict[str, Any],
    shared: list[Any],
    schemas: Schemas,
) -> Operation:
    if not path.startswith("/"):  # `@other.example/` after a base URL would name another host
        raise BadSettings("its path does not begin with /")
    found: dict[tuple[Location, str], Argument] = {
        (each.location, each.name): each for each in _parameters(shared, schemas)
    }
    found |= {(each.location, each.name): each for each in _parameters(_list(operation.get("parameters")), schemas)}
    for missing in re.findall(r"\{([^{}]+)\}", path):
        found.setdefault(("path", missing), Argument(missing, "path", True, {"type": "string"}, "simple", False))
    body_type, body = _body(operation, schemas, {name for _, name in found})
    found |= {(each.location, each.name): each for each in body}
    keys = (
        unique_identifiers(f"{each.name or 'body'}\0{each.location}" for each in found.values())
        if _clash(found)
        else {}
    )
    if not keys:
        plain = unique_identifiers(each.name or "body" for each in found.values())
        arguments = {plain[each.name or "body"]: each for each in found.values()}
    else:
        arguments = {keys[f"{each.name or 'body'}\0{each.location}"]: each for each in found.values()}
    texts = [str(operation.get("summary") or ""), str(operation.get("description") or "")]
    description = cut("\n".join(filter(None, dict.fromkeys(texts))), _DESCRIPTION_CHARS, "…")
    return Operation(
        name,
        original,
        method.upper(),
        path,
        description or f"{method.upper()} {path}",
        arguments,
        body_type,
        _input_schema(arguments, schemas),
        _output_schema(operation, schemas),
    )


def _clash(found: Mapping[tuple[Location, str], Argument]) -> bool:
    """Two parameters of one name at different places."""
    return len({name or "body" for _, name in found}) < len(found)


def _parameters(rows: list[Any], schemas: Schemas) -> Iterator[Argument]:
    for row in rows:
        row = _mapping(schemas.resolve(row))
        name, location = row.get("name"), row.get("in")
        if not isinstance(name, str) or location not in ("path", "query", "header", "cookie"):
            continue
        if location == "header" and name.lower() in _IGNORED_HEADERS:
            continue
        content = _mapping(row.get("content"))
        schema = _mapping(next(iter(content.values()), {})).get("schema") if content else row.get("schema")
        style = str(row.get("style") or ("form" if location in ("query", "cookie") else "simple"))
        yield Argument(
            name,
            location,
            row.get("required") is True or location == "path",
            {} if schema is None else schema,
            style,
            bool(row.get("explode", style == "form")),
            bool(content),
            str(row.get("description") or ""),
        )


def _body(operation: Mapping[str, Any], schemas: Schemas, taken: set[str]) -> tuple[str, list[Argument]]:
    """The body's media type and its arguments: the properties of an object, unless a name is taken, else all of it as `body`."""
    request = _mapping(schemas.resolve(operation.get("requestBody")))
    content = _mapping(request.get("content"))
    if not content:
        return "", []
    is_required = request.get("required") is True
    kind = next((each for each in content if _is_json(each)), None) or next(
        (each for each in content if each == _FORM or each.startswith("text/")), None
    )
    if kind is None:
        if is_required:
            raise BadSettings(f"its body is {', '.join(content)}, which is not supported")
        return "", []
    schema = _mapping(content[kind]).get("schema", {})
    resolved = _mapping(schemas.resolve(schema))
    properties = _mapping(resolved.get("properties"))
    is_plain = not {"allOf", "anyOf", "oneOf", "not", "patternProperties"} & set(resolved)
    is_open = resolved.get("additionalProperties") not in (None, False)
    if kind.startswith("text/") or not properties or not is_plain or is_open or taken & set(properties):
        return kind, [Argument("", "body", is_required, schema)]
    required = _list(resolved.get("required")) if is_required else []
    return kind, [
        Argument(name, "body", name in required, each)
        for name, each in properties.items()
        if _mapping(schemas.resolve(each)).get("readOnly") is not True
    ]


def _input_schema(arguments: Mapping[str, Argument], schemas: Schemas) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    used: set[str] = set()
    for name, argument in arguments.items():
        schema, names = schemas.translated(argument.schema)
        used |= names
        if argument.description and isinstance(schema, dict):
            schema = schema | {"description": argument.description}
        properties[name] = schema
    required = [name for name, argument in arguments.items() if argument.is_required]
    found = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return found | ({"$defs": definitions} if (definitions := schemas.definitions(used)) else {})


def _output_schema(operation: Mapping[str, Any], schemas: Schemas) -> dict[str, Any] | None:
    responses = _mapping(operation.get("responses"))
    for status in sorted(key for key in responses if key.startswith("2")):
        response = schemas.resolve(responses[status])
        content = _mapping(_mapping(response).get("content"))
        for kind, media in content.items():
            if _is_json(kind) and isinstance(media, dict) and "schema" in media:
                schema, used = schemas.translated(media["schema"])
                definitions = schemas.definitions(used)
                return (schema if isinstance(schema, dict) else {}) | ({"$defs": definitions} if definitions else {})
    return None


def _servers(data: Mapping[str, Any]) -> Iterator[str]:
    for server in _list(data.get("servers")):
        if isinstance(url := _mapping(server).get("url"), str):
            for name, variable in _mapping(_mapping(server).get("variables")).items():
                url = url.replace(f"{{{name}}}", str(_mapping(variable).get("default", "")))
            yield url


def _is_json(kind: str) -> bool:
    base = kind.partition(";")[0].strip().lower()
    return base == "application/json" or base.endswith("+json") or base == "*/*"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
