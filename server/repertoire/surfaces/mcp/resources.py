"""Resources and prompts: each workflow's source and each run as resources, and the prompt `write_workflow`; used by build_server.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote, unquote

import anyio.to_thread
import mcp_types as types
from mcp.shared.exceptions import MCPError

from ...errors import RepertoireError
from ...model.portable_schema import DESCRIPTION_UNITS
from ...model.session import Caller
from ...service import Service
from ...text import cut
from .guide import TOPICS, page
from .sdk_adapter import Context

_PAGE = 50

_PROMPT = "Write a Repertoire workflow, and publish it with the tool create_workflow.{task}"


class Resources:
    """Answers the requests for resources and prompts for callers of one kind."""

    def __init__(self, service: Service, caller_of: Callable[[Context], Caller]) -> None:
        self._service = service
        self._caller_of = caller_of

    async def list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """A page of workflows. Runs are not listed: the template shows how to name one."""
        page = await self._service.library.list_workflows(
            self._caller_of(ctx), params.cursor if params else None, _PAGE
        )
        resources = [
            types.Resource(
                uri=f"workflow:///{quote(item['name'])}",
                name=item["name"],
                title=item.get("title"),
                description=cut(item["description"], DESCRIPTION_UNITS, "…"),
                mime_type="text/x-python",
            )
            for item in page["workflows"]
        ]
        return types.ListResourcesResult(
            resources=resources, next_cursor=page["next_cursor"], ttl_ms=0, cache_scope="private"
        )

    async def list_templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        templates = [
            types.ResourceTemplate(
                uri_template="workflow:///{name}",
                name="workflow",
                description="A workflow's source.",
                mime_type="text/x-python",
            ),
            types.ResourceTemplate(
                uri_template="run:///{run_id}",
                name="run",
                description="A run with its events, as JSON.",
                mime_type="application/json",
            ),
        ]
        return types.ListResourceTemplatesResult(resource_templates=templates, ttl_ms=0, cache_scope="private")

    async def read(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        scheme, _, rest = uri.partition(":///")
        caller, name = self._caller_of(ctx), unquote(rest)
        try:
            if scheme == "workflow":
                text, mime = (await self._service.library.find_or_explain(caller, name)).source, "text/x-python"
            elif scheme == "run":
                text, mime = (
                    json.dumps(await self._service.runs.get(caller, name), ensure_ascii=False),
                    "application/json",
                )
            else:
                raise _unknown(uri)
        except RepertoireError as error:
            raise _unknown(uri, f". {error.message}") from error
        contents = types.TextResourceContents(uri=params.uri, text=text, mime_type=mime)
        return types.ReadResourceResult(contents=[contents], ttl_ms=0, cache_scope="private")

    async def list_prompts(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        task = types.PromptArgument(name="task", description="What the workflow should do.", required=False)
        prompt = types.Prompt(
            name="write_workflow",
            title="Write a workflow",
            description="How to write and publish a good workflow.",
            arguments=[task],
        )
        return types.ListPromptsResult(prompts=[prompt], ttl_ms=0, cache_scope="private")

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        if params.name != "write_workflow":
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown prompt: {params.name[:100]}")
        task = (params.arguments or {}).get("task")
        pages = [await anyio.to_thread.run_sync(page, topic) for topic in ("writing", "surviving")]
        text = "\n\n".join([_PROMPT.format(task=f" It should: {task}" if task else ""), *pages])
        text += f"\n\nThe tool guide(topic) has more pages: {', '.join(TOPICS[2:])}."
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description="How to write and publish a good workflow.", messages=[message])


def _unknown(uri: str, reason: str = "") -> MCPError:
    uri = uri[:200]
    return MCPError(code=types.INVALID_PARAMS, message=f"Unknown resource: {uri}{reason}", data={"uri": uri})
