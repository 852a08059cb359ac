"""A frame's way through the workers: real Redis, real database, the real SDK against the bundled simulator."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import cv2
import numpy as np
import pytest
import redis
from pydantic import SecretStr
from pytest_django import Settings

from assessment import evidence, keys
from assessment.assess import claim_next
from assessment.calling import Caller
from assessment.dead_letters import Chosen, send_again
from assessment.judge import judge
from assessment.ladder import LadderLevel
from assessment.latency import note_answer
from assessment.limiter import NoSlot
from assessment.models import Alert, Assessment, DeadLetter, Evidence, FrameResult, Spending
from assessment.results import delete_frames
from assessment.service_level import LADDER_KEY
from assessment.showing import WIDE_WIDTH_PX
from assessment.simulator import Latency, RunningSimulator, running_simulator
from cameras.frames import FrameRef, FrameStore
from cameras.load import skipped_of
from cameras.models import Camera
from detection.detect import FramePipeline, read_picture
from detection.detections import Detection
from detection.tracks import tracks_from_bytes
from tests.factories import detect, make_camera, record
from tests.fakes import FakeDetector
from trafficmon.core.clock import utc_now
from trafficmon.core.objects import ObjectClass
from trafficmon.live import publish
from trafficmon.live.snapshot import last_verdict
from workers import answering, closing, pipeline, upkeep
from workers.pipeline import WakeUp
from workers.queues import Queue

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
SEED = 1
"""With which the simulator sees a danger in CONFLICT."""
CONFLICT = (detect(600, 400, track_id=None), detect(625, 402, ObjectClass.PERSON))


@pytest.fixture
def store(redis_client: redis.Redis) -> FrameStore:
    return FrameStore(redis_client)


@pytest.fixture
def camera() -> Camera:
    return make_camera()


@pytest.fixture
def simulator(settings: Settings) -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0), seed=SEED, keep_requests=10) as running:
        told = {"llm_base_url": running.base_url, "dashscope_api_key": SecretStr("sk-of-the-tests")}
        settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=told)
        keys.forget_pool()
        yield running
    keys.forget_pool()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Any:
    # As wide as the pictures, so that what the detector says is in their pixels.
    model = settings.MODEL_FILE.model.model_copy(update={"image_size": 1280})
    settings.MODEL_FILE = settings.MODEL_FILE.model_copy(update={"model": model})

    def show(*detections: Detection) -> None:
        made = FramePipeline(FakeDetector(detections), settings.MODEL_FILE)
        monkeypatch.setattr(pipeline, "frame_pipeline", lambda: made)

    return show


def offer(store: FrameStore, camera: Camera, key: str, *, age_seconds: float = 0) -> None:
    picture = np.full((720, 1280, 3), 90, np.uint8)
    store.put(key, cv2.imencode(".jpg", picture)[1].tobytes())
    store.offer(FrameRef(camera.pk, key, utc_now() - timedelta(seconds=age_seconds)))


def answer_everything() -> set[int]:
    ended = set()
    while Assessment.objects.claimable(utc_now()).exists():
        ended |= set(answering.answer_waiting(pipeline.frame_store()))
    return ended


def test_frame_goes_from_capture_to_an_alert_with_evidence(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any, redis_client: redis.Redis
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    wake_ups = pipeline.detect_newest(camera.pk)
    question = Assessment.objects.get()
    assert wake_ups == [WakeUp(Queue.ASSESS_URGENT, question.pk)]
    assert json.loads(redis_client.get(f"camera:{camera.pk}:latest") or b"{}")["assessmentStatus"] == "pending"

    [frame] = answer_everything()
    closing.close([frame])
    question.refresh_from_db()
    assert (question.status, question.risk_type) == ("done", "pedestrian_conflict")
    assert FrameResult.objects.get().max_risk_level == question.risk_level
    assert Alert.objects.get().assessment == question
    assert sorted(Evidence.objects.values_list("kind", flat=True)) == ["crop", "frame"]
    assert redis_client.llen(f"alerts:{camera.pk}") == 1


def test_second_delivery_of_anything_changes_nothing(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any
) -> None:
    seen(*CONFLICT)
    for _delivery in range(2):
        offer(store, camera, "frame-a")
        pipeline.detect_newest(camera.pk)
    [frame] = answer_everything()
    assert list(answering.answer_waiting(pipeline.frame_store())) == []
    for _delivery in range(2):
        closing.close([frame])
    assert (FrameResult.objects.count(), Assessment.objects.count(), Alert.objects.get().times_seen) == (1, 1, 1)
    assert simulator.stats()["requests"] == 1


def test_frame_that_waited_too_long_is_dropped(
    store: FrameStore, camera: Camera, seen: Any, redis_client: redis.Redis
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a", age_seconds=11)
    assert pipeline.detect_newest(camera.pk) == []
    assert FrameResult.objects.count() == 0
    assert skipped_of(redis_client, camera.pk)[1] == {"stale": 1}


def test_frame_whose_picture_is_gone_or_damaged_is_counted_with_its_camera(
    store: FrameStore, camera: Camera, seen: Any, redis_client: redis.Redis
) -> None:
    seen(*CONFLICT)
    for key, picture in (("frame-a", None), ("frame-b", b"no picture")):
        if picture:
            store.put(key, picture)
        store.offer(FrameRef(camera.pk, key, utc_now()))
        assert pipeline.detect_newest(camera.pk) == []
    assert skipped_of(redis_client, camera.pk)[1] == {"lost": 1, "unreadable": 1}


def counted(client: redis.Redis) -> dict[str, int]:
    """What was counted for the pace, over all seconds."""
    keys = list(client.scan_iter("load:*"))
    sums = {name: sum(int(client.hget(key, name) or 0) for key in keys) for name in ("taken", "given_up")}
    return {name: count for name, count in sums.items() if count}


def test_frame_taken_is_counted_for_the_pace(
    store: FrameStore, camera: Camera, redis_client: redis.Redis, seen: Any
) -> None:
    seen()
    pipeline.detect_newest(camera.pk)
    assert counted(redis_client) == {}
    offer(store, camera, "frame-a", age_seconds=9)
    pipeline.detect_newest(camera.pk)
    assert counted(redis_client) == {"taken": 1}


def test_stale_frame_is_given_up_and_not_taken(store: FrameStore, camera: Camera, redis_client: redis.Redis) -> None:
    offer(store, camera, "frame-a", age_seconds=11)
    pipeline.detect_newest(camera.pk)
    assert counted(redis_client) == {"given_up": 1}


@pytest.mark.parametrize(
    ("interval", "age_seconds", "found"),
    [
        (None, 11, "given_up"),
        (25.0, 24, "taken"),
        (25.0, 26, "given_up"),
        (600.0, 29, "taken"),
        (600.0, 31, "given_up"),
    ],
)
def test_frame_is_fresh_for_as_long_as_its_cameras_own_interval_within_bounds(
    store: FrameStore, redis_client: redis.Redis, seen: Any, interval: float | None, age_seconds: float, found: str
) -> None:
    seen()
    camera = make_camera(frame_interval=interval)
    offer(store, camera, "frame-a", age_seconds=age_seconds)
    redis_client.pexpire("frame:frame-a", 1000)
    pipeline.detect_newest(camera.pk)
    assert counted(redis_client) == {found: 1}
    assert (redis_client.ttl("frame:frame-a") > 60) == (found == "taken")


def test_failed_detection_does_not_blind_the_camera(
    store: FrameStore, camera: Camera, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(store, camera, "frame-a")
    monkeypatch.setattr(pipeline, "frame_pipeline", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.detect_newest(camera.pk)
    assert store.offer(FrameRef(camera.pk, "frame-b", utc_now())).wake is True


def test_model_is_shown_the_burst_in_time_order(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any
) -> None:
    seen(*CONFLICT)
    for shade, key in enumerate(("early", "middle", "late")):
        store.put(key, cv2.imencode(".jpg", np.full((720, 1280, 3), 60 * shade, np.uint8))[1].tobytes())
    store.offer(FrameRef(camera.pk, "late", utc_now(), burst=("early", "middle", "late")))
    pipeline.detect_newest(camera.pk)
    answer_everything()
    [request] = simulator.captured
    images = [part["image"] for part in request.body["input"]["messages"][1]["content"] if "image" in part]
    wide, *crops = [read_picture(b64decode(each.split(",")[1])) for each in images]
    assert [round(float(np.median(each))) for each in crops] == [0, 60, 120]
    assert (round(float(np.median(wide))), wide.shape[1]) == (120, WIDE_WIDTH_PX)


@pytest.mark.parametrize("kept", [("early", "middle", "late"), ("middle", "late"), ("late",)])
def test_road_users_are_followed_through_the_pictures_of_a_burst_still_there(
    store: FrameStore, camera: Camera, seen: Any, settings: Settings, kept: tuple[str, ...]
) -> None:
    tracking = settings.MODEL_FILE.tracking.model_copy(update={"burst_detections": 3})
    settings.MODEL_FILE = settings.MODEL_FILE.model_copy(update={"tracking": tracking})
    seen(detect(600, 400))
    for key in kept:
        store.put(key, cv2.imencode(".jpg", np.full((720, 1280, 3), 90, np.uint8))[1].tobytes())
    now = utc_now()
    moments = tuple(now - timedelta(seconds=0.25 * before) for before in (2, 1, 0))
    store.offer(FrameRef(camera.pk, "late", now, ("early", "middle", "late"), moments))
    pipeline.detect_newest(camera.pk)
    [one] = tracks_from_bytes(store.load_tracks(camera.pk) or b"").tracks
    assert (one.hits, one.frames, one.seen_at) == (len(kept), 1, now)


def test_frame_that_arrives_meanwhile_is_woken_for_next(
    store: FrameStore, camera: Camera, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen()
    offer(store, camera, "frame-a")

    def publish_and_offer(_frame_result_id: int) -> None:
        offer(store, camera, "frame-b")

    monkeypatch.setattr(publish, "publish_frame", publish_and_offer)
    assert pipeline.detect_newest(camera.pk) == [WakeUp(Queue.DETECT, camera.pk)]


@pytest.mark.parametrize(
    ("detections", "assessed", "reason"),
    [((), True, "fewer than two road users"), (CONFLICT, False, "assessment is switched off")],
)
def test_frame_not_asked_about_says_why(
    store: FrameStore, seen: Any, detections: tuple[Detection, ...], assessed: bool, reason: str
) -> None:
    seen(*detections)
    camera = make_camera(assessment_enabled=assessed)
    offer(store, camera, "frame-a")
    assert pipeline.detect_newest(camera.pk) == []
    row = FrameResult.objects.get()
    assert (row.status, row.reason) == ("skipped", reason)


def test_second_frame_within_the_cooldown_is_not_asked_about(store: FrameStore, camera: Camera, seen: Any) -> None:
    seen(*CONFLICT)
    for key in ("frame-a", "frame-b"):
        offer(store, camera, key)
        pipeline.detect_newest(camera.pk)
    rows = FrameResult.objects.order_by("pk").values_list("status", "reason")
    assert list(rows) == [("pending", ""), ("skipped", "the camera's cooldown has not passed")]


@pytest.mark.parametrize("kind", ["rubbish", "empty"])
def test_rubbish_is_a_failed_assessment_and_never_safe(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any, kind: str
) -> None:
    seen(*CONFLICT)
    simulator.control(kind=kind)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    ended: list[int] = []
    for _try in range(3):
        Assessment.objects.pending().update(next_at=utc_now())
        ended += answering.answer_waiting(pipeline.frame_store())
    row = FrameResult.objects.get()
    assert (ended, Assessment.objects.get().attempts) == ([row.pk], 3)
    closing.close([row.pk])
    assert Assessment.objects.get().status == "failed"
    assert FrameResult.objects.get().status == "failed"
    assert Alert.objects.count() == 0


def test_picture_that_is_gone_fails_the_question(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any, redis_client: redis.Redis
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    redis_client.delete("frame:frame-a")
    answer_everything()
    question = Assessment.objects.get()
    assert (question.status, question.reason) == ("failed", "picture_gone")
    assert simulator.stats()["requests"] == 0


def test_sweep_wakes_what_was_forgotten_and_gives_up_what_is_overdue(
    store: FrameStore, camera: Camera, seen: Any
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    assert upkeep.sweep_unfinished() == []
    question = Assessment.objects.get()
    Assessment.objects.update(created_at=utc_now() - upkeep.WAKE_AFTER)
    assert upkeep.sweep_unfinished() == [WakeUp(Queue.ASSESS_URGENT, question.pk)]
    Assessment.objects.update(deadline_at=utc_now())
    assert upkeep.sweep_unfinished() == [WakeUp(Queue.RESULTS, question.frame_result_id)]
    closing.close([question.frame_result_id])
    assert FrameResult.objects.get().status == "expired"


def test_sweep_closes_a_frame_whose_last_message_was_lost(store: FrameStore, camera: Camera, seen: Any) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    Assessment.objects.update(status="failed")
    FrameResult.objects.update(detected_at=utc_now() - upkeep.WAKE_AFTER)
    assert upkeep.sweep_unfinished() == [WakeUp(Queue.RESULTS, FrameResult.objects.get().pk)]


def test_high_risk_makes_the_camera_pause(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    [frame] = answer_everything()
    Assessment.objects.update(risk_level="high")
    closing.close([frame])
    assert 2 < store.pause_left(camera.pk) <= 3


def test_answer_counts_though_redis_goes_away_right_after_it(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    monkeypatch.setattr(answering, "note_answer", lambda _client, *told: note_answer(redis.Redis(port=1), *told))
    assert len(answer_everything()) == 1
    assert Assessment.objects.get().status == "done"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("simulator")
def test_answer_to_a_question_that_is_gone_is_paid_all_the_same(
    store: FrameStore, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = make_camera()

    def judge_too_late(*given: Any, **named: Any) -> Any:
        judgement = judge(*given, **named)
        delete_frames(FrameResult.objects.all())
        return judgement

    monkeypatch.setattr(answering, "judge", judge_too_late)
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    assert answer_everything() == set()
    assert (Spending.objects.get().calls, Evidence.objects.count()) == (1, 0)


def test_repair_does_not_count_as_an_answer_s_usual_time(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(*CONFLICT)
    simulator.control(kind="rubbish", count=1)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    noted: list[str] = []
    monkeypatch.setattr(answering, "note_answer", lambda _client, model, _seconds: noted.append(model))
    answer_everything()
    assert (simulator.stats()["requests"], len(noted)) == (2, 1)


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(
    ("level", "ended"), [(LadderLevel.CHEAPER_MODEL, "done"), (LadderLevel.URGENT_ONLY, "expired")]
)
def test_what_is_worth_beginning_is_told_by_the_model_that_is_asked(
    store: FrameStore, camera: Camera, seen: Any, settings: Settings, level: LadderLevel, ended: str
) -> None:
    seen(*CONFLICT)
    told = {"llm_model": "qwen-vl-max", "llm_cheaper_model": "qwen-vl-plus"}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=told)
    store.client.set(LADDER_KEY, json.dumps({"level": level}))
    store.client.set(f"{LADDER_KEY}:look", "1")
    store.client.set("{llm}:answer_seconds:qwen-vl-max", "90")
    store.client.set("{llm}:answer_seconds:qwen-vl-plus", "2")
    answering._least_seconds.forget()
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    Assessment.objects.update(deadline_at=utc_now() + timedelta(seconds=30))
    upkeep.sweep_unfinished()
    list(answering.answer_waiting(store))
    assert Assessment.objects.get().status == ended


def test_question_is_given_back_at_once_while_redis_is_away(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    gone = FrameStore(redis.Redis(port=1))
    monkeypatch.setattr(answering, "least_seconds", lambda _client, _model: 0.0)
    assert list(answering.answer_waiting(gone)) == []
    question = Assessment.objects.get()
    assert (question.status, question.reason, question.lease_token) == ("pending", "limiter_unreachable", "")
    assert (question.attempts, simulator.stats()["requests"]) == (0, 0)


def test_question_without_a_slot_is_given_back_before_its_pictures_are_made(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    monkeypatch.setattr(answering, "judge", unexpected)
    monkeypatch.setattr(answering, "REST_SECONDS", 0.01)
    monkeypatch.setattr(Caller, "reserve", no_slot)
    assert not answer_everything()
    question = Assessment.objects.get()
    assert (question.status, question.reason, question.lease_token) == ("pending", "cooling", "")
    assert question.attempts == 0
    assert question.next_at > utc_now() + timedelta(seconds=8)


def unexpected(*_given: object, **_named: object) -> None:
    pytest.fail("the pictures were made")


def no_slot(*_given: object, **_named: object) -> None:
    raise NoSlot("cooling", 9.0)


def test_dead_letter_is_answered_from_the_evidence_and_labelled_late(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any, redis_client: redis.Redis
) -> None:
    seen(*CONFLICT)
    simulator.control(kind="bad_request", count=1)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    [frame] = answer_everything()
    closing.close([frame])
    assert FrameResult.objects.get().status == "failed"
    redis_client.delete("frame:frame-a")
    assert len(send_again(Chosen(), now=utc_now(), patience=timedelta(seconds=60))) == 1
    [again] = answer_everything()
    closing.close([again])
    question = Assessment.objects.get()
    assert (again, question.status, question.late) == (frame, "done", True)
    assert Alert.objects.count() == 0
    verdict = last_verdict(redis_client, camera.pk)
    assert verdict
    assert (verdict.late, verdict.max_risk_level) == (True, question.risk_level)


def let_die(times: int) -> None:
    """So many workers take the question and are never heard of again."""
    for _death in range(times):
        assert claim_next(now=utc_now(), seconds=10)
        Assessment.objects.update(lease_until=utc_now())


def test_question_that_outlives_its_workers_is_given_up_with_its_picture_unread(
    store: FrameStore,
    camera: Camera,
    simulator: RunningSimulator,
    seen: Any,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    picture = store.get("frame-a")
    let_die(3)
    with monkeypatch.context() as patch:
        patch.setattr(evidence, "read_part", unexpected)
        [frame] = answer_everything()
    closing.close([frame])
    letter = DeadLetter.objects.get()
    assert (letter.reason, letter.detail, letter.attempts) == ("worker_lost", "3 workers that took it died.", 3)
    with Evidence.objects.get().picture.open() as kept:
        assert kept.read() == picture
    redis_client.delete("frame:frame-a")
    assert len(send_again(Chosen(), now=utc_now(), patience=timedelta(seconds=60))) == 1
    answer_everything()
    assert Assessment.objects.get().status == "done"


def test_failed_calls_are_no_dead_workers(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any
) -> None:
    seen(*CONFLICT)
    offer(store, camera, "frame-a")
    pipeline.detect_newest(camera.pk)
    Assessment.objects.update(attempts=2)
    let_die(1)
    answer_everything()
    assert Assessment.objects.get().status == "done"


def test_worker_that_is_told_to_end_begins_no_more(
    store: FrameStore, camera: Camera, simulator: RunningSimulator, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        record(camera, captured_at=utc_now() - timedelta(seconds=number))
    stopping = threading.Event()
    monkeypatch.setattr(answering, "STOPPING", stopping)
    for _ended in answering.answer_waiting(pipeline.frame_store()):
        stopping.set()
    assert Assessment.objects.pending().count() == 2
    assert list(answering.answer_waiting(pipeline.frame_store())) == []
    assert Assessment.objects.pending().count() == 2


def test_thread_that_rests_and_is_told_to_end_begins_no_more(
    store: FrameStore, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(camera, captured_at=utc_now())
    stopping = threading.Event()
    monkeypatch.setattr(answering, "STOPPING", stopping)
    monkeypatch.setattr(answering, "_rest", answering.Rest(until=time.monotonic() + 60))
    telling = threading.Timer(0.1, stopping.set)
    telling.start()
    assert list(answering.answer_waiting(pipeline.frame_store())) == []
    telling.join()
    assert Assessment.objects.get().status == "pending"
