"""The suite's resources and prompts beside the product's own, completion, and subscriptions of single resources."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import mcp_types as types
from mcp.server.lowlevel import Server

from repertoire.surfaces.mcp.sdk_adapter import Context

from .asking import form
from .fixture import PIXEL, PromptAnswer, PromptHandler, handler

_TEMPLATE: Final = "test://template/{id}/data"
_RESOURCES: Final = [
    types.Resource(uri="test://static-text", name="text", description="A text.", mime_type="text/plain"),
    types.Resource(uri="test://static-binary", name="binary", description="An image.", mime_type="image/png"),
    types.Resource(uri="test://watched-resource", name="watched", description="One to watch.", mime_type="text/plain"),
]


def _contents(uri: str) -> types.TextResourceContents | types.BlobResourceContents | None:
    if uri == "test://static-binary":
        return types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PIXEL)
    if found := re.fullmatch(r"test://template/([^/]+)/data", uri):
        words = json.dumps({"id": found[1], "templateTest": True, "data": f"Data for ID: {found[1]}"})
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=words)
    if uri in ("test://static-text", "test://watched-resource"):
        words = "This is the content of the static text resource."
        return types.TextResourceContents(uri=uri, mime_type="text/plain", text=words)
    return None


def _says(*contents: types.ContentBlock) -> types.GetPromptResult:
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=content) for content in contents])


def _words(words: str) -> types.TextContent:
    return types.TextContent(type="text", text=words)


def _simple(params: types.GetPromptRequestParams) -> PromptAnswer:
    return _says(_words("This is a simple prompt for testing."))


def _with_arguments(params: types.GetPromptRequestParams) -> PromptAnswer:
    given = params.arguments or {}
    return _says(_words(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"))


def _with_resource(params: types.GetPromptRequestParams) -> PromptAnswer:
    uri, words = (params.arguments or {})["resourceUri"], "Embedded resource content for testing."
    resource = types.TextResourceContents(uri=uri, mime_type="text/plain", text=words)
    return _says(
        types.EmbeddedResource(type="resource", resource=resource),
        _words("Please process the embedded resource above."),
    )


def _with_image(params: types.GetPromptRequestParams) -> PromptAnswer:
    image = types.ImageContent(type="image", data=PIXEL, mime_type="image/png")
    return _says(image, _words("Please analyze the image above."))


def _asking(params: types.GetPromptRequestParams) -> PromptAnswer:
    if "user_context" not in (params.input_responses or {}):
        wanted = form("What context should the prompt use?", "context")
        return types.InputRequiredResult(input_requests={"user_context": wanted})
    return _says(_words("The context has come."))


_PROMPTS: Final[dict[str, tuple[PromptHandler, list[str]]]] = {
    "test_simple_prompt": (_simple, []),
    "test_prompt_with_arguments": (_with_arguments, ["arg1", "arg2"]),
    "test_prompt_with_embedded_resource": (_with_resource, ["resourceUri"]),
    "test_prompt_with_image": (_with_image, []),
    "test_input_required_result_prompt": (_asking, []),
}


def over_reading(server: Server[Any]) -> None:
    """Resources and prompts after the product's own; what is not a fixture's is asked of the product."""
    product = {
        method: handler(server, method)
        for method in ("resources/list", "resources/templates/list", "resources/read", "prompts/list", "prompts/get")
    }
    listing = types.PaginatedRequestParams

    async def list_resources(ctx: Context, params: types.PaginatedRequestParams) -> types.ListResourcesResult:
        page: types.ListResourcesResult = await product["resources/list"](ctx, params)
        page.resources += _RESOURCES if page.next_cursor is None else []
        return page

    async def list_templates(ctx: Context, params: types.PaginatedRequestParams) -> types.ListResourceTemplatesResult:
        page: types.ListResourceTemplatesResult = await product["resources/templates/list"](ctx, params)
        page.resource_templates.append(types.ResourceTemplate(uri_template=_TEMPLATE, name="data", description="Data."))
        return page

    async def read(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        contents = _contents(params.uri)
        if contents is not None:
            return types.ReadResourceResult(contents=[contents], ttl_ms=0, cache_scope="private")
        answer: types.ReadResourceResult = await product["resources/read"](ctx, params)
        return answer

    async def list_prompts(ctx: Context, params: types.PaginatedRequestParams) -> types.ListPromptsResult:
        page: types.ListPromptsResult = await product["prompts/list"](ctx, params)
        for name, (_, arguments) in _PROMPTS.items():
            wanted = [types.PromptArgument(name=argument, required=True) for argument in arguments]
            page.prompts.append(types.Prompt(name=name, description="For the suite.", arguments=wanted))
        return page

    async def get_prompt(ctx: Context, params: types.GetPromptRequestParams) -> PromptAnswer:
        if params.name in _PROMPTS:
            return _PROMPTS[params.name][0](params)
        answer: PromptAnswer = await product["prompts/get"](ctx, params)
        return answer

    server.add_request_handler("resources/list", listing, list_resources)
    server.add_request_handler("resources/templates/list", listing, list_templates)
    server.add_request_handler("resources/read", types.ReadResourceRequestParams, read)
    server.add_request_handler("prompts/list", listing, list_prompts)
    server.add_request_handler("prompts/get", types.GetPromptRequestParams, get_prompt)


def add_what_the_product_has_not(server: Server[Any]) -> None:
    """Completion, log levels and legacy subscriptions are acknowledged; nobody sends anything for them."""

    async def complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        return types.CompleteResult(completion=types.Completion(values=["paris", "park"], total=2, has_more=False))

    async def acknowledge(ctx: Context, params: object) -> types.EmptyResult:
        return types.EmptyResult()

    server.add_request_handler("completion/complete", types.CompleteRequestParams, complete)
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, acknowledge)
    server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, acknowledge)
    server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, acknowledge)
