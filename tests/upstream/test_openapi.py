"""HTTP APIs from OpenAPI documents: schemas, requests as a real server gets them, secrets, and documents that are wrong."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from repertoire.errors import BadSettings
from repertoire.upstream.definitions import read_definitions
from repertoire.upstream.masks import Masks
from repertoire.upstream.openapi import ApiSource, parse_api
from repertoire.upstream.openapi_document import parse_document, read_document
from repertoire.upstream.tool import BadToolArguments, Blob, ToolFailed, ToolTimeout, ToolUnavailable
from support.tools import call_tool, tool_of
from support.web import WebServer, web_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


PETS = """
openapi: 3.0.3
info: {title: Pets, version: "1"}
servers: [{url: "/{base}", variables: {base: {default: v1}}}]
paths:
  /pets:
    get:
      operationId: listPets
      summary: List all pets
      parameters:
        - {name: limit, in: query, description: How many, schema: {type: integer, minimum: 1, exclusiveMinimum: false}}
        - {name: tag, in: query, schema: {type: array, items: {type: string}}}
        - {name: ids, in: query, explode: false, schema: {type: array, items: {type: integer}}}
        - {name: where, in: query, style: deepObject, schema: {type: object}}
        - {name: X-Trace, in: header, schema: {type: string}}
        - {name: Authorization, in: header, schema: {type: string}}
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Pet"}}}}}
    post:
      operationId: createPet
      parameters: [{name: Idempotency-Key, in: header, schema: {type: string}}]
      requestBody: {$ref: "#/components/requestBodies/Pet"}
      responses: {"201": {description: made}}
  /pets/{pet-id}:
    parameters: [{$ref: "#/components/parameters/PetId"}]
    get:
      operationId: pets/get
      responses: {default: {description: any}}
    delete: {responses: {"204": {description: gone}}}
    put:
      operationId: replace
      requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {pet-id: {type: string}}}}}}
      responses: {}
  /form:
    post:
      operationId: class
      requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: string}, b: {type: integer}}}}}}
      responses: {}
  /upload:
    post:
      operationId: upload
      requestBody: {required: true, content: {multipart/form-data: {schema: {type: object}}}}
      responses: {}
