"""What time brings about, and what is measured meanwhile."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from django.test import Client
from kombu.exceptions import OperationalError
from prometheus_client import REGISTRY
from pytest_django import Settings

from assessment import keys
from assessment.alerts import apply_verdicts
from assessment.evidence import Pictures, forget_pictures, keep_evidence
from assessment.ladder import LadderLevel, LadderReason
from assessment.ledger import Call, day_of, record_calls
from assessment.models import Account, Alert, ApiKey, Assessment, Evidence, FrameResult, Spending
from assessment.results import forget_frames
from assessment.service_level import LADDER_KEY
from cameras.health import mark_stale
from cameras.load import PACE_KEY, current_stretch
from cameras.models import StreamState, Wanted
from cameras.sources import encode_jpeg
from detection.detect import read_picture
from tests.factories import frames_before, make_camera, record, seal
from trafficmon.core.clock import utc_now
from trafficmon.core.geometry import Box
from trafficmon.live import publish
from workers import queues, retention, upkeep
from workers.pipeline import WakeUp
from workers.queues import Queue, send
from workers.tasks import detect_frame, send_wake_up

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


@pytest.fixture(autouse=True)
def own_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


class UnreachableTask:
    """A task whose broker is away."""

    name = "unreachable"

    def apply_async(self, **_options: Any) -> None:
        raise OperationalError("nobody there")


def test_old_frames_go_calm_ones_first_and_alerts_outlive_their_evidence() -> None:
    calm, risky, ancient = (
        make_risky(days_ago=days, level=level) for days, level in ((2, "none"), (2, "high"), (40, "high"))
    )
    [change] = apply_verdicts(ancient)
    before = failures()
    retention.forget_old_frames()
    assert failures() == before
    assert list(FrameResult.objects.values_list("pk", flat=True)) == [risky.pk]
    assert Alert.objects.get(pk=change.alert_id).assessment is None
    assert not Assessment.objects.filter(frame_result__in=[calm.pk, ancient.pk]).exists()


def failures() -> float:
    """How many steps have failed until now."""
    return REGISTRY.get_sample_value("pipeline_errors_total", {"stage": "forget_old_frames"}) or 0.0


def test_step_that_fails_is_counted_and_holds_back_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_times: object) -> int:
        raise ValueError("of one step alone")

    monkeypatch.setattr("assessment.hours.add_up_hours", fail)
    monkeypatch.setattr("workers.retention.guard_disk", fail)
    old, before = make_risky(days_ago=2, level="none"), failures()
    retention.forget_old_frames()
    assert not FrameResult.objects.filter(pk=old.pk).exists()
    assert failures() == before + 2


def test_one_run_at_a_time_in_the_whole_fleet(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []

    def run(*_arguments: object, **_times: object) -> dict[str, int]:
        runs.append(redis_client.ttl(retention.LOCK))
        retention.forget_old_frames()
        return {}

    monkeypatch.setattr(retention, "_run", run)
    for _minute in range(2):
        retention.forget_old_frames()
    assert len(runs) == 2
    assert all(0 < left <= 120 for left in runs)
    assert not redis_client.exists(retention.LOCK)


def test_each_step_has_half_of_the_time_that_is_left() -> None:
    def take(*, seconds: float) -> int:
        return round(seconds)

    until = time.monotonic() + 40.0
    assert retention._run({"first": take, "second": take}, until=until) == {"first": 20, "second": 20}
    assert retention._run({"late": take}, until=until - 50.0) == {"late": 0}


def make_risky(*, days_ago: float, level: str) -> FrameResult:
    row = record(make_camera(), captured_at=utc_now() - timedelta(days=days_ago))
    Assessment.objects.filter(frame_result=row).update(status="done", risk_level=level, risk_type="collision")
    FrameResult.objects.filter(pk=row.pk).update(max_risk_level=level, status="done", closed_at=utc_now())
    return row


def test_retention_goes_on_until_nothing_old_is_left() -> None:
    camera = make_camera()
    for _ in range(5):
        record(camera, captured_at=utc_now() - timedelta(days=2))
    long_ago = utc_now() - timedelta(days=1)
    assert [forget_frames(frames_before(calm=long_ago, risky=long_ago), most=2) for _ in range(4)] == [2, 2, 1, 0]


def test_files_of_old_days_go_even_when_no_row_names_them() -> None:
    question = Assessment.objects.get(frame_result=record(make_camera()))
    grey = encode_jpeg(np.full((90, 160, 3), 90, np.uint8))
    keep_evidence(question.pk, Pictures(grey, (160, 90), Box(10, 10, 50, 30)))
    files = [Path(row.picture.path) for row in Evidence.objects.order_by("kind")]
    assert [read_picture(file.read_bytes()).shape for file in files] == [(20, 40, 3), (90, 160, 3)]
    Evidence.objects.all().delete()
    assert forget_pictures(before=utc_now()) == 0
    tomorrow = utc_now() + timedelta(days=1)
    assert [forget_pictures(before=tomorrow, seconds=-1) for _minute in range(3)] == [1, 1, 0]
    assert [file.exists() for file in files] == [False, False]


def test_evidence_is_kept_once_for_each_kind() -> None:
    question = Assessment.objects.get(frame_result=record(make_camera()))
    for _delivery in range(2):
        keep_evidence(question.pk, Pictures(b"frame", (160, 90)))
    [row] = Evidence.objects.all()
    assert (row.kind, len(row.sha256)) == ("frame", 64)


def test_burst_is_kept_with_its_evidence_in_time_order() -> None:
    question = Assessment.objects.get(frame_result=record(make_camera()))
    for _delivery in range(2):
        keep_evidence(question.pk, Pictures(b"frame", (160, 90), earlier=(b"first", b"second")))
    rows = Evidence.objects.order_by("kind", "number")
    kept = [(row.kind, row.number, Path(row.picture.path).read_bytes()) for row in rows]
    assert kept == [("earlier", 1, b"first"), ("earlier", 2, b"second"), ("frame", 0, b"frame")]


def test_message_to_an_unreachable_broker_is_counted_and_not_raised() -> None:
    assert send(UnreachableTask(), Queue.ASSESS, assessment_id=1) is False  # type: ignore[arg-type]  # a stand-in


def test_queue_that_nobody_consumes_stops_growing(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MOST_WAITING", {Queue.ASSESS: 3})
    assert [send_wake_up(WakeUp(Queue.ASSESS, number)) for number in range(5)] == [True, True, True, False, False]
    assert redis_client.llen("assess") == 3


def test_wake_up_arrives_on_its_queue_with_ids_only(redis_client: redis.Redis) -> None:
    assert send_wake_up(WakeUp(Queue.DETECT, 7)) is True
    assert redis_client.llen("detect") == 1
    [message] = redis_client.lrange("detect", 0, -1)
    assert detect_frame.name.encode() in message


def test_sweep_lets_the_interval_follow_the_load(redis_client: redis.Redis, client: Client) -> None:
    upkeep.sweep_unfinished()
    assert "frame_interval_stretch 1.0" in client.get("/metrics").content.decode().splitlines()
    overload(redis_client)
    upkeep.sweep_unfinished()
    stretched = current_stretch(redis_client)
    assert stretched == pytest.approx(2.2**0.5)
    assert f"frame_interval_stretch {stretched}" in client.get("/metrics").content.decode().splitlines()


def test_sweep_lets_assessment_follow_what_is_left_to_ask_with(
    redis_client: redis.Redis, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[LadderLevel, LadderReason]] = []
    monkeypatch.setattr(publish, "publish_load", lambda _stretch, ladder: told.append((ladder.level, ladder.reason)))

    def sweep_again() -> None:
        redis_client.delete(f"{LADDER_KEY}:look")
        upkeep.sweep_unfinished()

    sweep_again()
    assert "assessment_ladder_level 3.0" in client.get("/metrics").content.decode().splitlines()
    ApiKey.objects.create(slug="key-1", account=Account.objects.create(slug="acct-a"), secret_encrypted=seal())
    keys.forget_pool()
    sweep_again()
    sweep_again()
    assert "assessment_ladder_level 0.0" in client.get("/metrics").content.decode().splitlines()
    assert told == [(LadderLevel.GEOMETRY_ONLY, LadderReason.NO_KEY), (LadderLevel.ALL, LadderReason.NONE)]


def test_spending_is_kept_as_long_as_counts(settings: Settings) -> None:
    days = settings.ENVIRONMENT.count_retention_days
    for age in (days - 2, days + 2):
        at = utc_now() - timedelta(days=age)
        record_calls([Call(None, "a", "k", "p", "m")], now=at)
    retention.forget_old_frames()
    assert Spending.objects.get().day > day_of(utc_now() - timedelta(days=days))


def overload(client: redis.Redis) -> None:
    """Let twice as much have been offered as was taken for longer than a hiccup, and a look be due."""
    now = client.time()[0]
    for second in range(now - 10, now):
        client.hset(f"load:{second}", mapping={"offered": 20, "taken": 10, "given_up": 10})
    client.set(PACE_KEY, json.dumps({"troubled_since": now - 10}))
    client.delete(f"{PACE_KEY}:look")


def test_camera_is_not_stale_for_an_interval_that_was_stretched() -> None:
    seen_at = utc_now() - timedelta(seconds=40)
    online = {"wanted": Wanted.RUNNING, "state": StreamState.ONLINE, "state_since": seen_at, "last_frame_at": seen_at}
    camera = make_camera(**online)
    assert mark_stale(utc_now(), stretch=8.0) == []
    assert mark_stale(utc_now()) == [camera.pk]
