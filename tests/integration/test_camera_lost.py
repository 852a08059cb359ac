"""Alerts about cameras that give no pictures."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import redis
from django.db import IntegrityError, transaction
from django.test import Client

from assessment import camera_lost
from assessment.alerts import AlertChange, acknowledge, apply_verdicts, close_unseen
from assessment.camera_lost import close_found, open_lost, spell_duration
from assessment.models import Alert, AlertKind, Assessment
from assessment.risk import RiskLevel, RiskType
from cameras.health import record_state
from cameras.models import Camera, StreamState, Wanted
from tests.factories import NOON, make_camera, record
from trafficmon.accounts.models import User
from trafficmon.core.clock import utc_now
from workers import upkeep
from workers.health import WATCH_KEY

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

GRACE = timedelta(seconds=30)
PASSWORD = "geheim"  # of a test


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def gone(state: StreamState = StreamState.OFFLINE, **fields: object) -> Camera:
    """A camera that is to run and has been gone since noon."""
    return make_camera(**{"wanted": Wanted.RUNNING, "state": state, "state_since": NOON, **fields})


def look(seconds: float) -> list[AlertChange]:
    """What one sweep does at `seconds` after noon."""
    return [*close_found(now=at(seconds)), *open_lost(now=at(seconds), grace=GRACE)]


@pytest.mark.parametrize("state", [StreamState.OFFLINE, StreamState.STALE, StreamState.CONNECTING])
def test_camera_gone_for_longer_than_the_grace_period_raises_one_alert(state: StreamState) -> None:
    camera = gone(state, last_error="The camera broke the connection.")
    assert look(29.9) == []
    [opened] = look(30)
    assert (opened.change, look(32)) == ("opened", [])
    alert = Alert.objects.get(pk=opened.alert_id)
    assert (alert.kind, alert.camera, alert.risk_type, alert.risk_level) == ("camera_lost", camera, "other", "low")
    assert (alert.opened_at, alert.last_seen_at, alert.description) == (
        NOON,
        at(30),
        "The camera broke the connection.",
    )


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (StreamState.ONLINE, Wanted.RUNNING),
        (StreamState.STOPPED, Wanted.STOPPED),
        (StreamState.OFFLINE, Wanted.STOPPED),
        (StreamState.UNKNOWN, Wanted.RUNNING),
    ],
)
def test_camera_that_runs_or_is_not_wanted_raises_none(state: StreamState, wanted: Wanted) -> None:
    gone(state, wanted=wanted)
    assert look(3600) == []


def test_stale_camera_that_goes_offline_has_been_gone_since_it_was_stale() -> None:
    camera = gone(StreamState.STALE)
    assert record_state(camera.pk, StreamState.OFFLINE, error="Nobody answers.", now=at(20))
    look(30)
    assert Alert.objects.get().opened_at == NOON


def test_alert_closes_by_itself_when_the_camera_is_back_and_says_how_long_it_was_gone() -> None:
    camera = gone(last_error="The camera broke the connection.")
    [opened] = look(30)
    record_state(camera.pk, StreamState.ONLINE, now=at(184))
    assert look(185) == [AlertChange(opened.alert_id, "closed", RiskLevel.LOW)]
    assert look(187) == []
    alert = Alert.objects.get()
    assert (alert.state, alert.closed_at) == ("closed", at(185))
    assert alert.description == "The camera broke the connection. Back after 3 min 5 s."


def test_alert_closes_when_the_camera_is_no_longer_wanted() -> None:
    camera = gone()
    look(30)
    Camera.objects.filter(pk=camera.pk).update(wanted=Wanted.STOPPED)
    [closed] = look(42)
    assert closed.change == "closed"
    ending = "Stopped by an operator after being gone for 42 s."
    assert Alert.objects.get().description == f"It gives no pictures. {ending}"


def test_camera_lost_again_raises_another_alert() -> None:
    camera = gone()
    look(30)
    record_state(camera.pk, StreamState.ONLINE, now=at(40))
    look(41)
    record_state(camera.pk, StreamState.OFFLINE, now=at(50))
    assert [change.change for change in look(80)] == ["opened"]
    assert Alert.objects.count() == 2


def test_capture_that_starts_anew_leaves_the_alert_as_it_is() -> None:
    camera = gone()
    look(30)
    record_state(camera.pk, StreamState.CONNECTING, now=at(40))
    record_state(camera.pk, StreamState.OFFLINE, now=at(50))
    assert look(90) == []
    assert Alert.objects.get().opened_at == NOON


def test_two_sweeps_at_once_open_one_alert() -> None:
    camera = gone()
    look(30)
    assert camera_lost._open(camera, at(30)) is None
    assert Alert.objects.count() == 1


def test_database_holds_one_live_alert_of_a_lost_camera() -> None:
    camera = gone()
    look(30)
    twin = {"camera": camera, "risk_level": "low", "risk_type": "other", "opened_at": NOON, "last_seen_at": NOON}
    with pytest.raises(IntegrityError), transaction.atomic():
        Alert.objects.create(kind=AlertKind.CAMERA_LOST, **twin)
    Alert.objects.create(kind=AlertKind.DANGER, **twin)
    with pytest.raises(IntegrityError), transaction.atomic():
        Alert.objects.create(kind="other", **twin)


def test_many_cameras_lost_at_once_raise_an_alert_each() -> None:
    cameras = [gone() for _ in range(12)]
    assert len(look(30)) == 12
    assert set(Alert.objects.values_list("camera", flat=True)) == {camera.pk for camera in cameras}


def test_lost_camera_is_acknowledged_like_a_danger_and_still_closes() -> None:
    camera = gone()
    [opened] = look(30)
    assert acknowledge(opened.alert_id, by=User.objects.create(username="olga"), now=at(31))
    assert look(60) == []
    record_state(camera.pk, StreamState.ONLINE, now=at(70))
    assert [change.change for change in look(71)] == ["closed"]


def test_lost_camera_is_no_danger_and_dangers_leave_it_alone() -> None:
    camera = gone()
    look(30)
    row = record(camera, captured_at=at(40))
    Assessment.objects.filter(frame_result=row).update(status="done", risk_level="high", risk_type=RiskType.OTHER)
    [change] = apply_verdicts(row)
    assert (change.change, change.level) == ("opened", RiskLevel.HIGH)
    assert close_unseen(now=at(3600)) == [AlertChange(change.alert_id, "closed", RiskLevel.HIGH)]
    [lost] = Alert.objects.live()
    assert (lost.kind, lost.times_seen) == ("camera_lost", 1)


def test_lost_camera_is_counted_neither_as_a_risk_nor_by_type(client: Client) -> None:
    before = risks(client)
    gone()
    look(30)
    assert risks(client) == before


def risks(client: Client) -> list[str]:
    exposed = client.get("/metrics").content.decode().splitlines()
    return [line for line in exposed if line.startswith(("risk_alerts_total", "risk_types_detected_total"))]


def test_password_of_the_stream_is_not_in_the_alert() -> None:
    gone(last_error=f"rtsp://operator:{PASSWORD}@93.184.215.14/live does not answer.")
    look(30)
    assert PASSWORD not in Alert.objects.get().description


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (3600, "1 h 0 min"), (90061, "25 h 1 min")],
)
def test_duration_is_said_in_words(seconds: float, words: str) -> None:
    assert spell_duration(seconds) == words


def sweeping_since(client: redis.Redis, seconds: float) -> None:
    client.set(WATCH_KEY, utc_now().timestamp() - seconds)


def test_sweep_tells_of_a_camera_that_dead_capture_left_online(redis_client: redis.Redis) -> None:
    camera = gone(StreamState.ONLINE, last_frame_at=NOON)
    sweeping_since(redis_client, 60)
    upkeep.sweep_unfinished()
    camera.refresh_from_db()
    assert (camera.state, Alert.objects.count()) == (StreamState.STALE, 0)
    Camera.objects.filter(pk=camera.pk).update(state_since=utc_now() - GRACE)
    upkeep.sweep_unfinished()
    upkeep.sweep_unfinished()
    assert Alert.objects.get().camera == camera
    [kept] = redis_client.lrange(f"alerts:{camera.pk}", 0, -1)
    assert b'"kind":"camera_lost"' in kept


def test_fleet_that_has_just_been_started_gives_its_cameras_their_time(redis_client: redis.Redis) -> None:
    gone()
    upkeep.sweep_unfinished()
    assert (Alert.objects.count(), redis_client.ttl(WATCH_KEY) > 0) == (0, True)
    sweeping_since(redis_client, 29)
    upkeep.sweep_unfinished()
    assert Alert.objects.count() == 0
    sweeping_since(redis_client, 31)
    upkeep.sweep_unfinished()
    assert Alert.objects.count() == 1


def test_alert_outlives_a_restart_of_everything(redis_client: redis.Redis) -> None:
    camera = gone()
    sweeping_since(redis_client, 60)
    upkeep.sweep_unfinished()
    redis_client.flushdb()
    upkeep.sweep_unfinished()
    assert Alert.objects.live().count() == 1
    record_state(camera.pk, StreamState.ONLINE, now=utc_now())
    upkeep.sweep_unfinished()
    assert Alert.objects.live().count() == 0
