"""An ASGI application that takes its time, to be asked to end meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

from trafficmon.leaving import Leaving


async def answer_slowly(scope: Any, receive: Any, send: Any) -> None:
    print(f"asked for {scope['path']}", flush=True)
    await asyncio.sleep(2)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})


leaving = Leaving()
application = leaving.watch(answer_slowly)
leaving.prepare()
