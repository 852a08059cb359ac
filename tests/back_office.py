"""A small stand-in for the back office: it tells a list of cameras, and keeps what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class BackOffice:
    """What it answers to a GET and to a POST, where it redirects to, and what it was asked, at `url`."""

    url: str = ""
    told: object = None
    status: int = 200
    location: str = ""
    posted: object = field(default_factory=lambda: {"code": 200, "msg": "OK", "data": None})
    received: list[Received] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.command, request.path, headers, request.rfile.read(length)))
        content = json.dumps(self.told if request.command == "GET" else self.posted).encode()
        request.send_response(self.status)
        request.send_header("Content-Length", str(len(content)))
        if self.location:
            request.send_header("Location", self.location)
        request.end_headers()
        request.wfile.write(content)


@contextmanager
def standing_in() -> Iterator[BackOffice]:
    """One that answers on this machine until the end of the block."""
    office = BackOffice()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            office.answer(self)

        def do_POST(self) -> None:
            office.answer(self)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    office.url = f"http://127.0.0.1:{server.server_port}/api"
    try:
        yield office
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
