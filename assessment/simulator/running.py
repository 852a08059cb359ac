"""A simulator inside this process, in a thread with its own loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import requests
from aiohttp import web

from assessment.simulator.server import CapturedRequest, Simulator, SimulatorOptions

START_SECONDS = 10.0
BACKLOG = 2048
"""Connections that may wait to be accepted: with too few, what is sent on one arrives seconds late."""


class RunningSimulator:
    """A started simulator; `base_url` is what a client is given."""

    def __init__(self, options: SimulatorOptions) -> None:
        self._loop = asyncio.new_event_loop()
        self._simulator = Simulator(replace(options, die=self._die))
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._started = threading.Event()
        self._stopping = asyncio.Event()
        self.port = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What DashScopeClient takes: the origin with `/api/v1`."""
        return f"{self.origin}/api/v1"

    @property
    def captured(self) -> deque[CapturedRequest]:
        """The latest requests, as many as the option `keep_requests` says."""
        return self._simulator.captured

    def start(self) -> None:
        """Return once it listens, on `port`; raises TimeoutError after START_SECONDS."""
        self._thread.start()
        if not self._started.wait(START_SECONDS):
            raise TimeoutError("the simulator did not start")

    def stop(self) -> None:
        """End it and wait for that, START_SECONDS at most."""
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(START_SECONDS)

    def control(self, **order: Any) -> None:
        """Tell it over HTTP, as from outside: `kind="rate_limit", count=3`, or `latency=...`, `faults=[...]`."""
        response = requests.post(f"{self.origin}/_control", json=order, timeout=5)
        response.raise_for_status()

    def stats(self) -> dict[str, Any]:
        """What `GET /_stats` tells, without asking over HTTP."""
        return self._simulator.counts.told()

    def close_connections(self) -> None:
        """Close those that are open, as servers do with what is idle."""
        self._loop.call_soon_threadsafe(self._simulator.close_connections)

    def _die(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        runner = web.AppRunner(
            self._simulator.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=BACKLOG)
        await site.start()
        self.port = runner.addresses[0][1]
        self._started.set()
        await self._stopping.wait()
        await runner.cleanup()


@contextmanager
def running_simulator(**options: Any) -> Iterator[RunningSimulator]:
    """A simulator on a free port of this machine with these SimulatorOptions, stopped at the end."""
    simulator = RunningSimulator(SimulatorOptions(**options))
    simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()
