"""An ASGI application that answers once the file ANSWER_WHEN is there, to be asked to end meanwhile."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from trafficmon.leaving import Leaving


async def answer_slowly(scope: Any, receive: Any, send: Any) -> None:
    print(f"asked for {scope['path']}", flush=True)
    while not Path(os.environ["ANSWER_WHEN"]).exists():
        await asyncio.sleep(0.05)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})


leaving = Leaving()
application = leaving.watch(answer_slowly)
leaving.prepare()
