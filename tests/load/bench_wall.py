"""A wall that is watched: `make bench-wall ARGS="--cameras 50 --seconds 300"`.

A real Chromium shows the wall on a screen of 1920 x 1080 while `--cameras` publish as in bench_live. At intervals,
after garbage is collected, it is asked for its heap, its nodes and listeners, and the time its main thread has worked.
One JSON line comes last: a wall that is watched all day must not grow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.load.bench_live import Publisher, prepare, wait
from tests.load.fleet import Fleet, prepare_environment, running_web

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SETTLE_SECONDS = 20.0
SCREEN: Any = {"width": 1920, "height": 1080}
LIVE = "document.querySelectorAll('.tile[data-live=live]').length"


def main() -> None:
    options = _parser().parse_args()
    with ExitStack() as pool:
        folder = Path(pool.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        prepare_environment(folder / "run", "none", burst_detections=1, pool=pool)
        session_key, publisher = prepare(options.cameras, options.interval)
        fleet = pool.enter_context(running_web(folder / "run"))
        publisher.start()
        pool.callback(publisher.stop)
        # Playwright's loop runs in this thread, where Django lets nobody ask its database: all of that was before.
        browser = pool.enter_context(sync_playwright()).chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        pool.callback(browser.close)
        context = browser.new_context(viewport=SCREEN, base_url=fleet.address)
        context.add_cookies([{"name": "sessionid", "value": session_key, "url": fleet.address}])
        figures = _watch(context.new_page(), fleet, publisher, options)
    print(json.dumps({"cameras": options.cameras, "interval_seconds": options.interval} | figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--interval", type=float, default=1.8, help="seconds between frames of a camera")
    parser.add_argument("--seconds", type=float, default=300.0, help="measured, after the wall has settled")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two looks at the heap")
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS)
    return parser


def _watch(page: Page, fleet: Fleet, publisher: Publisher, options: argparse.Namespace) -> dict[str, Any]:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/")
    asked = page.context.new_cdp_session(page)
    asked.send("Performance.enable")
    wait_and_serve = _waiting(page, fleet, publisher)
    wait_and_serve(options.settle)
    looks = [_look(asked)]
    while looks[-1]["at"] - looks[0]["at"] < options.seconds:
        wait_and_serve(options.every)
        looks.append(_look(asked))
    live = page.evaluate(LIVE)
    page.close()
    return {"live_tiles": live, "complaints": complaints} | _figures(looks)


def _waiting(page: Page, fleet: Fleet, publisher: Publisher) -> Callable[[float], None]:
    """Waits so that Playwright goes on hearing of its page."""

    def wait_and_serve(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            page.wait_for_timeout(min(500, max(1_000 * (until - time.monotonic()), 1)))
            wait(fleet, publisher, 0)

    return wait_and_serve


def _look(asked: Any) -> dict[str, float]:
    """The page's own figures, once what nothing refers to is gone."""
    asked.send("HeapProfiler.collectGarbage")
    told = {each["name"]: each["value"] for each in asked.send("Performance.getMetrics")["metrics"]}
    return {"at": time.monotonic()} | told


def _figures(looks: list[dict[str, float]]) -> dict[str, Any]:
    first, last = looks[0], looks[-1]
    seconds = last["at"] - first["at"]
    heaps = [each["JSHeapUsedSize"] / 1_000_000 for each in looks]
    slope = statistics.linear_regression([each["at"] / 60 for each in looks], heaps).slope if len(looks) > 2 else 0.0
    return {
        "seconds": round(seconds, 1),
        "main_thread_share": round((last["TaskDuration"] - first["TaskDuration"]) / seconds, 3),
        "script_share": round((last["ScriptDuration"] - first["ScriptDuration"]) / seconds, 3),
        "heap_mb": [round(heap, 2) for heap in heaps],
        "heap_slope_mb_per_minute": round(slope, 3),
        "nodes": [int(first["Nodes"]), int(last["Nodes"])],
        "listeners": [int(first["JSEventListeners"]), int(last["JSEventListeners"])],
    }


if __name__ == "__main__":
    main()
