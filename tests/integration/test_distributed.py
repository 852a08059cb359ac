"""The distributed layout as it is shipped, on one machine: two of each process behind nginx, PostgreSQL, Prometheus.

It takes minutes of both cores: everything is started once and looked at from all sides (`make rehearsal`).
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import yaml
from playwright.sync_api import Page, expect, sync_playwright

from assessment.risk import RiskLevel
from tests.deployment.servers import (
    NOT_INSTALLED,
    ROOT,
    Prometheus,
    are_installed,
    make_secrets,
    running_nginx,
    running_prometheus,
)
from tests.e2e.conftest import CHROMIUM, LONGEST_MS
from tests.e2e.test_lost_cameras import keep_screenshot
from tests.fleet_host import PATIENCE, Host, running_host
from tests.integration.test_metrics import CONTRACT
from tests.processes import wait_until
from tests.rtsp_camera import is_continuous_integration
from tests.servers import postgres_folder

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not os.environ.get("REHEARSAL"), reason="it takes minutes of both cores: make rehearsal"),
    pytest.mark.skipif(
        (not are_installed() or postgres_folder() is None) and not is_continuous_integration(), reason=NOT_INSTALLED
    ),
]
PASSWORD = "known-to-the-test-1"
EXCHANGED = ("web", "detection", "assessment")
MOST_ROUNDS, STANDSTILL_SECONDS = 5, 3.0
LAYOUT = "web=2,capture=2,detection=2,assessment=2,flower=0"
PREPARE = f"""
from cameras.models import Camera
from trafficmon.accounts.models import User
from assessment.models import ModelPrice
User.objects.create_superuser("operator", password="{PASSWORD}", role="administrator")
ModelPrice.objects.create(model="qwen-vl-plus", input_price=1, output_price=2)
for number, street in enumerate(("junction", "avenue"), 1):
    Camera.objects.create(name=f"Street {{number}}", source=f"street://{{street}}?seed={{number}}", wanted="running")
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """What runs, and by which addresses it is reached."""

    host: Host
    proxy: str
    tls: ssl.SSLContext
    prometheus: Prometheus
    seconds: float
    """In which the fleet has started."""


@pytest.fixture
def layout() -> Iterator[Layout]:
    with running_host(ALGO_BEHIND_TLS="true", ALGO_FLEET_PROCESSES=LAYOUT) as host:
        secrets = make_secrets(host.folder / "secrets")
        del host.environment["ALGO_SECRET_KEY"], host.environment["ALGO_FIELD_KEY"]
        for name in ("secret_key", "field_key", "metrics_token"):
            host.environment[f"ALGO_{name.upper()}_FILE"] = str(secrets / name)
        host.succeed("migrate", "--verbosity", "0")
        host.succeed("shell", "-c", PREPARE)
        web = f"127.0.0.1:{host.environment['ALGO_SERVER_PORT']}"
        metrics = f"127.0.0.1:{host.environment['ALGO_METRICS_PORT']}"
        with (
            started(host) as seconds,
            running_nginx(host.folder / "nginx", web=web, tls=secrets) as proxy,
            running_prometheus(
                host.folder / "prometheus", host=metrics, web=web, token=secrets / "metrics_token"
            ) as prometheus,
        ):
            tls = ssl.create_default_context(cafile=str(secrets / "tls.crt"))
            yield Layout(host, proxy, tls, prometheus, seconds)


@contextmanager
def started(host: Host) -> Iterator[float]:
    began = time.monotonic()
    with host.fleet():
        yield time.monotonic() - began


async def watch(layout: Layout) -> set[str]:
    """What a browser sees through the proxy: it signs in, opens the WebSocket, and fetches a frame's picture."""
    seen, wanted = set[str](), {"picture", "verdict", "media"}
    connector = aiohttp.TCPConnector(ssl=layout.tls)
    async with aiohttp.ClientSession(layout.proxy, connector=connector) as browser:
        page = await (await browser.get("/login/")).text()
        [token, *_] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        form = {"username": "operator", "password": PASSWORD, "csrfmiddlewaretoken": token}
        wall = await browser.post("/login/", data=form, headers={"Referer": f"{layout.proxy}/login/"})
        assert (wall.status, wall.url.path) == (200, "/")
        assert wall.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        assert (await browser.get("/metrics")).status == 404
        async with browser.ws_connect("/ws?pictures=url", headers={"Origin": layout.proxy}) as socket:
            async for message in socket:
                told = message.json()
                if told["type"] == "detection_result":
                    seen.add("picture")
                    if told["data"]["frame"].startswith("/frames/"):
                        picture = await browser.get(told["data"]["frame"])
                        seen |= {"media"} if (await picture.read())[:2] == b"\xff\xd8" else set()
                if told["data"].get("assessmentStatus") == "done":
                    seen.add("verdict")
                if seen >= wanted:
                    break
    return seen


