"""Whole days added up: what is read is the same before and after, and after all that changes them later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command

from assessment.day_reading import spans_of_camera, spans_of_fleet, spending_by_day
from assessment.days import add_up_days, begin_of, days_between
from assessment.hour_reading import hours_of_camera, hours_of_fleet
from assessment.judged import Judged, judged_between
from assessment.ledger import day_of
from assessment.models import Alert, AlertJudgement, CameraDay, FleetDay, LineCount, Spending, Truth
from assessment.results import close_frames
from assessment.review import judge_alert, usual_opinion
from assessment.risk import RiskLevel
from assessment.statistics import statistics_of
from cameras.models import Camera, CountingLine
from tests.factories import NOON, make_camera
from tests.integration.test_hours import answer, store
from tests.integration.test_pages import make_user, raise_alert
from trafficmon.accounts.roles import Role
from trafficmon.dashboard.judging_charts import gather
from trafficmon.dashboard.judging_period import Period
from workers import supervision
from workers.fleet import Sizes
from workers.management.commands import fleet

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2026, 5, 4, tzinfo=UTC)
"""Of the day to which NOON belongs."""
LATER = NOON + 3 * DAY
PERIOD = Period(date(2026, 5, 2), date(2026, 5, 6), MIDNIGHT - 2 * DAY, MIDNIGHT + 3 * DAY)


@pytest.fixture
def cameras() -> list[Camera]:
    """Two, at which something of everything happened on two days and was judged; one line is crossed."""
    import random

    chance, found = random.Random(1), [make_camera(name="Bridge"), make_camera(name="Tunnel")]
    line = CountingLine.objects.create(camera=found[0], name="gate", ends=[[0, 0], [1, 1]])
    judge = make_user(Role.SUPERVISOR)
    rows = [
        store(camera, at=NOON + timedelta(hours=hours), groups=2, left_out=1)
        for camera in found
        for hours in (-40, 0, 5)
    ]
    for row in rows:
        answer(row, chance)
    close_frames([row.pk for row in rows], now=NOON)
    for hours in (-36, 0, 1):
        alert_at(found[1], NOON + timedelta(hours=hours), judge)
        told = {"hour": NOON + timedelta(hours=hours), "object_class": "car", "direction": "forward"}
        LineCount.objects.create(line=line, count=50 + hours, **told)
    Spending.objects.create(day=day_of(NOON), camera=found[0], account="a", key="k", model="m", calls=3, cost="0.25")
    # Of something earlier, so that the days are whole.
    store(found[0], at=MIDNIGHT - 2 * DAY, groups=0)
    return found


def alert_at(camera: Camera, at: datetime, judge: Any) -> Alert:
    alert = raise_alert(camera)
    Alert.objects.filter(pk=alert.pk).update(opened_at=at, last_seen_at=at)
    alert.refresh_from_db()
    judge_alert(alert, usual_opinion(Truth.TRUE, alert), by=judge, now=at)
    return alert


def told() -> tuple[Any, ...]:
    """All that is read of days."""
    first = Camera.objects.order_by("pk")[0].pk
    time = (PERIOD.since, PERIOD.before)
    figures = statistics_of(Camera.objects.order_by("pk"), since=PERIOD.since + timedelta(minutes=30), before=LATER)
    spans = [gather(each, PERIOD) for each in (spans_of_fleet(*time), spans_of_camera(first, *time))]
    parts = [
        {
            name: (+part.tally.counts, +part.tally.steps, part.crossings)
            for name, part in each.items()
            if part.tally.counts.total()
        }
        for each in spans
    ]
    return figures, parts, plain(judged_between(*time)), spending_by_day(PERIOD.first, PERIOD.last)


def plain(judged: Judged) -> tuple[Any, ...]:
    return judged.together, *(dict(each) for each in (judged.cameras, judged.prompts, judged.hours, judged.levels))


@pytest.mark.usefixtures("cameras")
def test_days_tell_what_hours_and_rows_tell() -> None:
    before = told()
    assert add_up_days(now=LATER) == 5
    assert told() == before
    assert (FleetDay.objects.count(), CameraDay.objects.count()) == (5, 6)
    assert add_up_days(now=LATER) == 0


@pytest.mark.usefixtures("cameras")
def test_days_are_read_in_place_of_rows() -> None:
    before = told()
    add_up_days(now=LATER)
    Alert.objects.all().delete()
    AlertJudgement.objects.all().delete()
    LineCount.objects.all().delete()
    Spending.objects.all().delete()
    assert told() == before


class NobodyRuns:
    """In place of the fleet's supervisor."""

    pid = seen = read_again = staticmethod(tuple)


