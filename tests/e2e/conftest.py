"""A real daphne on the test database and Redis, and a real browser that tolerates no error on its console."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from cameras.frames import FrameStore, connect_redis
from cameras.models import Camera, CameraGroup, StreamState
from tests.factories import make_camera
from tests.processes import database_url
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
START_SECONDS = 240.0
LONGEST_MS = 60_000
"""How long a page may take to show what is expected; a busy machine draws slowly."""
FRONT_END = "http://localhost:8099"
"""The origin of a front end elsewhere, which the server allows; nobody listens there, tests play its page."""

expect.set_options(timeout=20_000)  # a machine that does much else is slow, and what is slow is not wrong


@pytest.fixture(autouse=True)
def tables_and_redis(transactional_db: None, redis_client: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed rows, as the server reads them; Playwright's loop would otherwise keep Django from its database."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


@dataclass(frozen=True, slots=True)
class Server:
    """A running web process."""

    address: str
    port: int
    log: Path
    pid: int


@pytest.fixture(scope="session")
def server(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The web process of the product, as the fleet starts it."""
    with django_db_blocker.unblock():
        database = database_url()
    port = _free_port()
    log = tmp_path_factory.mktemp("server") / "daphne.log"
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "trafficmon.asgi:application"]
    told = {"DATABASE_URL": database, "ALGO_WS_HEARTBEAT_SECONDS": "1", "ALGO_CORS_ORIGINS": FRONT_END}
    environment = os.environ | told
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}", process, log)
        yield Server(f"http://127.0.0.1:{port}", port, log, process.pid)
    finally:
        process.terminate()
        process.wait(120)
    said = log.read_text(errors="replace")
    # That somebody takes out a key is told as loudly as that a provider does.
    assert "level=error" not in said.replace("level=error event=pool.taken_out", ""), said
    assert "Traceback" not in said, said


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api/health/health_check", timeout=5).close()  # noqa: S310  # our own
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one module: while it lives its event loop runs in this thread, where no other could."""
    expect.set_options(timeout=LONGEST_MS)
    with sync_playwright() as playwright:
        # The page of a front end elsewhere, which tests play, counts as one of the internet: it may ask this machine.
        arguments = ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, server: Server) -> Iterator[BrowserContext]:
    screen: Any = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", "timezone_id": "Asia/Kolkata"}
    with chromium.new_context(base_url=server.address, **screen) as made:
        yield made


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of; a test that expects some takes them out."""
    return []


@pytest.fixture
def page(context: BrowserContext, server: Server, complaints: list[str]) -> Iterator[Page]:
    """A page that fails its test on any console error, refused resource, uncaught exception or request to another
    host."""
    opened = context.new_page()
    opened.on("request", lambda asked: complaints.extend(foreign(asked.url, server)))
    opened.on("websocket", lambda asked: complaints.extend(foreign(asked.url, server)))
    opened.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.set_default_timeout(LONGEST_MS)
    yield opened
    assert complaints == []
    opened.close()


def foreign(address: str, server: Server) -> list[str]:
    """A complaint about an address that is neither the server's nor of the front end that tests play."""
    asked = urlsplit(address)
    ours = {urlsplit(server.address).netloc, urlsplit(FRONT_END).netloc}
    return [f"another host was asked: {address}"] if asked.netloc and asked.netloc not in ours else []


@pytest.fixture
def operator() -> User:
    return make_user(Role.OPERATOR)


def make_user(role: Role) -> User:
    """Somebody who may see the cameras of the group `Streets`."""
    user = User.objects.create_user(str(role), password="a long password", role=role)
    group, _created = CameraGroup.objects.get_or_create(name="Streets")
    group.viewers.add(user)
    return user


@pytest.fixture
def sign_in(context: BrowserContext, server: Server) -> Callable[[User], str]:
    """Give the browser a session of the user; the session's key."""

    def give(user: User) -> str:
        client = Client()
        client.force_login(user)
        key = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": key, "url": server.address}])
        return key

    return give


@pytest.fixture
def camera() -> Camera:
    group, _created = CameraGroup.objects.get_or_create(name="Streets")
    return make_camera(name="Junction", group=group, state=StreamState.ONLINE, state_since=utc_now())


def keep_picture(frame_key: str) -> None:
    """A plain grey picture for the frame, and for its first group."""
    picture = np.full((720, 1280, 3), 128, np.uint8)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    for key in (frame_key, f"{frame_key}:1"):
        FrameStore(connect_redis()).put(key, jpeg)
