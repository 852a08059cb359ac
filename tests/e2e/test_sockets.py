"""The WebSocket as other programs meet it: over plain sockets, signed in or not, fast or slow."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from cameras.frames import FrameStore, connect_redis
from cameras.models import Camera
from tests.e2e.conftest import Server
from tests.factories import record
from trafficmon.accounts.models import User
from trafficmon.core.clock import utc_now
from trafficmon.live import publish

pytestmark = pytest.mark.e2e

CLOSE_CODE = """() => new Promise((resolve) => {
  new WebSocket(`ws://${location.host}/ws`).onclose = (event) => resolve(event.code);
})"""
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


class PlainSocket:
    """As much of RFC 6455 as a reader needs."""

    def __init__(self, server: Server, cookie: str = "", *, query: str = "", receive_buffer: int = 0) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(60)
        self.sock.connect(("127.0.0.1", server.port))
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET /ws{query} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nOrigin: {server.address}\r\n"
            f"Cookie: {cookie}\r\n\r\n"
        )
        self.sock.sendall(head.encode())
        self.stream = self.sock.makefile("rb")
        self.status = self.stream.readline().split(b" ")[1].decode()
        while self.stream.readline().strip():
            pass

    def read(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload; the server sends none in parts."""
        first, second = self.stream.read(2)
        length = second & 0x7F
        if length >= 126:
            size, code = (2, ">H") if length == 126 else (8, ">Q")
            (length,) = struct.unpack(code, self.stream.read(size))
        return first & 0x0F, self.stream.read(length)

    def messages(self) -> Iterator[dict[str, object]]:
        while True:
            opcode, payload = self.read()
            if opcode == TEXT:
                yield json.loads(payload)


@contextmanager
def opened(server: Server, cookie: str = "", *, query: str = "", receive_buffer: int = 0) -> Iterator[PlainSocket]:
    plain = PlainSocket(server, cookie, query=query, receive_buffer=receive_buffer)
    try:
        yield plain
    finally:
        plain.stream.close()
        plain.sock.close()


def test_anonymous_is_told_to_sign_in_and_closed(server: Server) -> None:
    with opened(server) as plain:
        [(said, text), (closed, payload)] = [plain.read(), plain.read()]
    assert (said, json.loads(text)["data"]["message"]) == (TEXT, "Sign in first.")
    assert (closed, struct.unpack(">H", payload[:2])) == (CLOSE, (4401,))


def test_page_can_read_why_it_was_refused(page: Page, server: Server) -> None:
    page.goto("/login/")
    assert page.evaluate(CLOSE_CODE) == 4401


def test_program_with_a_session_gets_the_contracts_messages(
    server: Server, operator: User, camera: Camera, sign_in: Callable[[User], str]
) -> None:
    row = record(camera, captured_at=utc_now())
    FrameStore(connect_redis()).put(row.frame_key, b"\xff\xd8jpeg")
    publish.publish_frame(row)
    with opened(server, f"sessionid={sign_in(operator)}") as plain:
        first = []
        for message in plain.messages():
            first.append(message)
            if message["type"] == "detection_result":
                break
    told = ["connection_ack", "camera_list", "load", "camera_status", "detection_result"]
    assert [each["type"] for each in first] == told


def test_message_larger_than_any_request_is_refused(
    server: Server, operator: User, sign_in: Callable[[User], str]
) -> None:
    with opened(server, f"sessionid={sign_in(operator)}") as plain:
        payload = b" " * 20_000
        plain.sock.sendall(frame(payload))
        said = next(message for message in plain.messages() if message["type"] == "error")
    assert said["data"] == {
        "code": "unreadable",
        "message": "The message is too long; send at most 16384 characters.",
    }


def say_until_the_end(plain: PlainSocket, said: bytes) -> None:
    """Raises what ends the connection; nothing may be answered."""
    plain.sock.sendall(said)
    for message in plain.messages():
        assert message["type"] != "error"


def test_message_of_more_than_a_mebibyte_in_parts_is_not_taken_in(
    server: Server, operator: User, sign_in: Callable[[User], str]
) -> None:
    half = struct.pack(">Q", 800_000) + b"\0" * 800_004
    with opened(server, f"sessionid={sign_in(operator)}") as plain:
        # Something was sent, for which the limit was another.
        assert next(plain.messages())["type"] == "connection_ack"
        with pytest.raises((ConnectionError, ValueError)):  # reset, or its end
            say_until_the_end(plain, b"\x02\xff" + half + b"\x80\xff" + half)


def test_what_a_client_says_waits_with_the_client_until_it_is_heeded(
    server: Server, operator: User, camera: Camera, sign_in: Callable[[User], str]
) -> None:
    """A client that says more than is heeded cannot go on: nothing of it piles up in the server."""
    cookie = f"sessionid={sign_in(operator)}"
    # Each is work, since pictures are wanted in another form than before.
    frames = b"".join(map(frame, [subscription(camera, "url"), subscription(camera, "none")]))
    with opened(server, cookie, query="?pictures=none") as plain:
        assert next(plain.messages())["type"] == "connection_ack"
        plain.sock.settimeout(0.5)
        before = memory_of(server)
        with pytest.raises(TimeoutError):
            plain.sock.sendall(frames * 10_000)
        assert memory_of(server) < before + 40_000_000
    with opened(server, cookie) as other:
        assert next(other.messages())["type"] == "connection_ack"


def subscription(camera: Camera, pictures: str) -> bytes:
    """As long as such a message may be."""
    wanted = {"cameraIds": [camera.pk] * 1000, "framesOf": [camera.pk] * 1000, "pictures": pictures}
    return json.dumps({"type": "subscribe", "data": wanted}).encode()


def frame(text: bytes) -> bytes:
    """A masked text frame."""
    return bytes([0x81, 0x80 | 126]) + struct.pack(">H", len(text)) + b"\0\0\0\0" + text


def memory_of(server: Server) -> int:
    """What the server's process takes, in bytes."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_client_that_stops_reading_gets_the_newest_frame_and_no_backlog(
    server: Server, operator: User, camera: Camera, sign_in: Callable[[User], str]
) -> None:
    picture = b"\xff\xd8" + os.urandom(200_000)
    cookie = f"sessionid={sign_in(operator)}"
    with opened(server, cookie, query="?pictures=binary", receive_buffer=65_536) as plain:
        assert next(plain.messages())["type"] == "connection_ack"
        newest = ""
        for number in range(60):
            row = record(camera, captured_at=utc_now() + timedelta(milliseconds=number))
            newest = row.frame_key
            FrameStore(connect_redis()).put(newest, picture)
            publish.publish_frame(row)
            time.sleep(0.02)
        received: list[str] = []
        while newest not in received:
            opcode, payload = plain.read()
            if opcode == BINARY:
                length = int.from_bytes(payload[:4], "big")
                received.append(json.loads(payload[4 : 4 + length])["data"]["frameKey"])
    assert received[-1] == newest
    assert len(received) <= 15


def test_picture_larger_than_a_mebibyte_is_sent(
    server: Server, operator: User, camera: Camera, sign_in: Callable[[User], str]
) -> None:
    row = record(camera, captured_at=utc_now())
    FrameStore(connect_redis()).put(row.frame_key, b"\xff\xd8" + os.urandom(1_500_000))
    publish.publish_frame(row)
    with opened(server, f"sessionid={sign_in(operator)}", query="?pictures=binary") as plain:
        opcode, payload = plain.read()
        while opcode == TEXT:
            opcode, payload = plain.read()
    assert (opcode, len(payload) > 1_500_000) == (BINARY, True)
