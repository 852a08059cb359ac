"""The page "How well does it judge": its figures, its CSV, and who may see it."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from assessment.ledger import day_of
from assessment.models import Alert, AlertJudgement, LineCount, Spending, Truth
from assessment.review import Opinion, judge_alert, usual_opinion
from assessment.risk import RiskLevel, SkipReason
from assessment.tally import Count
from cameras.models import Camera, CountingLine
from tests.factories import make_camera
from tests.integration.test_pages import browser, make_user, raise_alert
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.dashboard.charts import Chart
from trafficmon.dashboard.judging_period import Period

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


@pytest.fixture
def chief() -> User:
    return make_user(Role.SUPERVISOR)


@pytest.fixture
def desk(chief: User) -> Client:
    return browser(chief)


def judged(camera: Camera, by: User, *truths: Truth, level: RiskLevel = RiskLevel.HIGH, prompt: str = "v3") -> None:
    """Alerts of this moment, each judged so."""
    for number, truth in enumerate(truths):
        alert = raise_alert(camera, level=level, after_seconds=number)
        Alert.objects.filter(pk=alert.pk).update(opened_at=utc_now(), last_seen_at=utc_now())
        alert.refresh_from_db()
        assert alert.assessment
        alert.assessment.prompt_version = prompt
        judge_alert(alert, usual_opinion(truth, alert), by=by, now=utc_now())


def chart_of(desk: Client, key: str, query: str = "") -> dict[str, list[Any]]:
    """The rows of one chart by their names."""
    charts: list[Chart] = desk.get(f"/judging/?{query}").context["charts"]
    return {name: list(row) for name, row in next(each for each in charts if each.key == key).rows}


def hour_with(camera: Camera, **figures: Any) -> None:
    from assessment.models import CameraHour

    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    CameraHour.objects.create(camera=camera, hour=hour, **figures)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_page_is_for_supervisors(role: Role) -> None:
    client = browser(make_user(role))
    assert [client.get(f"/judging/{each}").status_code for each in ("", "?csv=cameras")] == [403, 403]
    assert "/judging/" not in client.get("/").content.decode()


def test_page_is_found_by_supervisors(desk: Client) -> None:
    assert 'href="/judging/"' in desk.get("/").content.decode()
    assert desk.get("/judging/").status_code == 200


def test_anonymous_is_sent_to_sign_in() -> None:
    assert browser(None).get("/judging/")["Location"] == "/login/?next=/judging/"


def test_precision_is_told_with_its_interval(desk: Client, chief: User) -> None:
    camera = make_camera(name="Bridge")
    judged(camera, chief, *[Truth.TRUE] * 3, Truth.FALSE, Truth.UNSURE)
    share, low, high, *counts = chart_of(desk, "cameras")["Bridge"]
    assert (share, counts) == (0.75, [3, 1, 1])
    assert (round(low, 3), round(high, 3)) == (0.301, 0.954)


def test_precision_is_told_by_prompt_hour_and_level(desk: Client, chief: User) -> None:
    camera = make_camera()
    judged(camera, chief, Truth.TRUE, prompt="v3")
    judged(camera, chief, Truth.FALSE, level=RiskLevel.MEDIUM, prompt="v2")
    told = {key: chart_of(desk, key) for key in ("prompts", "hours", "levels", "right-levels")}
    assert {key: row[0] for key, row in told["prompts"].items()} == {"v2": 0.0, "v3": 1.0}
    assert {key: row[0] for key, row in told["levels"].items()} == {"medium": 0.0, "high": 1.0}
    assert sum(row[3] for row in told["hours"].values()) == 1
    assert told["right-levels"] == {"medium": [1, 0, 0, 0], "high": [0, 0, 0, 1]}


def test_alert_counts_once_as_it_was_judged_last(desk: Client, chief: User) -> None:
    camera = make_camera(name="Bridge")
    judged(camera, chief, Truth.TRUE)
    alert, other = Alert.objects.get(), make_user(Role.ADMINISTRATOR)
    judge_alert(alert, Opinion(Truth.FALSE, RiskLevel.NONE), by=other, now=utc_now())
    assert chart_of(desk, "cameras")["Bridge"][3:] == [0, 1, 0]
    judge_alert(alert, Opinion(Truth.TRUE, RiskLevel.MEDIUM), by=chief, now=utc_now())
    assert chart_of(desk, "cameras")["Bridge"][3:] == [1, 0, 0]
    assert list(AlertJudgement.objects.order_by("pk").values_list("is_latest", flat=True)) == [True, False]


def test_page_is_narrowed_to_a_camera(desk: Client, chief: User) -> None:
    bridge, tunnel = make_camera(name="Bridge"), make_camera(name="Tunnel")
    judged(bridge, chief, Truth.TRUE)
    judged(tunnel, chief, Truth.FALSE)
    hour_with(bridge, answered=3, failed=1)
    hour_with(tunnel, answered=5)
    query = f"camera={bridge.pk}&period=today"
    assert list(chart_of(desk, "cameras", query)) == ["Bridge"]
    assert [row[:2] for row in chart_of(desk, "outcomes", query).values()] == [[3, 1]]
    assert [row[:2] for row in chart_of(desk, "outcomes", "period=today").values()] == [[8, 1]]


def test_latency_failures_gate_cost_and_counts_are_told(desk: Client) -> None:
    camera = make_camera()
    hour_with(camera, answered=100, timed=100, steps={"60": 90, "80": 10}, reused=2, left_low_prior=7, expired=1)
    today = day_of(utc_now())
    Spending.objects.create(day=today, camera=camera, account="a", key="k", model="m", calls=5, cost=Decimal("0.5"))
    line = CountingLine.objects.create(camera=camera, name="gate", ends=[[0, 0], [1, 1]])
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    LineCount.objects.create(line=line, hour=hour, object_class="bus", direction="backward", count=4)
    [times] = chart_of(desk, "latency").values()
    assert [round(each, 3) for each in times] == [0.911, 2.418]
    assert list(chart_of(desk, "outcomes").values()) == [[100, 0, 1]]
    assert list(chart_of(desk, "gate").values()) == [[101, 2, 0, 7, 0, 0]]
    assert chart_of(desk, "left-out")["it does not look dangerous enough"] == [7]
    assert chart_of(desk, "cost") == {f"{today:%Y-%m-%d}": [0.5, 5, 0]}
    assert chart_of(desk, "counts-by-class")["bus"] == [0, 4]
    assert sum(sum(row) for row in chart_of(desk, "counts-by-hour").values()) == 4


@pytest.mark.parametrize("cameras", [1, 3])
def test_page_takes_thirteen_queries(cameras: int, chief: User, desk: Client, django_assert_num_queries: Any) -> None:
    for _ in range(cameras):
        judged(make_camera(), chief, Truth.TRUE)
    with django_assert_num_queries(13):
        desk.get("/judging/")


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("", 7),
        ("period=today", 1),
        ("period=week", 7),
        ("period=month", 30),
        ("period=nonsense", 7),
        ("first=2026-05-04&last=2026-05-06", 3),
        ("first=2026-05-06&last=2026-05-04", 7),
        ("first=2020-05-06&last=2026-05-04", 7),
        ("first=2026-05-0x", 7),
        ("last=0001-01-03", 7),
        ("first=9999-12-31", 1),
    ],
)
def test_period_is_in_the_address(desk: Client, query: str, days: int) -> None:
    period: Period = desk.get(f"/judging/?{query}").context["period"]
    assert (period.last - period.first).days + 1 == days


def test_days_that_cannot_be_are_refused_in_words(desk: Client) -> None:
    said = desk.get("/judging/?first=2026-05-06&last=2026-05-04").content.decode()
    assert "The first day is after the last." in said
    assert "Choose 92 days at most." in desk.get("/judging/?first=2020-05-06").content.decode()


def test_days_are_those_of_the_installation(settings: Any, desk: Client) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    period: Period = desk.get("/judging/?first=2026-05-04&last=2026-05-04").context["period"]
    assert (period.since.isoformat(), period.before.isoformat()) == (
        "2026-05-04T00:00:00+08:00",
        "2026-05-05T00:00:00+08:00",
    )


def test_everything_charted_is_there_as_csv(desk: Client, chief: User) -> None:
    judged(make_camera(name="=cmd|'/c calc'!A0"), chief, Truth.TRUE)
    charts: list[Chart] = desk.get("/judging/").context["charts"]
    for chart in charts:
        answer = desk.get(f"/judging/?csv={chart.key}")
        assert answer["Content-Disposition"].startswith(f'attachment; filename="{chart.key}-')
        rows = list(csv.reader(io.StringIO(answer.content.decode())))
        assert [len(row) for row in rows] == [len(chart.columns) + 1] * (len(chart.rows) + 1)
    told = list(csv.reader(io.StringIO(desk.get("/judging/?csv=cameras").content.decode())))
    assert told[0] == ["Camera", "Precision", "at least", "at most", "True", "False", "Unsure"]
    assert told[1][0] == "'=cmd|'/c calc'!A0"
    assert desk.get("/judging/?csv=nonsense").status_code == 404


def test_every_reason_has_its_column() -> None:
    assert {each.value for each in Count if each.startswith("left_")} == {
        f"left_{each}"
        for each in ("switched_off", "too_few", "low_prior", "cooldown", "duplicate", "urgent_only", "no_model")
    }
    assert len(SkipReason) == 7


def test_judgements_of_a_camera_that_is_gone_still_count(desk: Client, chief: User) -> None:
    camera = make_camera()
    judged(camera, chief, Truth.TRUE)
    camera.delete()
    assert chart_of(desk, "cameras")["deleted camera"][3:] == [1, 0, 0]


def test_old_judgements_are_not_of_the_period(desk: Client, chief: User) -> None:
    camera = make_camera()
    judged(camera, chief, Truth.TRUE)
    AlertJudgement.objects.update(opened_at=utc_now() - timedelta(days=8))
    assert chart_of(desk, "cameras") == {}
    assert list(chart_of(desk, "cameras", "period=month")) == [camera.name]


def test_share_of_the_missed_says_what_is_not_sampled(desk: Client) -> None:
    hour_with(make_camera(), sampled=50, missed=1)
    [card] = [each for each in desk.get("/judging/").context["cards"] if each.name == "Missed by the gate"]
    assert (card.figure, card.words) == (
        "2.0 %",
        "of samples were dangers; what a cooldown or a reduced level leaves out is not sampled",
    )
