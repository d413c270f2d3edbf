from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from urllib.parse import quote

import mcp_types as types
import pytest
from mcp.shared.message import SessionMessage

from repertoire.upstream.addresses import AddressRules
from repertoire.upstream.command_definition import parse_command
from repertoire.upstream.commands import CommandSource
from repertoire.upstream.fetch import Fetch
from repertoire.upstream.inbox import Inbox
from repertoire.upstream.masks import Masks, masked_logs
from repertoire.upstream.mcp_answers import value_of
from repertoire.upstream.openapi import ApiSource, parse_api
from repertoire.upstream.stdio_process import LineReader, StdioNotes
from repertoire.upstream.tool import Blob, Tool, ToolFailed
from support.tools import call_tool
from support.web import web_server


def test_a_secret_is_replaced_by_its_name_in_every_form() -> None:
    masks = Masks()
    secret = 'p"ä/ss\nword'
    masks.add(secret, "TOKEN")
    for form in (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), quote(secret, safe="")):
        assert secret not in masks.mask(f"before {form} after")
        assert "[secret TOKEN]" in masks.mask(f"before {form} after")


def test_the_longer_of_two_secrets_is_replaced_first() -> None:
    masks = Masks()
    masks.add("abcdef", "SHORT")
    masks.add("abcdefgh", "LONG")
    assert masks.mask("abcdefgh abcdef") == "[secret LONG] [secret SHORT]"


def test_short_texts_are_no_secrets() -> None:
    masks = Masks()
    masks.add("1", "N")
    masks.add("", "EMPTY")
    assert masks.mask("1 is 1") == "1 is 1"


def test_json_is_masked_inside() -> None:
    masks = Masks()
    masks.add("secret-1", "S")
    blob = Blob(b"secret-1", "text/plain")
    value = {"secret-1": ["a secret-1", 1, None, blob]}
    assert masks.mask_json(value) == {"[secret S]": ["a [secret S]", 1, None, blob]}
    assert value == {"secret-1": ["a secret-1", 1, None, blob]}


def test_the_log_shows_no_secret() -> None:
    """Not in the message, in its arguments or in the traceback. Addresses at the level INFO are left out."""
    masks = Masks()
    masks.add("very-secret", "TOKEN")
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with masked_logs(masks):
            logging.getLogger("any").info("a %s and very-secret", ["very-secret"])
            logging.getLogger("httpx2").info("GET http://x/?q=arguments")
            try:
                raise ValueError("very-secret is wrong")
            except ValueError:
                logging.getLogger("any").exception("it failed")
        logging.getLogger("httpx2").info("GET again")
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    shown = written.getvalue()
    assert "very-secret" not in shown
    assert shown.startswith("a ['[secret TOKEN]'] and [secret TOKEN]\nit failed\nTraceback")
    assert "ValueError: [secret TOKEN] is wrong" in shown
    assert "arguments" not in shown
    assert "GET again" in shown


SECRET = "s3cret-" + "x" * 600


def masks_with_secret() -> Masks:
    masks = Masks()
    masks.add(SECRET, "KEY")
    return masks


@pytest.mark.anyio
async def test_a_cut_text_shows_no_part_of_a_secret(tmp_path: Path) -> None:
    masks = masks_with_secret()
    code = f"import sys; sys.exit({SECRET!r} + 'y' * 1900)"
    definition = parse_command({"name": "script", "command": sys.executable, "args": ["-S", "-c", code]})
    with pytest.raises(ToolFailed) as command:
        await call_tool(CommandSource(definition, AddressRules(), mask=masks.mask), "script")
    (tmp_path / "api.json").write_text('{"openapi": "3.1.0", "paths": {"/a": {"get": {"operationId": "a"}}}}')
    with web_server() as web:
        url = web.give("/a", ("y" * 900 + SECRET).encode(), 500)
        api = parse_api({"name": "api", "type": "openapi", "document": "api.json", "base_url": web.url})
        with pytest.raises(ToolFailed) as answer:
            await call_tool(ApiSource(api, mask=masks.mask, folder=str(tmp_path)), "a")
        web.give("/b", ("y" * 150 + SECRET).encode(), 500)
        with pytest.raises(ToolFailed) as page:
            await call_tool(Fetch(AddressRules([web.host]), mask=masks.mask), "fetch", url=f"{url[:-1]}b")
    for caught in (command, answer, page):
        assert "[secret KEY]" in caught.value.message and "xxx" not in caught.value.message


def test_notes_of_an_mcp_server_show_no_part_of_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    notes = StdioNotes(masks_with_secret().mask)
    notes.note("y" * 300 + SECRET)
    notes.note("y" * 300 + SECRET + "y" * 300)
    assert "s3cret" not in str(notes) and "xxx" not in str(notes)
    told: list[str | None] = []
    inbox = Inbox("far", lambda: None, lambda: None)
    token = inbox.watch(lambda done, total, message: told.append(message))
    params = {"progressToken": token, "progress": 1, "message": "y" * 900 + SECRET}
    inbox.passes(
        SessionMessage(types.JSONRPCNotification(jsonrpc="2.0", method="notifications/progress", params=params))
    )
    assert told[0] and SECRET in told[0]  # whole, and so the door can mask it
    for odd in LineReader(10_000).feed(f'{{"a": "{SECRET}", 5\n'.encode()):
        inbox.passes(odd)
    assert "no message" in caplog.text and "xxx" not in caplog.text


def test_the_error_of_an_mcp_server_is_cut_after_it_is_masked() -> None:
    failed = types.CallToolResult(content=[types.TextContent(type="text", text="y" * 3900 + SECRET)], is_error=True)
    with pytest.raises(ToolFailed) as caught:
        value_of(failed, Tool(source="far", name="a", original="a"), is_wrapped=False)
    assert SECRET in caught.value.message
