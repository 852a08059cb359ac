"""What is published: kept in Redis for pages that open later, and heard by the channel layer's listeners."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
import redis
from channels.layers import get_channel_layer
from prometheus_client import REGISTRY
from redis.backoff import NoBackoff
from redis.retry import Retry

from assessment.alerts import acknowledge, apply_verdicts
from assessment.models import Assessment, FrameResult
from assessment.results import close_frames
from assessment.risk import AssessmentStatus, RiskLevel, RiskType
from cameras.frames import connect_redis
from cameras.models import Camera
from tests.connections import connections_to
from tests.factories import NOON, make_camera, record
from trafficmon.accounts.models import User
from trafficmon.live import publish, snapshot
from trafficmon.live.topics import Event, camera_topic

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def judge(row: FrameResult, level: RiskLevel = RiskLevel.HIGH) -> None:
    row.assessments.update(
        status=AssessmentStatus.DONE, risk_level=level, risk_type=RiskType.RED_LIGHT, description="It passed at red."
    )
    assert close_frames([row.pk], now=NOON)


def kept(client: redis.Redis, camera: Camera) -> dict[str, object]:
    content: dict[str, object] = json.loads(client.get(f"camera:{camera.pk}:latest") or "{}")
    return content


def test_published_frame_is_kept_for_five_minutes(redis_client: redis.Redis) -> None:
    camera = make_camera()
    row = record(camera)
    publish.publish_frame(row)
    assert (kept(redis_client, camera)["frameKey"], kept(redis_client, camera)["assessmentStatus"]) == (
        row.frame_key,
        "pending",
    )
    assert 290 < redis_client.ttl(f"camera:{camera.pk}:latest") <= 300


def test_frame_that_ends_late_does_not_replace_a_newer_one(redis_client: redis.Redis) -> None:
    camera = make_camera()
    older, newer = record(camera), record(camera, captured_at=NOON + timedelta(seconds=2))
    publish.publish_frame(newer)
    publish.publish_frame(older)
    assert kept(redis_client, camera)["frameKey"] == newer.frame_key


def test_verdict_is_written_into_the_kept_frame(redis_client: redis.Redis) -> None:
    camera = make_camera()
    row = record(camera)
    publish.publish_frame(row)
    judge(row)
    publish.publish_verdict(FrameResult.objects.get(pk=row.pk))
    latest = kept(redis_client, camera)
    assert (latest["assessmentStatus"], latest["maxRiskLevel"], latest["frameTimestamp"]) == (
        "done",
        "high",
        latest["timestamp"],
    )


def test_next_frame_carries_the_verdict_of_the_one_before(redis_client: redis.Redis) -> None:
    camera = make_camera()
    judged, row = record(camera), record(camera, captured_at=NOON + timedelta(seconds=2))
    judge(judged)
    publish.publish_verdict(FrameResult.objects.get(pk=judged.pk))
    publish.publish_frame(row)
    latest = kept(redis_client, camera)
    assert (latest["assessmentStatus"], latest["maxRiskLevel"], latest["frameTimestamp"]) == (
        "pending",
        "high",
        "2026-05-04T12:00:00.000Z",
    )


def test_failed_frame_never_looks_safe(redis_client: redis.Redis) -> None:
    camera = make_camera()
    row = record(camera)
    publish.publish_frame(row)
    row.assessments.update(status=AssessmentStatus.FAILED)
    assert close_frames([row.pk], now=NOON)
    publish.publish_verdict(FrameResult.objects.get(pk=row.pk))
    latest = snapshot.load_latest(redis_client, camera.pk)
    assert latest is not None
    assert (latest.assessment_status, latest.verdict_status, latest.dangerous_driving_results) == (
        AssessmentStatus.FAILED,
        AssessmentStatus.FAILED,
        (),
    )


def test_alert_changes_are_listed_newest_first(redis_client: redis.Redis) -> None:
    camera = make_camera()
    row = record(camera)
    judge(row)
    [opened] = apply_verdicts(row)
    publish.publish_alert(opened.alert_id, opened.change)
    acknowledge(opened.alert_id, by=User.objects.create(username="op"), now=NOON)
    publish.publish_alert(opened.alert_id, "acknowledged")
    listed = [json.loads(each) for each in redis_client.lrange(f"alerts:{camera.pk}", 0, -1)]
    assert [(each["change"], each["state"]) for each in listed] == [
        ("acknowledged", "acknowledged"),
        ("opened", "open"),
    ]


def test_channel_layer_hears_what_is_published() -> None:
    camera = make_camera()
    row = record(camera)

    async def listen() -> dict[str, object]:
        layer: Any = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(camera_topic(camera.pk), channel)
        event: Event = {"type": "frame.ready", "camera_id": camera.pk, "frame_key": row.frame_key}
        await asyncio.to_thread(publish.send, connect_redis(), camera.pk, event)
        heard: dict[str, object] = await asyncio.wait_for(layer.receive(channel), 30)
        await layer.flush()
        return heard

    assert asyncio.run(listen()) == {"type": "frame.ready", "camera_id": camera.pk, "frame_key": row.frame_key}


def test_unreachable_redis_is_counted_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    row = record(make_camera())
    nowhere = redis.Redis(unix_socket_path="/nowhere/redis.sock", retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(publish, "connect_redis", lambda: nowhere)
    before = failures()
    publish.publish_frame(row)
    assert failures() == before + 1


def failures() -> float:
    return REGISTRY.get_sample_value("queue_send_errors_total", {"queue": "live"}) or 0.0


def test_publishing_from_threads_keeps_a_connection_each_and_no_more(redis_client: redis.Redis) -> None:
    client = connect_redis()

    def publish_many() -> None:
        for _ in range(100):
            publish.send(client, 1, {"type": "frame.ready", "camera_id": 1, "frame_key": "k"})

    def in_threads() -> None:
        threads = [threading.Thread(target=publish_many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    before = len(connections_to(redis_client))
    for _ in range(3):
        in_threads()
    assert len(connections_to(redis_client)) <= before + 4


def test_status_and_end_of_a_stream_reach_the_cameras_topic() -> None:
    camera = make_camera(state="offline", last_error="No route.")

    async def listen() -> list[dict[str, object]]:
        layer: Any = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(camera_topic(camera.pk), channel)
        publish.send(connect_redis(), camera.pk, status)
        publish.send(connect_redis(), camera.pk, stopped)
        heard = [await asyncio.wait_for(layer.receive(channel), 30) for _ in range(2)]
        await layer.flush()
        return heard

    sent: list[Event] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "send", lambda _client, _camera_id, event: sent.append(event))
        publish.publish_camera_status(camera.pk)
        publish.publish_stream_stopped(camera.pk, "asked to")
    status, stopped = sent
    heard = [json.loads(str(each["text"]))["data"] for each in asyncio.run(listen())]
    assert heard == [
        {"cameraId": camera.pk, "status": 0, "message": "No route.", "state": "offline"},
        {"cameraId": camera.pk, "reason": "asked to"},
    ]


def test_assessments_of_a_frame_are_read_in_one_query(django_assert_num_queries: Any) -> None:
    row = record(make_camera(), groups=3)
    assert Assessment.objects.count() == 3
    with django_assert_num_queries(1):
        publish.publish_frame(row)
