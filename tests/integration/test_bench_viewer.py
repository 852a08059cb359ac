"""The browser that the load benchmark watches with: one that has ended is no browser that saw nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web

from tests.capturing import wait_until
from tests.load.viewer import Viewer
from workers.runtime import free_port

pytestmark = pytest.mark.integration


@contextmanager
def serving(port: int) -> Iterator[threading.Event]:
    """A feed that says nothing; once the event is set, a viewer is connected."""
    over, connected = threading.Event(), threading.Event()

    async def feed(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connected.set()
        async for _message in socket:
            pass
        return socket

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/ws", feed)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        while not over.is_set():
            await asyncio.sleep(0.05)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield connected
    finally:
        over.set()
        thread.join(10)


def has_ended(viewer: Viewer) -> bool:
    try:
        viewer.check()
    except RuntimeError:
        return True
    return False


def test_viewer_whose_server_has_gone_is_an_error() -> None:
    port = free_port()
    viewer = Viewer(f"http://127.0.0.1:{port}", "session")
    with serving(port) as connected:
        viewer.start()
        assert connected.wait(10)
        assert not has_ended(viewer)
    wait_until(lambda: has_ended(viewer))
    with pytest.raises(RuntimeError, match="the viewer has ended") as told:
        viewer.check()
    assert isinstance(told.value.__cause__, OSError)


def test_viewer_that_cannot_connect_is_an_error() -> None:
    viewer = Viewer(f"http://127.0.0.1:{free_port()}", "session")
    viewer.start()
    wait_until(lambda: has_ended(viewer))
