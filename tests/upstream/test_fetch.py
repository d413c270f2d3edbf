"""tools.fetch against a real HTTP server: answers, redirects, limits, and addresses that it must not reach."""

from __future__ import annotations

import gzip
import ipaddress
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from jsonschema import ValidationError

from repertoire.upstream.addresses import AddressRules, check_listed, is_public
from repertoire.upstream.fetch import Fetch, FetchLimits
from repertoire.upstream.tool import BadToolArguments, Blob, ToolFailed, ToolTimeout, ToolUnavailable
from support.tools import call_tool, tool_of
from support.web import WebServer, certificate, web_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def fetch(web: WebServer) -> Fetch:
    return Fetch(AddressRules([web.host]), FetchLimits(max_bytes=100_000))


async def test_fetch_returns_text_and_response_returns_all(web: WebServer, fetch: Fetch) -> None:
    url = web.give("/value", {"name": "ä", "n": 1})
    assert await call_tool(fetch, "fetch", url=url) == '{"name": "\\u00e4", "n": 1}'
    answer = await call_tool(fetch, "response", url=url)
    assert answer["status"] == 200 and answer["json"] == {"name": "ä", "n": 1} and answer["url"] == url
    assert answer["headers"]["content-type"] == "application/json"


async def test_the_tool_with_its_sources_name_has_a_short_path(fetch: Fetch) -> None:
    assert (await tool_of(fetch, "fetch")).path == "fetch"
    assert (await tool_of(fetch, "response")).path == "fetch.response"


async def test_a_request_is_sent_as_it_was_given(web: WebServer, fetch: Fetch) -> None:
    answer = await call_tool(
        fetch,
        "response",
        url=f"{web.url}/echo?a=1#part",
        method="PUT",
        json={"x": [1]},
        headers={"X-Key": "k", "content-type": "application/x"},
    )
    sent = answer["json"]
    assert (sent["method"], sent["query"], sent["body"]) == ("PUT", {"a": ["1"]}, '{"x": [1]}')
    assert sent["headers"]["x-key"] == "k" and sent["headers"]["host"] == web.host
    assert sent["headers"]["content-type"] == "application/x" and "#" not in answer["url"]


async def test_text_of_other_charsets_and_bytes(web: WebServer, fetch: Fetch) -> None:
    latin = web.give("/latin", "é".encode("latin-1"), Content_Type="text/plain; charset=ISO-8859-1")
    odd = web.give("/odd", "é".encode(), Content_Type="text/plain; charset=no-such-charset")
    half = web.give("/half", rb"\ud800", Content_Type="text/plain; charset=unicode_escape")
    image = web.give("/image", b"\x89PNG\0\xff", Content_Type="image/png")
    assert await call_tool(fetch, "fetch", url=latin) == "é" == await call_tool(fetch, "fetch", url=odd)
    assert (await call_tool(fetch, "fetch", url=half)).encode()
    assert (await call_tool(fetch, "response", url=image))["data"] == Blob(b"\x89PNG\0\xff", "image/png")
    with pytest.raises(ToolFailed, match="is image/png, not text"):
        await call_tool(fetch, "fetch", url=image)


@pytest.mark.parametrize("body", [b"[NaN]", b"{", b"[" * 50_000, b"9" * 5000])
async def test_what_says_that_it_is_json_and_is_not_is_text(web: WebServer, fetch: Fetch, body: bytes) -> None:
    url = web.give("/not-json", body, Content_Type="application/json")
    assert (await call_tool(fetch, "response", url=url))["text"] == body.decode()


async def test_an_error_status_raises_in_fetch_only(web: WebServer, fetch: Fetch) -> None:
    with pytest.raises(ToolFailed, match=r"/none answered 404 Not Found: nothing here"):
        await call_tool(fetch, "fetch", url=f"{web.url}/none")
    assert (await call_tool(fetch, "response", url=f"{web.url}/none"))["status"] == 404


# Redirects.


async def test_redirects_are_followed_and_the_last_url_is_told(web: WebServer, fetch: Fetch) -> None:
    answer = await call_tool(
        fetch, "response", url=f"{web.url}/redirect?to=/redirect?to=/echo", method="POST", body="b"
    )
    assert answer["url"] == f"{web.url}/echo" and answer["json"]["method"] == "GET" and not answer["json"]["body"]
    kept = await call_tool(fetch, "response", url=f"{web.url}/redirect?status=307&to=/echo", method="POST", body="b")
    assert (kept["json"]["method"], kept["json"]["body"]) == ("POST", "b")


