"""A process that asks through LiteLLM's Router: `var/litellm/bin/python peer.py PLAN.json`.

It runs where LiteLLM is installed and trafficmon is not, and imports nothing of it. As the Router knows no waiting,
what keeps it from asking too much is how many calls are in flight at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

PAUSE_SECONDS = 1.0
"""After an error, before the caller asks the next question: as long as the limit that was met. Without it, a Router
that has no key left is asked in a tight loop."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process does; `settings` are the Router's own, `requests` names a file with a list of requests."""

    requests: str
    api_base: str
    api_keys: Sequence[str]
    calls_a_minute: int
    redis_port: int
    settings: Mapping[str, object]
    number: int
    in_flight: int
    spread_seconds: float
    """Over which its callers begin; all at once they would be refused all at once, again and again."""
    backlog: int
    seconds: float
    timeout_seconds: float
    folder: str
    """Where it says `ready`, waits for `begin` (a moment of the monotonic clock) and leaves its outcomes."""

    def path(self, name: str) -> Path:
        """A file of this process in the folder."""
        return Path(self.folder, f"{name}-{self.number}")

    def begin_path(self) -> Path:
        """The file that all processes wait for."""
        return Path(self.folder, "begin")


@dataclass(frozen=True, slots=True)
class Ended:
    """A question's end: when, how long it had waited until its answer was asked for, and the error, if it was one."""

    at: float
    waited_seconds: float
    error: str = ""


class Asks(Protocol):
    """What is used of LiteLLM's Router."""

    async def acompletion(self, *, model: str, messages: list[Any], **settings: object) -> Any: ...


def main() -> None:
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    outcomes = asyncio.run(_run(plan))
    written = plan.path("writing")
    written.write_text(json.dumps([asdict(each) for each in outcomes]))
    written.rename(plan.path("outcomes"))


async def _run(plan: Plan) -> list[Ended]:
    router = _router(plan)
    requests: list[dict[str, Any]] = json.loads(Path(plan.requests).read_text())
    plan.path("ready").touch()
    begin = await _begin(plan)
    asking = _Asking(router, requests, plan)
    begins = [begin + plan.spread_seconds * caller / plan.in_flight for caller in range(plan.in_flight)]
    await asyncio.gather(*(asking.keep_asking(each, begin + plan.seconds) for each in begins))
    return asking.outcomes


async def _begin(plan: Plan) -> float:
    while not plan.begin_path().exists():
        await asyncio.sleep(0.05)
    return float(plan.begin_path().read_text())


def _router(plan: Plan) -> Asks:
    """A deployment for each key, with the limit that the Router knows: calls in a minute of the clock."""
    os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    deployments = [
        {
            "model_name": "judge",
            "litellm_params": {
                "model": "openai/qwen-vl-plus",
                "api_base": plan.api_base,
                "api_key": key,
                "rpm": plan.calls_a_minute,
            },
        }
        for key in plan.api_keys
    ]
    # Host and port: its documentation finds redis_url slower.
    shared = {"redis_host": "127.0.0.1", "redis_port": plan.redis_port}
    router: Asks = litellm.Router(deployments, **shared, timeout=plan.timeout_seconds, **plan.settings)
    return router


class _Asking:
    """Callers that share a backlog which is always full: whoever takes a question adds another."""

    def __init__(self, router: Asks, requests: Sequence[dict[str, Any]], plan: Plan) -> None:
        self.outcomes: list[Ended] = []
        self._router = router
        self._bodies = _different(requests, plan.number)
        self._backlog = deque([time.monotonic()] * plan.backlog)

    async def keep_asking(self, since: float, until: float) -> None:
        """Answer one question after the other between these moments."""
        await asyncio.sleep(max(0.0, since - time.monotonic()))
        while time.monotonic() < until:
            self._backlog.append(time.monotonic())
            ended = await self._ask(self._backlog.popleft(), next(self._bodies))
            self.outcomes.append(ended)
            if ended.error:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self, created: float, body: dict[str, Any]) -> Ended:
        try:
            answer = await self._router.acompletion(**body)
        except Exception as error:  # noqa: BLE001  # whatever the Router raises is an error to its caller
            return Ended(time.monotonic(), 0.0, type(error).__name__)
        now = time.monotonic()
        took = float(answer._response_ms) / 1000  # of the attempt that was answered
        return Ended(now, now - created - took)


def _different(requests: Sequence[dict[str, Any]], number: int) -> Iterator[dict[str, Any]]:
    """The requests in turn, each with a line that no other has: so a request that is sent twice is seen to be."""
    for turn in count():
        request = requests[turn % len(requests)]
        system, user = request["messages"]
        *pictures, text = user["content"]
        told = {**text, "text": f"{text['text']}\nQuestion {number}-{turn}."}
        yield {**request, "model": "judge", "messages": [system, {**user, "content": [*pictures, told]}]}


if __name__ == "__main__":
    main()