@contextmanager
def wall_of(layout: Layout) -> Iterator[Page]:
    """The wall in a real browser, which comes by the proxy and signs in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(
            base_url=layout.proxy, ignore_https_errors=True, viewport={"width": 1280, "height": 900}
        )
        page.set_default_timeout(LONGEST_MS)
        page.goto("/")
        page.locator("input[name=username]").fill("operator")
        page.locator("input[name=password]").fill(PASSWORD)
        page.keyboard.press("Enter")
        yield page
        browser.close()


def see_the_streets(page: Page) -> None:
    """Both streets are live on it, with boxes, and judged."""
    expect.set_options(timeout=LONGEST_MS)
    expect(page.locator("#link[data-state=connected]")).to_have_count(1)
    expect(page.locator(".tile[data-live=live] canvas[data-boxes]")).to_have_count(2)
    expect(page.locator(f".tile .risk:is({', '.join(f'[data-level={level}]' for level in RiskLevel)})")).to_have_count(
        2
    )


@dataclass(slots=True)
class Knocking:
    """Asks the proxy again and again how the service is; what was not answered well."""

    layout: Layout
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    longest_gap: float = 0.0
    """Seconds in which this thread, and so everything, did not come to its turn."""
    over: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def knock(self) -> None:
        looked = time.monotonic()
        while not self.over.wait(0.1):
            self.longest_gap, looked = max(self.longest_gap, time.monotonic() - looked), time.monotonic()
            self.asked += 1
            try:
                address = f"{self.layout.proxy}/health/health_check"
                urllib.request.urlopen(address, timeout=30, context=self.layout.tls).close()  # noqa: S310  # our own
            except OSError as error:
                self.failed.append(str(error))
            looked = time.monotonic()


@contextmanager
def knocking(layout: Layout) -> Iterator[Knocking]:
    found = Knocking(layout)
    thread = threading.Thread(target=found.knock)
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        thread.join()
        found.seconds = time.monotonic() - found.began


def what_a_question_takes(layout: Layout) -> str:
    """Of the two streets, about which alone the simulated model was asked until now: for docs/operations.md#sizing."""
    wait_until(lambda: layout.prometheus.value("sum(llm_requests_total)") >= 20, 120)
    asked, into, out = (
        layout.prometheus.value(f"sum({each})")
        for each in (
            "llm_requests_total",
            'llm_token_usage_total{direction="input"}',
            'llm_token_usage_total{direction="output"}',
        )
    )
    kept = [file.stat().st_size for file in (layout.host.folder / "media" / "evidence").rglob("*.jpg")]
    pictures = f"{len(kept)} pictures kept, {sum(kept) / len(kept) / 1000:.0f} kB each" if kept else "no picture kept"
    return f"{asked:.0f} calls: {into / asked:.0f} tokens in and {out / asked:.0f} out each; {pictures}"


def check_until(over: threading.Event, layout: Layout, outcomes: list[subprocess.CompletedProcess[str]]) -> None:
    """Make end-to-end checks, one after the other, and one at least, until it is over."""
    while True:
        outcomes.append(layout.host.manage("e2e", "--seconds", "20", "--rate", "1"))
        if over.is_set():
            return


def exchange_under_load(layout: Layout) -> tuple[list[subprocess.CompletedProcess[str]], Knocking]:
    """Exchange web, detection and assessment while end-to-end checks run; what they said, and who asked meanwhile."""
    outcomes: list[subprocess.CompletedProcess[str]] = []
    before = layout.host.pids()
    with knocking(layout) as knocked:
        checks = threading.Thread(target=check_until, args=(knocked.over, layout, outcomes))
        checks.start()
        for kind in EXCHANGED:
            layout.host.succeed("fleet", "restart", "--seconds", PATIENCE, kind)
    checks.join()
    after = layout.host.pids()
    assert {name.partition("-")[0] for name in before if before[name] != after[name]} == set(EXCHANGED)
    return outcomes, knocked