async def test_a_redirect_that_never_ends_is_given_up(web: WebServer, fetch: Fetch) -> None:
    web.give("/round", b"", 302, Location="/round")
    with pytest.raises(ToolFailed, match="More than 10 redirects"):
        await call_tool(fetch, "fetch", url=f"{web.url}/round")


async def test_another_server_gets_no_secret_headers(web: WebServer) -> None:
    with web_server() as other:
        fetch = Fetch(AddressRules(["127.0.0.1"]))
        headers = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Accept": "text/plain"}
        await call_tool(fetch, "fetch", url=f"{web.url}/redirect?to={other.url}/echo", headers=headers)
        assert "s3cret" not in str(other.seen[-1].headers) and other.seen[-1].headers["accept"] == "text/plain"
        assert "s3cret" in str(web.seen[-1].headers)


@pytest.mark.parametrize("place", ["http://127.0.0.2:1/", "http://localhost:1/", "file:///etc/passwd", "http://u:p@h/"])
async def test_a_redirect_to_a_forbidden_place_is_not_followed(web: WebServer, fetch: Fetch, place: str) -> None:
    web.give("/away", b"", 302, Location=place)
    with pytest.raises(ToolFailed, match="redirect"):
        await call_tool(fetch, "fetch", url=f"{web.url}/away")


# Addresses.


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/", "http://localhost/", "http://2130706433/", "http://0x7f.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://0.0.0.0/", "http://224.0.0.1/", "http://240.0.0.1/",
        "http://[fe80::1]/", "http://[fec0::1]/", "http://[ff02::1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
    ],
)  # fmt: skip
async def test_addresses_that_are_not_public_are_refused(url: str) -> None:
    with pytest.raises(BadToolArguments, match="not a public address") as caught:
        await call_tool(Fetch(), "fetch", url=url)
    assert caught.value.hint and "fetch_private_hosts" in caught.value.hint


def test_public_addresses() -> None:
    for text in ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"):
        assert is_public(ipaddress.ip_address(text)), text
    assert not is_public(ipaddress.ip_address("168.63.129.16"))  # Azure's own, for its machines


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "example.com",
        "http:///x",
        "http://u:p@example.com/",
        "http://evil.com\\@h/",
        "",
        "http://h:0/",
        "http://h:70000/",
    ],
)
async def test_what_is_not_such_a_url_is_refused(url: str) -> None:
    with pytest.raises(BadToolArguments):
        await call_tool(Fetch(), "fetch", url=url)


