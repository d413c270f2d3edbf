"""Other people's MCP servers as sources of tools: over stdio, Streamable HTTP and SSE."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from repertoire.upstream.config import ServerConfig, ServerOptions
from repertoire.upstream.tool import Blob, ToolFailed, ToolUnavailable
from support.outside import NODE, need_node_servers
from support.upstreams import Run, call, find, free_port, opened

pytestmark = pytest.mark.anyio
PROGRAMS = NODE / "node_modules" / ".bin"
EVERYTHING = str(PROGRAMS / "mcp-server-everything")
NODE_PATH = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(autouse=True)
def servers() -> None:
    need_node_servers()


def over_stdio(name: str, *words: str) -> ServerConfig:
    return ServerConfig(name="up", original="up", command=str(PROGRAMS / name), args=words, env={"PATH": NODE_PATH})


@contextmanager
def over_http(kind: str, port: int = 0) -> Iterator[ServerConfig]:
    """The server `everything`, listening."""
    port = port or free_port()
    word, path = {"http": ("streamableHttp", "mcp"), "sse": ("sse", "sse")}[kind]
    environ = {**os.environ, "PATH": NODE_PATH, "PORT": str(port)}
    process = subprocess.Popen(
        [EVERYTHING, word], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if str(port) in line:
                break
        url = f"http://127.0.0.1:{port}/{path}"
        options = ServerOptions(timeout_s=30)
        yield ServerConfig(name="up", original="up", kind="sse" if kind == "sse" else "http", url=url, options=options)
    finally:
        process.kill()
        process.communicate()


async def check_everything(config: ServerConfig) -> None:
    async with opened(config) as server:
        assert await call(server, "echo", message="hallo") == "Echo: hallo"
        assert "5" in await call(server, "get_sum", a=2, b=3)
        weather = await call(server, "get_structured_content", location="New York")
        assert set(weather) == {"temperature", "conditions", "humidity"}
        parts = await call(server, "get_tiny_image")
        image = next(part for part in parts if isinstance(part, Blob))
        assert image.mime_type == "image/png"
        assert image.data.startswith(b"\x89PNG")
        run = Run()
        await call(server, "trigger_long_running_operation", run, duration=1, steps=4)
        assert run.told[-1][:2] == (4, 4)
        with pytest.raises(ToolFailed, match=r"(?i)invalid"):
            await call(server, "get_sum", a="x")
        run = Run({"name": "Ada"})
        assert "Ada" in str(await call(server, "trigger_elicitation_request", run))
        assert len(run.asked) == 1
        assert run.asked[0][1]["type"] == "object"


async def test_everything_over_stdio() -> None:
    await check_everything(over_stdio("mcp-server-everything"))


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_everything_over_http(kind: str) -> None:
    with over_http(kind) as config:
        await check_everything(config)


async def test_an_http_server_that_was_restarted_is_used_again() -> None:
    """It no longer knows the session. The call was not carried out, so it is made again in a new session."""
    with over_http("http") as config:
        port = httpx2.URL(config.url).port
    assert port is not None
    async with opened(config) as server:
        with pytest.raises(ToolUnavailable, match="cannot be reached"):
            await server.list_tools()
        with over_http("http", port):
            assert await call(server, "echo", message="1") == "Echo: 1"
        with over_http("http", port):
            assert await call(server, "echo", message="2") == "Echo: 2"
        with pytest.raises(ToolUnavailable):
            await call(server, "echo", message="3")


async def test_two_calls_over_http_ask_their_own_runs() -> None:
    """A question comes on the stream of its call, so several calls may ask at once."""
    with over_http("http") as config:
        async with opened(config) as server:
            tool = await find(server, "trigger_elicitation_request")
            runs = [Run({"name": name}, after_s=0.5) for name in ("Ada", "Bob")]
            answers: dict[int, object] = {}

            async def ask(number: int) -> None:
                answers[number] = await server.call(tool, {}, runs[number].context)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, 0)
                tasks.start_soon(ask, 1)
            assert "Ada" in str(answers[0])
            assert "Bob" in str(answers[1])


async def test_the_file_system_server_reads_and_writes(tmp_path: Path) -> None:
    async with opened(over_stdio("mcp-server-filesystem", str(tmp_path))) as server:
        assert (await find(server, "read_text_file")).only_reads
        await call(server, "write_file", path=str(tmp_path / "a.txt"), content="größe\n")
        assert (tmp_path / "a.txt").read_text() == "größe\n"
        assert "größe" in str(await call(server, "read_text_file", path=str(tmp_path / "a.txt")))
        with pytest.raises(ToolFailed, match=r"(?i)denied"):
            await call(server, "read_text_file", path="/etc/passwd")