def exchange_where_the_machine_runs(layout: Layout) -> str:
    """Neither a picture nor a question nor a request is lost, and each picture is counted once, whoever detected it;
    what came of it.

    A machine that stands still for seconds makes frames old, which are dropped then, as they should be: such a round
    says nothing, and another is made.
    """
    counted = detected_of_check(layout)
    outcomes, knocked = exchange_under_load(layout)
    for _round in range(MOST_ROUNDS - 1):
        if knocked.longest_gap < STANDSTILL_SECONDS:
            break
        counted = detected_of_check(layout)
        outcomes, knocked = exchange_under_load(layout)
    assert knocked.failed == []
    assert knocked.asked > 20
    pictures = sum(pictures_of_passed(layout, outcome) for outcome in outcomes)
    assert detected_of_check(layout) - counted == pictures
    return (
        f"{', '.join(EXCHANGED)} exchanged in {knocked.seconds:.0f} s: none of {knocked.asked} requests failed, "
        f"none of {pictures} pictures and as many questions was lost"
    )


def pictures_of_passed(layout: Layout, outcome: subprocess.CompletedProcess[str]) -> int:
    """How many pictures a check sent; it must have received all of them, and of the detections."""
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr + layout.host.logs()
    rows = re.findall(r"^(\w+) +(\d+) +(\d+) +\S+ s +\S+ s +(\S+)%  (.*)$", outcome.stdout, re.M)
    assert [row[0] for row in rows] == ["pictures", "detections"]
    assert [row[3:] for row in rows] == [("100.0", "none")] * 2
    assert all(sent == received for _leg, sent, received, _success, _errors in rows)
    return int(rows[0][1])


def detected_of_check(layout: Layout) -> float:
    """How many pictures of the check the host's processes have detected until now, by its own metrics."""
    secrets = layout.host.folder / "secrets"
    headers = {"Authorization": f"Bearer {(secrets / 'metrics_token').read_text(encoding='utf-8').strip()}"}
    address = f"http://127.0.0.1:{layout.host.environment['ALGO_METRICS_PORT']}/metrics"
    request = urllib.request.Request(address, headers=headers)  # our own
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  # our own
        text = answer.read().decode()
    return sum(map(float, re.findall(r'^detection_total\{camera_id="check"\} (\S+)$', text, re.M)))


def test_distributed_layout_works_is_measured_and_loses_nothing_while_it_is_exchanged(layout: Layout) -> None:
    print(f"\nThe fleet of {len(layout.host.pids())} processes works after {layout.seconds:.0f} s")
    assert asyncio.run(asyncio.wait_for(watch(layout), 300)) == {"picture", "verdict", "media"}
    prometheus = layout.prometheus
    everything_up = dict.fromkeys(("trafficmon-hosts", "trafficmon-fleet", "prometheus"), "up")
    wait_until(lambda: prometheus.targets() == everything_up, 60, failing=lambda: str(prometheus.targets()))

    with wall_of(layout) as page:
        see_the_streets(page)
        print(what_a_question_takes(layout))
        print(exchange_where_the_machine_runs(layout))
        see_the_streets(page)
        keep_screenshot(page, "wall-after-exchange")

    check = 'sum(detection_total{camera_id="check"})'
    wait_until(lambda: prometheus.value(check) == detected_of_check(layout), 60)
    assert {name for name in CONTRACT if not prometheus.query(f'{{__name__=~"{name}(_count)?"}}')} == set()
    wait_until(lambda: prometheus.value("sum(active_cameras)") == prometheus.value("sum(camera_up)") == 2, 120)
    wait_until(lambda: prometheus.value("count(worker_seen == 1)") == 5, 120)
    assert prometheus.value("sum(llm_cost_total)") > 0
    assert len(prometheus.query("count by (stage) (stage_seconds_count > 0)")) == 5

    groups = prometheus.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    shipped = yaml.safe_load(Path(ROOT, "config", "prometheus", "rules.yml").read_text(encoding="utf-8"))["groups"]
    assert len(rules) == sum(len(group["rules"]) for group in shipped)
    print(f"{len(rules)} rules evaluate, every metric of the contract is scraped")
    lost = [rule["name"] for rule in rules if rule.get("state") == "firing"]
    assert set(lost) <= {"DetectionTooSlow", "VerdictsTooSlow", "AssessmentReduced"}  # of a machine that is too busy

    for name in ("capture", "detection", "assessment", "results", "beat"):
        told = {
            **os.environ,
            "TRAFFICMON_WEB_ADDRESS": f"http://127.0.0.1:{layout.host.environment['ALGO_SERVER_PORT']}",
        }
        script = Path(ROOT, "config", "is_up.py")
        subprocess.run(["python3", str(script), name], check=True, env=told)