async def test_a_name_is_resolved_once_and_the_checked_address_is_used(web: WebServer) -> None:
    """DNS rebinding: the first answer is allowed, a second one would lead to a private address."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    rules = AddressRules([web.host], resolve)
    answer = await call_tool(Fetch(rules), "response", url=f"http://rebinds.example:{web.port}/echo")
    assert answer["json"]["headers"]["host"] == f"rebinds.example:{web.port}" and asked == ["rebinds.example"]
    with pytest.raises(BadToolArguments, match=r"rebinds.example \(10.0.0.1\) is not a public address"):
        await call_tool(Fetch(rules), "response", url=f"http://rebinds.example:{web.port}/echo")


async def test_one_private_address_of_a_name_refuses_it(web: WebServer) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8", "192.168.0.1"]

    with pytest.raises(BadToolArguments, match=r"192\.168\.0\.1"):
        await call_tool(Fetch(AddressRules([], resolve)), "fetch", url="http://both.example/")


async def test_the_next_address_is_tried_when_one_refuses_the_connection(web: WebServer) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    fetch = Fetch(AddressRules(["two.example"], resolve))
    assert await call_tool(fetch, "fetch", url=f"http://two.example:{web.port}/echo")


@pytest.mark.parametrize("listed", ["localhost", "LOCALHOST.:{port}", "127.0.0.0/8", "127.0.0.1"])
async def test_a_listed_host_is_reached(web: WebServer, listed: str) -> None:
    host = "localhost" if "local" in listed.lower() else "127.0.0.1"
    fetch = Fetch(AddressRules([listed.format(port=web.port)]))
    assert await call_tool(fetch, "fetch", url=f"http://{host}:{web.port}/echo")
    with pytest.raises(BadToolArguments):
        await call_tool(Fetch(AddressRules([f"{host}:1"])), "fetch", url=f"http://{host}:{web.port}/echo")


@pytest.mark.parametrize("entry", ["", "http://x", "a/b", "host:", "host:port"])
def test_a_wrong_entry_of_the_list_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        check_listed(entry)


async def test_an_unknown_name_says_so() -> None:
    with pytest.raises(ToolUnavailable, match=r"nothing.invalid is unknown"):
        await call_tool(Fetch(), "fetch", url="http://nothing.invalid/")


# Limits and faults.


@pytest.mark.parametrize("page", ["bomb", "endless"])
async def test_a_large_answer_ends_at_the_limit(web: WebServer, fetch: Fetch, page: str) -> None:
    """A gzip bomb of 50 MB comes as 50 KB."""
    with pytest.raises(ToolFailed, match="larger than 97 KiB"):
        await call_tool(fetch, "fetch", url=f"{web.url}/{page}")


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip,gzip,gzip", "br", "identity, gzip"])
async def test_an_answer_with_several_codings_is_not_decoded(web: WebServer, fetch: Fetch, coding: str) -> None:
    """Two KB of them could keep the loop for seconds."""
    empty = gzip.compress(gzip.compress(b"x"))
    with pytest.raises(ToolFailed, match="is encoded as"):
        await call_tool(fetch, "fetch", url=web.give("/stacked", empty, Content_Encoding=coding))
    assert (await call_tool(fetch, "response", url=f"{web.url}/echo"))["json"]["headers"]["accept-encoding"] == "gzip"


async def test_an_announced_size_beyond_the_limit_is_not_read(web: WebServer, fetch: Fetch) -> None:
    web.give("/large", b"x", Content_Length="99999999")
    with pytest.raises(ToolFailed, match="larger than"):
        await call_tool(fetch, "fetch", url=f"{web.url}/large")
    assert (await call_tool(fetch, "response", url=f"{web.url}/large", method="HEAD"))["status"] == 200


async def test_an_answer_in_drops_ends_at_the_time_limit(web: WebServer, fetch: Fetch) -> None:
    begun = time.monotonic()
    with pytest.raises(ToolTimeout, match=r"/slow has not answered within 0.3 s"):
        await call_tool(fetch, "fetch", url=f"{web.url}/slow?secret=1", timeout=0.3)
    assert time.monotonic() - begun < 3


async def test_a_server_that_breaks_off_or_does_not_listen(web: WebServer, fetch: Fetch) -> None:
    with pytest.raises(ToolFailed, match="broke off"):
        await call_tool(fetch, "fetch", url=f"{web.url}/broken")
    with pytest.raises(ToolUnavailable, match="cannot be reached"):
        await call_tool(Fetch(AddressRules(["127.0.0.1"])), "fetch", url="http://127.0.0.1:1/")


async def test_what_http_cannot_send_is_told_and_no_query_is_quoted(web: WebServer, fetch: Fetch) -> None:
    with pytest.raises(BadToolArguments, match="X-Name is not ASCII"):
        await call_tool(fetch, "response", url=f"{web.url}/echo", headers={"X-Name": "é"})
    web.give("/odd-place", b"", 302, Location="http://[::x/")
    with pytest.raises(ToolFailed, match="a place that cannot be used"):
        await call_tool(fetch, "fetch", url=f"{web.url}/odd-place")
    with pytest.raises(ToolFailed) as caught:
        await call_tool(fetch, "fetch", url=f"{web.url}/none?key=s3cret")
    assert "/none answered 404" in caught.value.message and "s3cret" not in caught.value.message


async def test_tls_verifies_the_name_at_the_checked_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    pem = certificate(tmp_path, "named.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    fetch = Fetch(AddressRules(["127.0.0.1"], resolve))
    with web_server(tls=pem) as web:
        assert await call_tool(fetch, "fetch", url=f"https://named.example:{web.port}/echo")
        with pytest.raises(ToolUnavailable, match=r"(?i)certificate"):
            await call_tool(fetch, "fetch", url=f"https://other.example:{web.port}/echo")


@pytest.mark.parametrize("headers", [{"Host": "x"}, {"A": "b\r\nC: d"}, {"Content-Length": "9"}, {"": "x"}])
async def test_headers_of_the_connection_and_line_breaks_are_refused(
    fetch: Fetch, web: WebServer, headers: dict[str, str]
) -> None:
    with pytest.raises(BadToolArguments):
        await call_tool(fetch, "fetch", url=f"{web.url}/echo", headers=headers)


async def test_arguments_have_a_schema(fetch: Fetch) -> None:
    for wrong in ({}, {"url": "http://a/", "method": "TRACE"}, {"url": "http://a/", "verify": False}):
        with pytest.raises(ValidationError):
            await call_tool(fetch, "response", **wrong)
    with pytest.raises(BadToolArguments, match="together"):
        await call_tool(fetch, "response", url="http://a/", body="x", json=1)
