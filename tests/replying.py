"""A server that sends one reply, byte for byte as told, and no other."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server of one reply sends, and how slowly."""

    status: str
    body: str
    headers: tuple[str, ...]
    pause: float


@contextmanager
def replying(
    status: str, body: str, *headers: str, pause: float = 0.0, certificate: Path | None = None
) -> Iterator[str]:
    """A server of one reply, byte for byte; a base URL to ask it at."""
    reply = Reply(status, body, headers, pause)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_reply_once, args=(listening, reply, certificate), daemon=True)
        thread.start()
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{listening.getsockname()[1]}/api/v1"
        thread.join(10)


def _reply_once(listening: socket.socket, reply: Reply, certificate: Path | None) -> None:
    with suppress(OSError):  # the client gives up, as it should
        connection, _peer = listening.accept()
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            connection = context.wrap_socket(connection, server_side=True)
        with connection:
            _read_request(connection)
            _send(connection, reply)


def _send(connection: socket.socket, reply: Reply) -> None:
    content = reply.body.encode()
    length = f"Content-Length: {len(content)}"
    for line in (f"HTTP/1.1 {reply.status}", "Content-Type: application/json", length, *reply.headers, ""):
        connection.sendall(f"{line}\r\n".encode())
        time.sleep(reply.pause)  # the server's slowness is what is tested
    connection.sendall(content)


def _read_request(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, rest = received.partition(b"\r\n\r\n")
    (length,) = (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(rest) < length:
        rest += connection.recv(65_536)