components:
  parameters:
    PetId: {name: pet-id, in: path, required: true, schema: {type: string}}
  requestBodies:
    Pet: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/NewPet"}}}}
  schemas:
    NewPet:
      type: object
      required: [name]
      properties:
        id: {type: integer, readOnly: true}
        name: {type: string, example: Rex}
        mother: {$ref: "#/components/schemas/Pet"}
        note: {type: string, nullable: true}
    Pet:
      type: object
      properties:
        name: {type: string}
        friends: {type: array, items: {$ref: "#/components/schemas/Pet"}}
        owner: {$ref: "http://elsewhere.example/owner.json"}
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key}
"""


def pets(
    folder: Path, web: WebServer | str, secrets: list[Any] | None = None, document: str = PETS, **more: Any
) -> ApiSource:
    (folder / "pets.openapi").write_text(document)
    base = {"base_url": web if isinstance(web, str) else web.url}
    definition = parse_api({"name": "pets", "type": "openapi", "document": "pets.openapi"} | base | more)
    add = lambda value, name: (secrets if secrets is not None else []).append((value, name))  # noqa: E731
    return ApiSource(definition, add, folder=str(folder), environ={"KEY": "s3cret-key"})


async def test_each_operation_is_a_tool(tmp_path: Path, web: WebServer) -> None:
    source = pets(tmp_path, web)
    tools = {tool.name: tool for tool in await source.list_tools()}
    assert sorted(tools) == ["class_", "createPet", "delete__pets__pet_id", "listPets", "pets_get", "replace"]
    assert [tool.path for tool in tools.values() if tool.only_reads] == ["pets.listPets", "pets.pets_get"]
    assert [tool.name for tool in tools.values() if tool.is_destructive] == ["delete__pets__pet_id"]
    assert (tools["createPet"].key_parameter, tools["listPets"].description) == ("Idempotency_Key", "List all pets")
    assert source.trouble and "upload: its body is multipart/form-data" in source.trouble


async def test_schemas_are_json_schema_with_their_references(tmp_path: Path, web: WebServer) -> None:
    source = pets(tmp_path, web)
    tools = {tool.name: tool for tool in await source.list_tools()}
    for tool in tools.values():
        Draft202012Validator.check_schema(tool.input_schema)
    create = tools["createPet"].input_schema
    assert sorted(create["properties"]) == ["Idempotency_Key", "mother", "name", "note"] and create["required"] == [
        "name"
    ]
    assert create["properties"]["note"]["type"] == ["string", "null"] and create["$defs"]["owner_json"] == {}
    assert create["$defs"]["Pet"]["properties"]["friends"]["items"] == {"$ref": "#/$defs/Pet"}
    assert tools["listPets"].input_schema["properties"]["limit"] == {
        "type": "integer",
        "minimum": 1,
        "description": "How many",
    }
    assert tools["listPets"].output_schema and tools["listPets"].output_schema["type"] == "array"
    with pytest.raises(ValidationError):
        await call_tool(source, "createPet", name="x", mother={"friends": [{"name": 1}]})


async def test_a_request_has_the_documents_form(tmp_path: Path, web: WebServer) -> None:
    web.give("/pets", [{"name": "Rex"}])
    source = pets(tmp_path, web)
    answer = await call_tool(
        source, "listPets", limit=3, tag=["a b", "c&d"], ids=[1, 2], where={"age": 4}, X_Trace="t",
    )  # fmt: skip
    seen = web.seen[-1]
    assert answer == [{"name": "Rex"}] and seen.headers["x-trace"] == "t"
    assert seen.query == {"limit": ["3"], "tag": ["a b", "c&d"], "ids": ["1,2"], "where[age]": ["4"]}
    await call_tool(source, "createPet", name="Rex", note=None, Idempotency_Key="k1")
    assert json.loads(web.seen[-1].body) == {"name": "Rex", "note": None}
    assert (
        web.seen[-1].headers["idempotency-key"] == "k1" and web.seen[-1].headers["content-type"] == "application/json"
    )
    web.give("/form", b"")
    assert await call_tool(source, "class_", a="x y", b=2) is None
    assert web.seen[-1].body == b"a=x+y&b=2"


async def test_a_header_that_http_cannot_send_is_told(tmp_path: Path, web: WebServer) -> None:
    with pytest.raises(BadToolArguments, match="not ASCII"):
        await call_tool(pets(tmp_path, web), "listPets", X_Trace="é")


async def test_a_name_that_is_a_parameter_and_in_the_body_leaves_the_body_whole(tmp_path: Path, web: WebServer) -> None:
    web.give("/pets/7", {})
    await call_tool(pets(tmp_path, web), "replace", pet_id="7", body={"pet-id": "8"})
    assert (web.seen[-1].path, json.loads(web.seen[-1].body)) == ("/pets/7", {"pet-id": "8"})


async def test_a_value_cannot_leave_its_place_in_the_path(tmp_path: Path, web: WebServer) -> None:
    source = pets(tmp_path, web)
    web.give("/pets/a%2F..%2F%3Fx%3D1", {"n": 1})
    assert await call_tool(source, "pets_get", pet_id="a/../?x=1") == {"n": 1}
    for wrong in ("..", ".", ""):
        with pytest.raises(BadToolArguments, match="part of the path"):
            await call_tool(source, "pets_get", pet_id=wrong)
    with pytest.raises(BadToolArguments, match="line break"):
        await call_tool(source, "listPets", X_Trace="a\r\nX-B: c")


async def test_answers_are_values_text_bytes_or_errors(tmp_path: Path, web: WebServer) -> None:
    source = pets(tmp_path, web)
    web.give("/pets/text", b"hello", Content_Type="text/plain")
    web.give("/pets/image", b"\x89\0", Content_Type="image/png")
    web.give("/pets/wrong", {"error": "no such pet"}, 422)
    web.give("/pets/moved", b"", 302, Location="http://elsewhere.example/")
    web.give("/pets/large", b"x" * 2_000_000)
    assert await call_tool(source, "pets_get", pet_id="text") == "hello"
    assert await call_tool(source, "pets_get", pet_id="image") == Blob(b"\x89\0", "image/png")
    with pytest.raises(ToolFailed, match=r'pets.pets_get answered 422 Unprocessable.*: {"error": "no such pet"}'):
        await call_tool(source, "pets_get", pet_id="wrong")
    with pytest.raises(ToolFailed, match="which is not followed"):
        await call_tool(source, "pets_get", pet_id="moved")
    with pytest.raises(ToolFailed, match="larger than 1,024 KiB"):
        await call_tool(pets(tmp_path, web, max_response_kb=1024), "pets_get", pet_id="large")
    await source.aclose()


# The secret.


async def test_the_secret_goes_where_the_document_says(tmp_path: Path, web: WebServer) -> None:
    web.give("/pets/1", {})
    secrets: list[Any] = []
    await call_tool(pets(tmp_path, web, secrets, auth="${env:KEY}"), "pets_get", pet_id="1")
    assert web.seen[-1].headers["x-key"] == "s3cret-key" and ("s3cret-key", "KEY") in secrets
    basic = PETS.replace("{type: apiKey, in: header, name: X-Key}", "{type: http, scheme: basic}")
    await call_tool(pets(tmp_path, web, secrets, basic, auth="ada:${env:KEY}"), "pets_get", pet_id="1")
    encoded = base64.b64encode(b"ada:s3cret-key").decode()
    assert web.seen[-1].headers["authorization"] == f"Basic {encoded}" and encoded in str(secrets)
    token = PETS.replace("{type: apiKey, in: header, name: X-Key}", "{type: oauth2}")
    await call_tool(pets(tmp_path, web, secrets, token, auth="${env:KEY}"), "pets_get", pet_id="1")
    assert web.seen[-1].headers["authorization"] == "Bearer s3cret-key"
    own: dict[str, Any] = {"headers": {"X-A": "k ${env:KEY}"}, "query": {"key": "${env:KEY}"}}
    await call_tool(pets(tmp_path, web, secrets, **own), "listPets", limit=1)
    assert web.seen[-1].headers["x-a"] == "k s3cret-key" and web.seen[-1].query["key"] == ["s3cret-key"]


async def test_a_variable_that_is_not_set_is_named(tmp_path: Path, web: WebServer) -> None:
    source = pets(tmp_path, web, auth="${env:NOT_SET}")
    assert source.trouble and "NOT_SET" in source.trouble
    with pytest.raises(ToolUnavailable, match="NOT_SET is not set"):
        await call_tool(source, "listPets")


async def test_a_secret_that_stands_in_the_definition_is_masked(tmp_path: Path, web: WebServer) -> None:
    masks = Masks()
    definition = {"name": "pets", "type": "openapi", "document": "pets.openapi", "base_url": web.url}
    more = {
        "auth": "ada:literal-password",
        "headers": {"X-Api-Key": "literal-key"},
        "query": {"access_token": "literal-token"},
    }
    (tmp_path / "pets.openapi").write_text(PETS)
    source = ApiSource(parse_api(definition | more), masks.add, folder=str(tmp_path), environ={})
    await call_tool(source, "listPets")
    for text in ("ada:literal-password", "literal-password", "literal-key", "literal-token"):
        assert "literal" not in masks.mask(text)


async def test_a_cookie_of_one_call_is_not_sent_with_the_next(tmp_path: Path, web: WebServer) -> None:
    web.give("/pets/1", {}, Set_Cookie="session=one")
    source = pets(tmp_path, web)
    for _ in range(2):
        await call_tool(source, "pets_get", pet_id="1")
    assert "cookie" not in web.seen[-1].headers


# Restrictions, faults, documents.


async def test_a_definition_can_offer_less(tmp_path: Path, web: WebServer) -> None:
    assert len(await pets(tmp_path, web, read_only=True).list_tools()) == 2
    source = pets(tmp_path, web, operations=["pets/get", "createPet"], destructive=["createPet"])
    assert {tool.name: tool.is_destructive for tool in await source.list_tools()} == {
        "createPet": True,
        "pets_get": False,
    }


async def test_a_server_that_is_slow_or_gone(tmp_path: Path, web: WebServer) -> None:
    slow = PETS.replace("/pets/{pet-id}", "/slow?{pet-id}")
    begun = time.monotonic()
    with pytest.raises(ToolTimeout, match=r"within 0.4 s"):
        await call_tool(pets(tmp_path, web, document=slow, timeout=0.4), "pets_get", pet_id="x")
    assert time.monotonic() - begun < 5
    with pytest.raises(ToolUnavailable, match="cannot be reached"):
        await call_tool(pets(tmp_path, "http://127.0.0.1:1"), "listPets")


async def test_a_document_at_a_url_is_read_when_it_is_there(tmp_path: Path, web: WebServer) -> None:
    source = ApiSource(parse_api({"name": "far", "type": "openapi", "document": f"{web.url}/far.json"}), environ={})
    with pytest.raises(ToolUnavailable, match="answered 404"):
        await source.list_tools()
    assert source.trouble and "answered 404" in source.trouble
    web.give("/far.json", parse_document(PETS))
    web.give("/v1/pets", ["found"])  # its server is relative: /v1
    assert await call_tool(source, "listPets") == ["found"] and "upload" in (source.trouble or "")
    await source.aclose()


async def test_the_author_of_a_document_does_not_choose_who_gets_the_secret(tmp_path: Path, web: WebServer) -> None:
    own: dict[str, Any] = {
        "name": "far",
        "type": "openapi",
        "document": f"{web.url}/far.json",
        "headers": {"X-A": "${env:KEY}"},
    }
    web.give("/v1/pets", [])

    def far(**more: Any) -> ApiSource:
        return ApiSource(parse_api(own | more), environ={"KEY": "s3cret-key"})

    for server in ("http://127.0.0.1:1/v1", "//127.0.0.2/v1", "https://127.0.0.1/", "http://[::x"):
        web.give("/far.json", {**parse_document(PETS), "servers": [{"url": server}]})
        source = far()
        with pytest.raises(ToolUnavailable, match=r"names the server|no URL"):
            await source.list_tools()
        assert "Write base_url" in (source.trouble or "")
    with web_server("127.0.0.2") as other:
        web.give("/far.json", parse_document(PETS))
        other.give("/pets", [])
        await call_tool(far(base_url=other.url), "listPets")
        assert "x-a" not in web.seen[-1].headers and other.seen[-1].headers["x-a"] == "s3cret-key"
    await call_tool(far(), "listPets")
    assert [each.headers["x-a"] for each in web.seen[-2:]] == ["s3cret-key"] * 2


def test_a_path_cannot_lead_to_another_host() -> None:
    document = read_document({"openapi": "3.1.0", "paths": {"@other.example/": {"get": {"operationId": "a"}}}})
    assert not document.operations and "does not begin with /" in document.left_out[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("swagger: '2.0'", "Swagger 2.0"), ("[1, 2]", "no OpenAPI document"), ("a: [", "neither JSON nor YAML"),
        ("openapi: 2.1.0", "OpenAPI 3.0 or 3.1 is needed"), ("openapi: 3.1.0\npaths: {}", "names no server"), ("[" * 5000, "neither"),
    ],
)  # fmt: skip
async def test_a_wrong_document_is_a_trouble(tmp_path: Path, text: str, reason: str) -> None:
    source = pets(tmp_path, "", document=text, base_url=None)
    with pytest.raises(ToolUnavailable, match=reason):
        await source.list_tools()
    assert source.trouble and reason in source.trouble


def test_odd_documents_are_read_as_far_as_they_go() -> None:
    odd: dict[str, Any] = {
        "openapi": "3.1.0",
        "paths": {
            "/a": {
                "get": {"operationId": "same", "parameters": [1, {"name": 2}, {"$ref": "#/none"}, {"$ref": "#/x/y/z"}]}
            },
            "/b": {"get": {"operationId": "same", "parameters": "none"}, "post": 3},
            "/c": {"$ref": "#/paths/~1c"},
            "/d/{x}": {"get": {}},
            "/{id}": {
                "get": {
                    "operationId": "ids",
                    "parameters": [{"name": "id", "in": "path"}, {"name": "id", "in": "query"}],
                }
            },
        },
    }
    found = read_document(odd)
    assert [each.name for each in found.operations] == ["same", "get__b", "get__d__x", "ids"] and not found.left_out
    assert found.operations[2].input_schema["required"] == ["x"]  # the document does not describe it
    assert sorted(found.operations[3].arguments) == ["id_path", "id_query"]


def test_yaml_that_is_no_json_and_odd_operations_cost_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = """
openapi: 3.0.3
paths:
  /a:
    get:
      operationId: a
      responses: {200: {content: {application/json: {schema: {type: integer}}}}}
      parameters:
        - {name: since, in: query, schema: {type: string, default: 2026-01-31, enum: [on, 2026-01-31]}}
        - {name: ratio, in: query, schema: {type: number, default: .inf}}
  /b:
    post:
      operationId: b
      requestBody:
        content:
          1: {schema: {}}
          application/json: {schema: &s {type: object, properties: {on: {type: boolean, default: true}, 5: *s}}}
      responses: {}
