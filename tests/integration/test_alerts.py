"""Alerts in the database: opened, continued, acknowledged, closed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from assessment.alerts import AlertChange, acknowledge, apply_verdicts, close_unseen
from assessment.models import Alert, Assessment, FrameResult
from assessment.risk import AssessmentStatus, RiskLevel, RiskType
from cameras.models import Camera
from tests.factories import NOON, make_camera, record
from trafficmon.accounts.models import User

pytestmark = pytest.mark.django_db
HIGH, MEDIUM = RiskLevel.HIGH, RiskLevel.MEDIUM


def judged(
    camera: Camera,
    level: RiskLevel,
    *,
    after_seconds: float = 0,
    risk_type: RiskType = RiskType.PEDESTRIAN_CONFLICT,
) -> FrameResult:
    row = record(camera, captured_at=NOON + timedelta(seconds=after_seconds))
    Assessment.objects.filter(frame_result=row).update(
        status=AssessmentStatus.DONE, risk_level=level, risk_type=risk_type, description=f"{level} danger"
    )
    return row


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_high_verdict_opens_an_alert_and_the_next_continues_it() -> None:
    camera = make_camera()
    [opened] = apply_verdicts(judged(camera, MEDIUM))
    [updated] = apply_verdicts(judged(camera, HIGH, after_seconds=4))
    assert (opened.change, updated) == ("opened", AlertChange(opened.alert_id, "escalated", HIGH))
    alert = Alert.objects.get()
    assert (alert.times_seen, alert.risk_level, alert.opened_at, alert.last_seen_at) == (2, HIGH, at(0), at(4))
    assert alert.description == "high danger"


def test_alert_never_loses_the_highest_level_it_had() -> None:
    camera = make_camera()
    for seconds, level in enumerate([HIGH, MEDIUM]):
        apply_verdicts(judged(camera, level, after_seconds=seconds))
    assert Alert.objects.get().risk_level == HIGH


def test_alert_shows_its_gravest_moment_and_what_was_just_seen_is_said() -> None:
    camera = make_camera()
    grave = judged(camera, HIGH)
    apply_verdicts(grave)
    [updated] = apply_verdicts(judged(camera, MEDIUM, after_seconds=4))
    alert = Alert.objects.get()
    assert (alert.risk_level, alert.description, alert.assessment) == (HIGH, "high danger", grave.assessments.get())
    assert (updated.change, updated.level, alert.last_seen_at) == ("updated", MEDIUM, at(4))


def test_acknowledged_alert_that_gets_worse_is_open_again() -> None:
    camera = make_camera()
    [opened] = apply_verdicts(judged(camera, MEDIUM))
    acknowledge(opened.alert_id, by=User.objects.create(username="olga"), now=at(1))
    [escalated] = apply_verdicts(judged(camera, HIGH, after_seconds=4))
    alert = Alert.objects.get()
    assert (escalated.change, alert.state, alert.acknowledged_by) == ("escalated", "open", None)


def test_camera_that_is_seldom_judged_continues_its_alert() -> None:
    camera = make_camera(frame_interval=60.0)
    for number in range(4):
        apply_verdicts(judged(camera, HIGH, after_seconds=60 * number))
    assert Alert.objects.get().times_seen == 4


def test_alerts_of_two_cameras_stay_apart() -> None:
    for camera in (make_camera(), make_camera()):
        apply_verdicts(judged(camera, HIGH))
    assert Alert.objects.count() == 2


def test_verdict_that_arrives_out_of_order_does_not_turn_the_clock_back() -> None:
    camera = make_camera()
    for seconds in (8, 4):
        apply_verdicts(judged(camera, HIGH, after_seconds=seconds))
    assert Alert.objects.get().last_seen_at == at(8)


def test_alert_unseen_for_a_minute_closes_once() -> None:
    [opened] = apply_verdicts(judged(make_camera(), HIGH))
    assert close_unseen(now=at(59)) == []
    assert close_unseen(now=at(60)) == [AlertChange(opened.alert_id, "closed", HIGH)]
    assert close_unseen(now=at(61)) == []
    assert Alert.objects.get().closed_at == at(60)


def test_acknowledging_takes_effect_once_and_names_who_did_it() -> None:
    [opened] = apply_verdicts(judged(make_camera(), HIGH))
    user = User.objects.create(username="olga")
    assert [acknowledge(opened.alert_id, by=user, now=at(n)) for n in (1, 2)] == [True, False]
    alert = Alert.objects.get()
    assert (alert.state, alert.acknowledged_by, alert.acknowledged_at) == ("acknowledged", user, at(1))


def test_acknowledged_alert_is_continued_and_closed_like_an_open_one() -> None:
    camera = make_camera()
    [opened] = apply_verdicts(judged(camera, HIGH))
    acknowledge(opened.alert_id, by=User.objects.create(username="olga"), now=at(1))
    [updated] = apply_verdicts(judged(camera, HIGH, after_seconds=5))
    assert updated.alert_id == opened.alert_id
    assert [change.alert_id for change in close_unseen(now=at(65))] == [opened.alert_id]
