"""The alert list: page after page of a million, by an index, and its timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from assessment.models import Alert, Truth
from assessment.review import judge_alert, usual_opinion
from assessment.risk import RiskLevel, RiskType
from cameras.models import Camera
from tests.factories import NOON, make_camera
from tests.integration.test_pages import browser, camera_of, make_user, raise_alert
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.dashboard.alert_filter import AlertFilter, Place
from trafficmon.dashboard.timeline import draw_timeline

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


@pytest.fixture
def chief() -> User:
    return make_user(Role.SUPERVISOR)


@pytest.fixture
def desk(chief: User) -> Client:
    return browser(chief)


def add_alerts(camera: Camera, count: int, *, seconds_apart: float = 1, **fields: Any) -> list[Alert]:
    return Alert.objects.bulk_create(
        Alert(
            camera=camera,
            risk_type=RiskType.RED_LIGHT,
            **{"risk_level": RiskLevel.HIGH, **fields},
            opened_at=NOON + timedelta(seconds=number * seconds_apart),
            last_seen_at=NOON + timedelta(seconds=number * seconds_apart),
        )
        for number in range(count)
    )


def all_pages(desk: Client) -> list[list[int]]:
    """The alerts of each page, following the link to the next."""
    pages, following = [], "?"
    while following:
        rows = desk.get(f"/alerts/{following}").context["rows"]
        pages.append([alert.pk for alert in rows.alerts])
        following = f"?before={rows.next}" if rows.next else ""
    return pages


@pytest.mark.parametrize("seconds_apart", [1, 0])
def test_pages_hold_every_alert_once_newest_first(desk: Client, seconds_apart: float) -> None:
    """Also where all were opened at the same moment."""
    kept = add_alerts(make_camera(), 60, seconds_apart=seconds_apart)
    pages = all_pages(desk)
    assert [len(page) for page in pages] == [25, 25, 10]
    assert [number for page in pages for number in page] == [alert.pk for alert in reversed(kept)]


def test_alert_that_comes_while_somebody_reads_moves_nothing(desk: Client) -> None:
    camera = make_camera()
    add_alerts(camera, 30)
    following = desk.get("/alerts/").context["rows"].next
    before = [alert.pk for alert in desk.get(f"/alerts/?before={following}").context["rows"].alerts]
    raise_alert(camera, after_seconds=999)
    assert [alert.pk for alert in desk.get(f"/alerts/?before={following}").context["rows"].alerts] == before


def test_next_page_keeps_the_filters_and_comes_alone_where_asked_for(desk: Client) -> None:
    camera = make_camera()
    add_alerts(camera, 30)
    add_alerts(camera, 3, risk_level=RiskLevel.MEDIUM)
    page = desk.get("/alerts/?level=high&state=&part=")
    following = page.context["rows"].next
    assert f'href="/alerts/?level=high&amp;before={following}"' in page.content.decode()
    rows = desk.get(f"/alerts/?level=high&before={following}&part=rows").content.decode()
    assert (rows.count('<li class="row"'), "<html" in rows, 'rel="next"' in rows) == (5, False, False)


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "1-2-3", "999999999999999999-1", f"1-{'9' * 19}"])
def test_place_that_means_nothing_is_the_beginning(desk: Client, text: str) -> None:
    assert Place.read(text) is None
    add_alerts(make_camera(), 1)
    assert len(desk.get(f"/alerts/?before={text}").context["rows"].alerts) == 1


def test_place_is_exact_to_the_microsecond() -> None:
    place = Place(datetime(2026, 5, 4, 12, 0, 0, 123457, tzinfo=UTC), 7)
    assert Place.read(str(place)) == place


@pytest.mark.parametrize("alerts", [1, 30])
def test_next_rows_take_eight_queries(chief: User, alerts: int, django_assert_num_queries: Any) -> None:
    camera = make_camera()
    for number in range(alerts):
        judge_alert(
            raise_alert(camera, after_seconds=number),
            usual_opinion(Truth.TRUE, Alert.objects.latest("pk")),
            by=chief,
            now=NOON,
        )
    client = browser(chief)
    with django_assert_num_queries(8):
        client.get("/alerts/?part=rows")


def plan_of(user: User, query: dict[str, object]) -> str:
    """How the database would find a page in the middle of the list, had it much in it."""
    narrowed = AlertFilter(query, user=user, cameras=list(Camera.objects.visible_to(user)))
    page = narrowed.narrow().before(NOON + timedelta(seconds=10), 10)[:26]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
    return page.explain()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "alert_by_time_with_facts"),
        ({"state": "open"}, "alert_by_state"),
        ({"level": "high"}, "alert_by_level"),
        ({"type": "red_light"}, "alert_by_type"),
        ({"camera": "the first"}, "alert_by_camera"),
        ({"assigned": "me"}, "alert_by_assignee"),
        ({"kind": "camera_lost"}, "alert_lost_by_time"),
    ],
)
def test_page_is_found_by_an_index_and_not_sorted(chief: User, query: dict[str, object], index: str) -> None:
    camera = make_camera()
    add_alerts(camera, 50)
    plan = plan_of(chief, {**query, **({"camera": camera.pk} if "camera" in query else {})})
    assert index in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("assigned=me", [2]),
        ("assigned=nobody", [1, 0]),
        ("judged=no", [2, 0]),
        ("judged=yes", [1]),
        ("judged=false", [1]),
        ("judged=true", []),
        ("type=red_light", [2, 1, 0]),
        ("type=speeding", []),
        ("since=2026-05-04T20:00", [2, 1, 0]),
        ("since=2026-05-04T20:01", [2, 1]),
        ("until=2026-05-04T20:01", [0]),
        ("since=nonsense", []),
    ],
)
def test_list_is_narrowed_to_people_judgements_and_times(
    chief: User, desk: Client, query: str, found: list[int], settings: Any
) -> None:
    """Times are those of the installation, here eight hours ahead of Greenwich."""
    settings.TIME_ZONE = "Asia/Shanghai"
    camera = make_camera()
    kept = [raise_alert(camera, after_seconds=61 * number) for number in range(3)]
    Alert.objects.filter(pk=kept[2].pk).update(assigned_to=chief)
    judge_alert(kept[1], usual_opinion(Truth.FALSE, kept[1]), by=chief, now=NOON)
    rows = desk.get(f"/alerts/?{query}").context["rows"].alerts
    assert [alert.pk for alert in rows] == [kept[number].pk for number in found]


def test_operator_finds_no_alert_of_a_hidden_camera_by_any_filter() -> None:
    user = make_user()
    camera_of(user)
    hidden = raise_alert(make_camera())
    asked = ["", f"camera={hidden.camera_id}", "level=high", "state=open", "type=red_light", "judged=no"]
    assert [browser(user).get(f"/alerts/?{query}").context["rows"].alerts for query in asked] == [[]] * len(asked)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_moment_that_cannot_be_matches_nothing(desk: Client, moment: str) -> None:
    for name in ("since", "until"):
        answer = desk.get(f"/alerts/?{name}={moment}")
        assert (answer.status_code, answer.context["rows"].alerts) == (200, [])


def test_timeline_has_a_bar_for_each_hour_with_its_levels() -> None:
    camera = make_camera()
    add_alerts(camera, 4, seconds_apart=60)
    add_alerts(camera, 1, risk_level=RiskLevel.MEDIUM)
    line = draw_timeline(Alert.objects.all(), since=None, until=None, now=NOON + timedelta(hours=2))
    assert (len(line.bars), line.total) == (24, 5)
    [bar] = [bar for bar in line.bars if bar.total]
    assert (bar.since, bar.until) == (NOON, NOON + timedelta(hours=1))
    assert [(part.level, part.y, part.height) for part in bar.parts] == [("high", 20, 80), ("medium", 0, 20)]


def test_timeline_counts_three_days_at_most() -> None:
    add_alerts(make_camera(), 3, seconds_apart=86_400 * 5)
    until = NOON + timedelta(days=11)
    line = draw_timeline(Alert.objects.all(), since=NOON, until=until, now=until)
    assert (len(line.bars), line.total) == (72, 1)


def test_list_offers_the_hours_of_its_timeline_as_filters(desk: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    alert = raise_alert(make_camera())
    Alert.objects.filter(pk=alert.pk).update(opened_at=utc_now().replace(minute=0, second=0), last_seen_at=utc_now())
    page = desk.get("/alerts/?level=high").content.decode()
    assert page.count("?level=high&amp;since=20") == 1
