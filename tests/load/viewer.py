"""An operator's browser for the benchmark: it watches every camera as the wall does, and notes how late each is."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp


@dataclass(frozen=True, slots=True)
class Sight:
    """A frame that reached the browser."""

    camera_id: int
    received_at: float
    """Seconds of the wall clock."""
    age_seconds: float
    """From the capture of its picture to the moment it was received."""


@dataclass(slots=True)
class Viewer:
    """A thread with a WebSocket to `address`, open until `stop`; pictures come in the messages, as to the wall."""

    address: str
    session_key: str
    sights: list[Sight] = field(default_factory=list)
    connections: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _error: Exception | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(10)

    def check(self) -> None:
        """Raise RuntimeError where it watches no more: what it then saw would be taken for all there was."""
        if self._thread and not self._thread.is_alive():
            raise RuntimeError("the viewer has ended") from self._error

    def since(self, moment: float) -> list[Sight]:
        """The frames received from `moment` on."""
        return [sight for sight in self.sights if sight.received_at >= moment]

    def _run(self) -> None:
        try:
            asyncio.run(self._watch())
        except Exception as error:  # noqa: BLE001  # the thread's outermost loop: `check` tells of it
            self._error = error

    async def _watch(self) -> None:
        headers = {"Cookie": f"sessionid={self.session_key}", "Origin": self.address}
        async with aiohttp.ClientSession(headers=headers) as browser:
            while not self._stop.is_set():
                self.connections += 1
                async with browser.ws_connect(f"{self.address}/ws", max_msg_size=0) as socket:
                    await socket.send_json({"type": "subscribe", "data": {"pictures": "binary"}})
                    await self._listen(socket)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while not self._stop.is_set():
            try:
                message = await socket.receive(timeout=1)
            except TimeoutError:
                continue
            if message.type is aiohttp.WSMsgType.BINARY:
                self._note(message.data)
            elif message.type is not aiohttp.WSMsgType.TEXT:
                return

    def _note(self, message: bytes) -> None:
        now = time.time()
        length = int.from_bytes(message[:4], "big")
        shown = json.loads(message[4 : 4 + length])["data"]
        age = now - datetime.fromisoformat(shown["timestamp"]).timestamp()
        self.sights.append(Sight(shown["cameraId"], now, age))


def percentiles(ages: Sequence[float]) -> dict[str, float | None]:
    """p50, p95 and p99 of these, None where there are none."""
    ranked = sorted(ages)
    return {
        f"p{share}": round(ranked[min(len(ranked) * share // 100, len(ranked) - 1)], 3) if ranked else None
        for share in (50, 95, 99)
    }
