"""Resources and prompts: workflows' sources, runs and artifacts as resources, and the prompt `write_workflow`; used by build_server.py."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, unquote

import anyio.to_thread
import mcp_types as types
from mcp.shared.exceptions import MCPError

from ...errors import BadArguments, RepertoireError
from ...model.portable_schema import DESCRIPTION_UNITS
from ...model.session import Caller
from ...service import Service
from ...text import cut
from .guide import TOPICS, page
from .sdk_adapter import Context

_PAGE = 50
_MAX_BYTES = 8 * 1024 * 1024
"""Of an artifact that is read as a resource. In base64 it stays below the 16 MiB that many clients take as one message."""
_ARTIFACTS = "artifacts:"
"""The beginning of a cursor in the list of artifacts. No workflow's name has a colon."""

_PROMPT = "Write a Repertoire workflow, and publish it with the tool create_workflow.{task}"


class Resources:
    """Answers the requests for resources and prompts for callers of one kind."""

    def __init__(self, service: Service, caller_of: Callable[[Context], Caller]) -> None:
        self._service = service
        self._caller_of = caller_of

    async def list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """A page of workflows, or after them of artifacts. Runs are not listed: the template shows how to name one."""
        caller, cursor = self._caller_of(ctx), params.cursor if params else None
        if cursor is not None and cursor.startswith(_ARTIFACTS):
            return await self._list_artifacts(caller, cursor.removeprefix(_ARTIFACTS))
        page = await self._service.library.list_workflows(caller, cursor, _PAGE)
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
        following = page["next_cursor"]
        if following is None and (await self._service.artifacts.list_page(caller, limit=1))["artifacts"]:
            following = _ARTIFACTS
        return types.ListResourcesResult(resources=resources, next_cursor=following, ttl_ms=0, cache_scope="private")

    async def _list_artifacts(self, caller: Caller, cursor: str) -> types.ListResourcesResult:
        page = await self._service.artifacts.list_page(caller, cursor=cursor, limit=_PAGE)
        resources = [
            types.Resource(
                uri=item["uri"],
                name=item["name"],
                description=cut(item["description"], DESCRIPTION_UNITS, "…") or None,
                mime_type=item["mime_type"],
                size=item["size"],
            )
            for item in page["artifacts"]
        ]
        following = page["next_cursor"] and _ARTIFACTS + page["next_cursor"]
        return types.ListResourcesResult(resources=resources, next_cursor=following, ttl_ms=0, cache_scope="private")

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
            types.ResourceTemplate(
                uri_template="artifact:///{+name}",
                name="artifact",
                description="A text, JSON or file that a run has saved.",
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
            elif scheme == "artifact":
                return await self._read_artifact(caller, params.uri, name)
            else:
                raise _unknown(uri)
        except RepertoireError as error:
            raise _unknown(uri, f". {error.message}") from error
        contents = types.TextResourceContents(uri=params.uri, text=text, mime_type=mime)
        return types.ReadResourceResult(contents=[contents], ttl_ms=0, cache_scope="private")

    async def _read_artifact(self, caller: Caller, uri: str, name: str) -> types.ReadResourceResult:
        """Text where it is text, else base64."""
        artifact = await self._service.artifacts.use(caller.principal, name)
        if artifact.size > _MAX_BYTES:
            why = f"{artifact.name!r} has {artifact.size} bytes, which is too large for a message"
            raise BadArguments(why, "Read it in a workflow: artifacts.load(name).")
        data = await self._service.artifacts.read(artifact)
        contents: types.TextResourceContents | types.BlobResourceContents
        try:
            if artifact.kind == "bytes" and not artifact.mime_type.startswith("text/"):
                raise ValueError("no text")
            contents = types.TextResourceContents(uri=uri, text=data.decode("utf-8"), mime_type=artifact.mime_type)
        except ValueError:
            text = base64.b64encode(data).decode()
            contents = types.BlobResourceContents(uri=uri, blob=text, mime_type=artifact.mime_type)
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