"""
    data = parse_document(odd)
    found = read_document(data)
    assert [each.name for each in found.operations] == ["a"] and "nested too deeply" in found.left_out[0]
    found = read_document(parse_document(odd.replace("5: *s", "5: {}")))
    a, b = found.operations
    assert a.input_schema["properties"]["since"] == {
        "type": "string",
        "default": "2026-01-31",
        "enum": ["on", "2026-01-31"],
    }
    assert a.output_schema == {"type": "integer"} and json.dumps([a.input_schema, b.input_schema], allow_nan=False)
    assert [each.name for each in b.arguments.values()] == ["on", "5"]
    monkeypatch.setattr("repertoire.upstream.openapi_document._body", lambda *args: 1 / 0)
    assert "ZeroDivisionError" in read_document(data).left_out[0]


def test_a_definition_is_a_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "pets.yaml").write_text("type: openapi\ndocument: pets.json\nauth: ${env:KEY}\n")
    (tmp_path / "typo.yaml").write_text("type: openapi\ndocument: pets.json\nbaseurl: x\n")
    found = read_definitions(tmp_path)
    assert [each.definition.name for each in found.apis] == ["pets"] and "baseurl" in found.troubles["typo.yaml"]
    with pytest.raises(BadSettings, match="cannot be a name"):
        parse_api({"name": "a b", "type": "openapi", "document": "x"})


async def test_a_large_document_is_read_in_a_thread(tmp_path: Path, web: WebServer) -> None:
    """A thousand operations that share schemas: each tool refers to the shared ones."""
    schemas = {
        f"S{n}": {"type": "object", "properties": {"next": {"$ref": f"#/components/schemas/S{(n + 1) % 300}"}}}
        for n in range(300)
    }
    reference = {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}
    paths = {
        f"/p{n}": {"get": {"operationId": f"op{n}", "responses": {"200": {"content": reference}}}} for n in range(1000)
    }
    document = json.dumps({"openapi": "3.1.0", "paths": paths, "components": {"schemas": schemas}})
    begun = time.monotonic()
    tool = await tool_of(pets(tmp_path, web, document=document), "op999")
    assert tool.output_schema and len(tool.output_schema["$defs"]) == 300 and time.monotonic() - begun < 20
