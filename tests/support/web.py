"""WebServer: a local HTTP server with the answers that tests of fetch, curl and OpenAPI need. It keeps the requests that it got."""

from __future__ import annotations

import gzip
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Seen(NamedTuple):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class WebServer:
    """`pages` are further answers by path: (status, headers, body)."""

    def __init__(self, address: str, tls: Path | None) -> None:
        self.seen: list[Seen] = []
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self._httpd = ThreadingHTTPServer((address, 0), _handler(self))
        if tls is not None:
            secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            secure.load_cert_chain(tls)
            self._httpd.socket = secure.wrap_socket(self._httpd.socket, server_side=True)
        self.port = int(self._httpd.server_address[1])
        self.host = f"{address}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    def give(self, path: str, value: Any, status: int = 200, **headers: str) -> str:
        """Answer this path with a JSON value, or with bytes as they are. Returns its URL."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        kind = {} if isinstance(value, bytes) else {"Content-Type": "application/json"}
        self.pages[path] = (status, kind | {name.replace("_", "-"): text for name, text in headers.items()}, body)
        return self.url + path

    def serve(self) -> None:
        self._httpd.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()


@contextmanager
def web_server(address: str = "127.0.0.1", *, tls: Path | None = None) -> Iterator[WebServer]:
    """`tls`: a file with a key and its certificate."""
    server = WebServer(address, tls)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)


def certificate(folder: Path, name: str) -> Path:
    """A file with a new key and a certificate for this host name that it signs itself."""
    path = folder / f"{name}.pem"
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    named = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(["openssl", "req", *options, *named, "-keyout", path, "-out", path], check=True, capture_output=True)
    return path


def _handler(server: WebServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(parts.query)
            seen = Seen(self.command, parts.path, query, {k.lower(): v for k, v in self.headers.items()}, body)
            server.seen.append(seen)
            try:
                if parts.path in server.pages:
                    self._send(*server.pages[parts.path])
                elif (answer := getattr(self, "page_" + parts.path.strip("/"), None)) is not None:
                    answer(seen)
                else:
                    self._send(404, {"Content-Type": "text/plain"}, b"nothing here")
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client has left, as many tests want

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def page_echo(self, seen: Seen) -> None:
            value = {
                "method": seen.method,
                "query": seen.query,
                "headers": seen.headers,
                "body": seen.body.decode("utf-8", "replace"),
            }
            self._send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

        def page_redirect(self, seen: Seen) -> None:
            status = int(seen.query.get("status", ["302"])[0])
            self._send(status, {"Location": seen.query["to"][0]}, b"")

        def page_bomb(self, seen: Seen) -> None:
            packed = gzip.compress(b"\0" * 50_000_000)
            self._send(200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, packed)

        def page_endless(self, seen: Seen) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(3000):
                self.wfile.write(b"x" * 65536)

        def page_slow(self, seen: Seen) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)

        def page_broken(self, seen: Seen) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler
