"""How long each list and chart takes with a long history, and by which plan the database answers the slowest query."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from assessment.models import Alert, Assessment
from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.api.paging import Order
from trafficmon.core.clock import utc_now
from trafficmon.dashboard.alert_filter import Place

TRIES = 5
BOUND_MS = 200.0
ADMIN = (
    *("assessment/assessment", "assessment/frameresult", "assessment/alert", "assessment/linecount"),
    *("assessment/spending", "assessment/deadletter", "accounts/auditentry", "cameras/camera"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One page, and who asks for it."""

    name: str
    address: str
    by: str = "user1"


def pages() -> Iterator[Asked]:
    """What is asked for."""
    yield from _alert_lists()
    yield from _other_pages()
    yield from _judging()
    yield from _answers_of_the_api()
    yield from _admin_lists()


def long_ago() -> datetime:
    """Deep in the history: after the first ninth of it."""
    first = Alert.objects.order_by("opened_at").values_list("opened_at", flat=True)[0]
    return first + (utc_now() - first) / 9


def _alert_lists() -> Iterator[Asked]:
    deep = Alert.objects.filter(opened_at__lt=long_ago()).order_by("-opened_at")[0]
    yield Asked("alerts", "/alerts/")
    yield Asked("alerts-operator", "/alerts/", by="user4")
    yield Asked("alerts-deep", f"/alerts/?before={Place(deep.opened_at, deep.pk)}&part=rows")
    filters = (
        *("level=high", "level=low", "type=red_light", "state=open", "state=closed", "camera=7", "camera=200"),
        *("assigned=me", "assigned=nobody", "judged=no", "judged=yes", "judged=false", "kind=camera_lost"),
        *("type=speeding", "level=high&type=wrong_way&state=closed&camera=7", "judged=unsure&camera=190"),
    )
    for each in filters:
        yield Asked(f"alerts-{re.sub('[=&]', '-', each)}", f"/alerts/?{each}")
    ago = utc_now() - timedelta(days=60)
    since = urlencode({"since": f"{ago - timedelta(days=3):%Y-%m-%dT%H:%M}", "until": f"{ago:%Y-%m-%dT%H:%M}"})
    yield Asked("alerts-three-days", f"/alerts/?{since}")
    yield Asked("alert", f"/alerts/{deep.pk}/")


def _other_pages() -> Iterator[Asked]:
    for kind in ("unanswered", "rejected", "left_out"):
        yield Asked(f"groups-{kind}", f"/groups/?kind={kind}")
        yield Asked(f"groups-{kind}-camera", f"/groups/?kind={kind}&camera=200")
        yield Asked(f"groups-{kind}-operator", f"/groups/?kind={kind}", by="user4")
    place = Place(long_ago(), 1)
    yield Asked("groups-rejected-deep", f"/groups/?kind=rejected&before={place}&part=rows")
    yield Asked("wall", "/")
    yield Asked("keys", "/keys/")
    yield Asked("keys-now", "/keys/now/")
    yield Asked("keys-letters", "/keys/?reason=timeout&camera=7")
    yield Asked("system", "/system/")
    yield Asked("camera", f"/cameras/{Camera.objects.order_by('pk')[6].pk}/")


def _judging() -> Iterator[Asked]:
    first = f"{utc_now() - timedelta(days=85):%Y-%m-%d}"
    last = f"{utc_now():%Y-%m-%d}"
    for name, query in (
        ("today", "period=today"),
        ("7-days", "period=week"),
        ("30-days", "period=month"),
        ("85-days", f"first={first}&last={last}"),
        ("30-days-camera", "period=month&camera=7"),
        ("85-days-camera", f"first={first}&last={last}&camera=6"),
        ("30-days-csv", "period=month&csv=outcomes"),
    ):
        yield Asked(f"judging-{name}", f"/judging/?{query}", by="user2")


