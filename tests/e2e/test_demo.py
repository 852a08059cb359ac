"""The demo as a newcomer sees it: one command, a sign-in, a verdict on the feed, and Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from workers.runtime import free_port

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
PASSWORD = "known-to-the-test-1"
READY_SECONDS, STOP_SECONDS = 300, 60


@dataclass(frozen=True, slots=True)
class Demo:
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def stop(self) -> None:
        """Ctrl-C, after which it must end in time."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(STOP_SECONDS)


def demo_environment(folder: Path, port: int) -> dict[str, str]:
    dropped = ("ALGO_", "DASHSCOPE", "DATABASE_URL", "REDIS_URL", "DJANGO_", "TRAFFICMON_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {
        "ALGO_DEMO": "1",
        "ALGO_RUN_DIR": str(folder),
        "ALGO_MEDIA_ROOT": str(folder / "media"),
        "ALGO_SERVER_PORT": str(port),
        "ALGO_FLOWER_PORT": str(free_port()),
        "DEMO_PASSWORD": PASSWORD,
    }


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    port = free_port()
    log = tmp_path / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo"],
            cwd=ROOT,
            env=demo_environment(tmp_path, port),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Demo(process, f"http://127.0.0.1:{port}", log)
    try:
        _wait_until_ready(running)
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def _wait_until_ready(demo: Demo) -> None:
    until = time.monotonic() + READY_SECONDS
    while f"Ready: {demo.url}" not in demo.log.read_text(errors="replace"):
        assert demo.process.poll() is None, demo.log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < until, demo.log.read_text(errors="replace")[-3000:]
        time.sleep(0.2)


async def _watch(demo: Demo) -> set[str]:
    """Sign in and listen until a picture, a traffic group and a verdict were seen."""
    wanted, seen = {"picture", "group", "verdict"}, set[str]()
    async with aiohttp.ClientSession(demo.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        page = await (await browser.get("/login/")).text()
        token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[0]
        form = {"username": "operator", "password": PASSWORD, "csrfmiddlewaretoken": token}
        await browser.post("/login/", data=form, headers={"Referer": f"{demo.url}/login/"})
        async with browser.ws_connect("/ws", headers={"Origin": demo.url}) as socket:
            async for frame in socket:
                seen |= _seen_in(frame.json())
                if seen >= wanted:
                    return seen
    return seen


def _seen_in(message: dict[str, object]) -> set[str]:
    found: dict[str, object] = message["data"] if isinstance(message["data"], dict) else {}
    if message["type"] == "detection_result":
        picture = str(found["frame"]).startswith("data:image/jpeg;base64,/9j/") and found["detectedObjects"]
        return {name for name, there in (("picture", picture), ("group", found["trafficGroups"])) if there}
    return {"verdict"} if found.get("assessmentStatus") == "done" else set()


def _left_behind(folder: Path) -> list[str]:
    """Command lines of processes whose environment names the demo's folder."""
    marker, found = f"ALGO_RUN_DIR={folder}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


async def test_demo_shows_a_verdict_and_ends_with_ctrl_c_leaving_nothing(demo: Demo, tmp_path: Path) -> None:
    assert await asyncio.wait_for(_watch(demo), 180) == {"picture", "group", "verdict"}
    demo.stop()
    assert _left_behind(tmp_path) == []
    errors = re.findall(r"^.*(?:level=(?:error|critical)|Traceback|database is locked).*$", demo.log.read_text(), re.M)
    assert errors == []


def test_demo_with_a_wrong_configuration_is_sentences_and_no_traceback(tmp_path: Path) -> None:
    environment = demo_environment(tmp_path, free_port()) | {"ALGO_FRAME_INTERVAL": "often", "ALGO_LANGUAGE": "fr"}
    ended = subprocess.run(
        [sys.executable, "manage.py", "demo"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    lines = ended.stderr.splitlines()
    assert (ended.returncode, lines[0]) == (1, "The configuration is wrong:")
    assert [line.split(":")[0] for line in lines[1:]] == ["ALGO_FRAME_INTERVAL", "ALGO_LANGUAGE"]