@pytest.mark.usefixtures("cameras")
def test_all_days_are_added_up_again_after_a_whole_restart_or_by_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "Supervisor", NobodyRuns)
    monkeypatch.setattr(fleet, "check_exchangeable", lambda _sizes: None)
    monkeypatch.setattr(supervision, "remembered", Sizes)
    monkeypatch.setattr(supervision, "remember", lambda asked: asked)
    for words, again in ((("fleet", "restart", "detection"), 0), (("fleet", "restart"), 5), (("count_days",), 5)):
        add_up_days(now=LATER)
        call_command(*words)
        assert FleetDay.objects.filter(is_current=False).count() == again


def test_alert_that_becomes_graver_changes_its_day(cameras: list[Camera]) -> None:
    from assessment.alert_policy import Sighting
    from assessment.alerts import _continue, _live_alert

    alert = raise_alert(cameras[0], level=RiskLevel.MEDIUM)
    Alert.objects.filter(pk=alert.pk).update(opened_at=NOON, last_seen_at=NOON)
    alert.refresh_from_db()
    add_up_days(now=LATER)
    assert alert.assessment
    live = _live_alert(alert)
    sighting = Sighting(alert.assessment.pk, live.risk_type, RiskLevel.HIGH, live.place, live.track_ids, NOON + HOUR)
    assert _continue(live, sighting, alert.assessment)
    assert_again(changed=1)


def test_question_put_again_changes_its_day(cameras: list[Camera]) -> None:
    add_up_days(now=LATER)
    store(cameras[0], at=NOON, groups=0)
    assert_again(changed=1)


def test_judgement_changes_its_day_and_nothing_else_of_it() -> None:
    camera = make_camera()
    store(camera, at=MIDNIGHT - DAY, groups=0)
    alert = alert_at(camera, NOON, make_user(Role.SUPERVISOR))
    add_up_days(now=LATER)
    judge_alert(alert, usual_opinion(Truth.FALSE, alert), by=make_user(Role.ADMINISTRATOR), now=LATER)
    assert FleetDay.objects.filter(judged__isnull=True).count() == 1
    assert judged_between(PERIOD.since, PERIOD.before).together.truths == {Truth.FALSE: 1}
    assert_again(changed=0)
    assert not FleetDay.objects.filter(judged__isnull=True).exists()


def assert_again(*, changed: int) -> None:
    """What is read is exact before and after the days that changed are added up again."""
    before = told()
    assert add_up_days(now=LATER) == changed
    assert told() == before


def test_judgements_of_a_camera_that_is_gone_are_of_none(cameras: list[Camera]) -> None:
    add_up_days(now=LATER)
    cameras[1].delete()
    assert list(judged_between(PERIOD.since, PERIOD.before).cameras) == [None]


@pytest.mark.usefixtures("cameras")
def test_days_of_another_time_zone_go(settings: Any) -> None:
    add_up_days(now=LATER)
    settings.TIME_ZONE = "Asia/Kolkata"
    assert add_up_days(now=LATER) == 4
    assert [each.isoformat() for each in FleetDay.objects.order_by("since").values_list("since", flat=True)[:2]] == [
        "2026-05-02T19:00:00+00:00",
        "2026-05-03T19:00:00+00:00",
    ]


def test_day_begins_with_its_first_whole_hour(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"
    assert begin_of(date(2026, 5, 4)).isoformat() == "2026-05-04T00:30:00+05:30"
    settings.TIME_ZONE = "Europe/Berlin"
    first, before = begin_of(date(2026, 3, 28)), begin_of(date(2026, 3, 31))
    assert [end - since for since, end in days_between(first, before)] == [24 * HOUR, 23 * HOUR, 24 * HOUR]


def test_day_that_is_not_over_is_not_added_up(cameras: list[Camera]) -> None:
    assert add_up_days(now=MIDNIGHT + DAY) == 2
    assert add_up_days(now=MIDNIGHT + DAY + HOUR) == 1
    assert spending_by_day(PERIOD.first, PERIOD.last, cameras[0].pk) == {day_of(NOON): (Decimal("0.25"), 3, 0)}
    assert [each.at for each in hours_of_camera(cameras[0].pk, NOON, LATER)]
    assert [each.at for each in hours_of_fleet(NOON, LATER)]