def _answers_of_the_api() -> Iterator[Asked]:
    for name, model, column in (("alerts", Alert, "opened_at"), ("assessments", Assessment, "created_at")):
        row = model._default_manager.filter(**{f"{column}__lt": long_ago()}).order_by(f"-{column}")[0]
        yield Asked(f"api-{name}-deep", f"/api/{name}?cursor={Order(column)._cursor(row)}")
    for each in (
        *("alerts", "alerts?level=high", "alerts?state=open", "alerts?cameraId=7", "alerts?type=red_light"),
        *("assessments", "assessments?status=failed", "assessments?level=high", "assessments?cameraId=7"),
        *("assessments?type=wrong_way", "assessments?judgedBy=geometry", "frames", "frames?level=high"),
        *("frames?status=failed", "frames?cameraId=7", "counts", "counts?cameraId=6", "spending", "cameras"),
        *("statistics", "statistics?cameraId=7", "dead-letters", "assessment/load"),
    ):
        yield Asked(f"api-{re.sub('[=&?/]', '-', each)}", f"/api/{each}")
    now = utc_now()
    month = urlencode({"from": (now - timedelta(days=31)).isoformat(), "before": now.isoformat()})
    yield Asked("api-statistics-month", f"/api/statistics?{month}")


def _admin_lists() -> Iterator[Asked]:
    for each in ADMIN:
        yield Asked(f"admin-{each.partition('/')[2]}", f"/admin/{each}/")
    yield Asked("admin-assessment-failed", "/admin/assessment/assessment/?status__exact=failed")
    yield Asked("admin-assessment-page-9", "/admin/assessment/assessment/?p=9")
    yield Asked("admin-alert-high", "/admin/assessment/alert/?risk_level__exact=high")
    yield Asked("admin-alert-camera", "/admin/assessment/alert/?camera__id__exact=7")


def measure_pages(folder: Path, only: str = "") -> dict[str, dict[str, float]]:
    """Median and worst of each page in milliseconds; the plan of its slowest query is kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    clients = {user.username: _browser(user) for user in User.objects.order_by("pk")}
    measured = {}
    for page in pages():
        if only and not re.search(only, page.name):
            continue
        client = clients[page.by]
        _keep_plan(folder, page, client)
        with _one_backend() as backend:
            tries = [_ask_and_look(client, page, backend) for _ in range(TRIES)]
        times, worked = zip(*tries, strict=True)
        told = {"median_ms": statistics.median(times), "worst_ms": max(times), "cpu_ms": statistics.median(worked)}
        measured[page.name] = {name: round(value, 1) for name, value in told.items()}
        late = "" if told["median_ms"] < BOUND_MS else "   <-- too slow"
        print(f"{page.name:44} {' '.join(f'{value:8.1f}' for value in told.values())}{late}", flush=True)
    return measured


@contextmanager
def _one_backend() -> Iterator[int]:
    """The process of the database that answers, without helpers, so that what it takes of a processor can be read."""
    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        yield cursor.fetchone()[0]
        cursor.execute("RESET max_parallel_workers_per_gather")


def _ask_and_look(client: Client, page: Asked, backend: int) -> tuple[float, float]:
    """Milliseconds that passed, and those that this process and the database's took of a processor (Linux).

    The second is what a page costs whatever else the machine does; of an idle one it is nearly the first.
    """
    before = _worked(backend)
    took = _ask(client, page)
    return took, _worked(backend) - before


def _worked(backend: int) -> float:
    ticks = [int(Path(f"/proc/{each}/schedstat").read_text().split()[0]) for each in ("thread-self", backend)]
    return sum(ticks) / 1_000_000


def _browser(user: User) -> Client:
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    return client


def _ask(client: Client, page: Asked) -> float:
    begun = time.perf_counter()
    answer = client.get(page.address)
    body = b"".join(answer) if answer.streaming else answer.content
    took = time.perf_counter() - begun
    assert answer.status_code == 200, (page.address, answer.status_code, body[:300])
    return took * 1000


def _keep_plan(folder: Path, page: Asked, client: Client) -> None:
    """As the database explains the slowest query of the page, the second time that it is asked for."""
    _ask(client, page)
    with CaptureQueriesContext(connection) as captured:
        _ask(client, page)
    # Who asks is looked up for every page, by a key that need not be kept.
    asked = [each for each in captured.captured_queries if "django_session" not in each["sql"]]
    told = [each for each in asked if each["sql"].startswith(("SELECT", "WITH"))]
    slowest = max(told, key=lambda each: float(each["time"]))["sql"]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {slowest}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    words = f"{page.address}\n{len(captured)} queries; the slowest:\n\n{_shortened(slowest)}\n\n{plan}\n"
    (folder / f"{page.name}.txt").write_text(words, encoding="utf-8")


def _shortened(statement: str) -> str:
    """Without the names of a hundred columns."""
    return re.sub(r"^SELECT .{200,}? FROM ", "SELECT … FROM ", statement)[:2000]
