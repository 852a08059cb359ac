"""Browsers' worth of WebSocket clients in a process of their own: what they receive, and when.

`python -m tests.load.live_clients ADDRESS SESSION --clients N --query QUERY` reads until its input is closed, then
prints one JSON object: `received`, a list of [frame key, seconds of the wall clock] over all clients, and how many
messages and bytes there were. Only the frame's key is looked at: what browsers do with it is none of the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

FRAME_KEY = re.compile(rb'"frameKey":"([^"]+)"')
_KEY_WITHIN = 4_000_000


@dataclass(slots=True)
class Received:
    """What all clients of this process have received."""

    frames: list[tuple[str, float]] = field(default_factory=list)
    messages: int = 0
    size: int = 0

    def note(self, content: bytes) -> None:
        now = time.time()
        self.messages += 1
        self.size += len(content)
        found = FRAME_KEY.search(content, 0, _KEY_WITHIN)
        if found:
            self.frames.append((found[1].decode(), now))


async def _watch(address: str, session_key: str, query: str, received: Received) -> None:
    headers = {"Cookie": f"sessionid={session_key}", "Origin": address}
    async with (
        aiohttp.ClientSession(headers=headers) as browser,
        browser.ws_connect(f"{address}/ws?{query}", max_msg_size=0) as socket,
    ):
        async for message in socket:
            content = message.data
            received.note(content.encode() if isinstance(content, str) else content)


async def _watch_until_told(options: argparse.Namespace) -> Received:
    received = Received()
    watching = [
        asyncio.create_task(_watch(options.address, options.session_key, options.query, received))
        for _client in range(options.clients)
    ]
    told = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    ended, _waiting = await asyncio.wait([told, *watching], return_when=asyncio.FIRST_COMPLETED)
    if told not in ended:
        raise RuntimeError("a client was disconnected: what the others received would be taken for all")
    for each in watching:
        each.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    return received


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("session_key")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--query", default="pictures=inline")
    received = asyncio.run(_watch_until_told(parser.parse_args()))
    print(json.dumps({"received": received.frames, "messages": received.messages, "bytes": received.size}))


class Clients:
    """The process of clients, as the bench that started it sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def stop(self) -> dict[str, Any]:
        """End them; what they received. Raises RuntimeError where one was disconnected before."""
        said, _nothing = self._process.communicate("")
        if self._process.returncode:
            raise RuntimeError("the clients failed: see above")
        figures: dict[str, Any] = json.loads(said)
        return figures


@contextmanager
def running_clients(address: str, session_key: str, *, clients: int, query: str) -> Iterator[Clients]:
    """Clients in a process of their own, so that what they do takes no time of who publishes."""
    command = [sys.executable, "-m", "tests.load.live_clients", address, session_key]
    options = ["--clients", str(clients), "--query", query]
    process = subprocess.Popen([*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Clients(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
