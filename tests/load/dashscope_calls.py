"""Ways of calling DashScope side by side: requests sent per call in each failure, CPU per call, connections opened.

`python -m tests.load.dashscope_calls` from the project's root; figures in docs/decisions/0002-dashscope-sdk-call.md.
Everything goes to the bundled simulator, in a process of its own on this machine.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import cv2
import dashscope
import numpy as np
import requests

from assessment.clients import Question, load_client
from assessment.clients.dashscope import messages_of, parameters_for

KEY = "sk-load"
Call = Callable[[], object]


def question() -> Question:
    noise = np.random.default_rng(0).integers(0, 255, (360, 480, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", cv2.GaussianBlur(noise, (5, 5), 0), [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    return Question("qwen-vl-plus", "Answer in JSON.", "a few words " * 60, (jpeg,), "load")


def ways(base_url: str, *, timeout_seconds: float) -> dict[str, Call]:
    """The 1.x call as it is, the 2.0 Client as it is and without retries, and our client."""
    asked = question()
    ours = load_client("dashscope", base_url=base_url)
    plain = dashscope.Client(api_key=KEY, base_url=base_url, timeout=timeout_seconds)
    once = dashscope.Client(api_key=KEY, base_url=base_url, timeout=timeout_seconds, max_retries=0)

    def call_v1() -> object:
        return dashscope.MultiModalConversation.call(
            model=asked.model,
            messages=messages_of(asked),
            api_key=KEY,
            base_address=base_url,
            request_timeout=timeout_seconds,
            **parameters_for(asked.model),
        )

    def call_v2(client: Any) -> object:
        return client.multimodal.chat.create(model=asked.model, messages=messages_of(asked), temperature=0.1)

    return {
        "1.x call": call_v1,
        "2.0 Client": lambda: call_v2(plain),
        "2.0 Client(max_retries=0)": lambda: call_v2(once),
        "ours": lambda: ours.ask(asked, api_key=KEY, timeout_seconds=timeout_seconds),
    }


@contextmanager
def simulator(latency: float) -> Iterator[str]:
    command = [sys.executable, "-m", "assessment.simulator", "--port", "0", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def stats(origin: str) -> tuple[int, int]:
    told = requests.get(f"{origin}/_stats", timeout=5).json()
    return told["requests"], told["connections"]


def show_requests_per_call(origin: str) -> None:
    for kind in ("drop", "rate_limit", "error", "overloaded", "hang"):
        for name, call in ways(f"{origin}/api/v1", timeout_seconds=2).items():
            before = stats(origin)[0]
            requests.post(f"{origin}/_control", json={"reset": True, "faults": [{"kind": kind}]}, timeout=5)
            started = time.monotonic()
            outcome = outcome_of(call)
            seconds = time.monotonic() - started
            print(f"{kind:11} {name:26} {stats(origin)[0] - before} requests {seconds:4.1f} s {outcome}")
    requests.post(f"{origin}/_control", json={"reset": True}, timeout=5)


def outcome_of(call: Call) -> str:
    try:
        return type(call()).__name__
    except Exception as error:  # noqa: BLE001  # whatever it is, its name is what is shown
        return type(error).__name__


def show_cost(origin: str, *, threads: int, calls: int) -> None:
    for name, call in ways(f"{origin}/api/v1", timeout_seconds=30).items():
        call()
        before, cpu, wall = stats(origin), time.process_time(), time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            outcomes = list(pool.map(lambda _number, call=call: outcome_of(call), range(calls)))
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        failed = sum(outcome.endswith(("Error", "Unreachable")) for outcome in outcomes)
        print(
            f"{threads:3} threads {name:26} {calls / wall:5.0f}/s {1000 * cpu / calls:.2f} ms CPU a call, "
            f"{stats(origin)[1] - before[1]} connections opened, {failed} failed"
        )


def main() -> None:
    logging.getLogger("dashscope").setLevel(logging.CRITICAL + 1)
    with simulator(0) as origin:
        show_requests_per_call(origin)
        show_cost(origin, threads=1, calls=1000)
        show_cost(origin, threads=64, calls=3200)
    with simulator(1) as origin:
        show_cost(origin, threads=100, calls=600)


if __name__ == "__main__":
    main()
