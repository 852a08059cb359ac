"""The gate in the fleet: what becomes of each group, what is reused, sampled and guessed; real Redis, real database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import cv2
import numpy as np
import pytest
import redis
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse
from pydantic import SecretStr
from pytest_django import DjangoAssertNumQueries, Settings

from assessment import keys
from assessment.gate import Gated, Question, Skipped
from assessment.group_outcomes import outcomes_of
from assessment.judged_lately import judged_lately
from assessment.ladder import LadderLevel, LadderState
from assessment.models import Alert, Assessment, Evidence, FrameResult
from assessment.priors import Prior, PriorReason
from assessment.results import forget_frames, record_frame
from assessment.risk import JudgedBy, SkipReason
from assessment.service_level import measure_workload
from assessment.simulator import Latency, RunningSimulator, running_simulator
from assessment.unasked import Unasked, unasked_of
from cameras.frames import FrameRef, FrameStore
from cameras.models import Camera
from detection.detect import FramePipeline
from detection.detections import Detection
from tests.factories import NOON, PATIENCE, detect, frames_before, make_camera, make_frame, record
from tests.fakes import FakeDetector
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.core.objects import ObjectClass
from workers import answering, closing, gating, pipeline
from workers.pipeline import WakeUp
from workers.queues import Queue

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
CONFLICT = (detect(600, 400), detect(625, 402, ObjectClass.PERSON))
CALM = (detect(100, 200), detect(240, 200))
"""Two cars three lengths apart."""


@pytest.fixture
def store(redis_client: redis.Redis) -> FrameStore:
    return FrameStore(redis_client)


@pytest.fixture
def camera() -> Camera:
    return make_camera()


@pytest.fixture(autouse=True)
def configure(settings: Settings) -> Any:
    """The `llm` part: strict enough for CALM, nothing random, no cooldown, unless a test says otherwise."""

    def change(**fields: object) -> None:
        llm = settings.MODEL_FILE.llm.model_copy(update=fields)
        settings.MODEL_FILE = settings.MODEL_FILE.model_copy(update={"llm": llm})

    model = settings.MODEL_FILE.model.model_copy(update={"image_size": 1280})
    settings.MODEL_FILE = settings.MODEL_FILE.model_copy(update={"model": model})
    strict = settings.MODEL_FILE.llm.prior_threshold.model_copy(update={"ask": 0.2})
    change(prior_threshold=strict, sample_share=0.0, cooldown_seconds=0.0)
    return change


@pytest.fixture
def simulator(settings: Settings) -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0), seed=1) as running:
        told = {"llm_base_url": running.base_url, "dashscope_api_key": SecretStr("sk-of-the-tests")}
        settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=told)
        keys.forget_pool()
        yield running
    keys.forget_pool()


@pytest.fixture
def look(store: FrameStore, camera: Camera, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Any:
    """Let the camera see these, and take the frame to where it is stored."""

    def see(key: str, *detections: Detection) -> list[WakeUp]:
        made = FramePipeline(FakeDetector(detections), settings.MODEL_FILE)
        monkeypatch.setattr(pipeline, "frame_pipeline", lambda: made)
        store.put(key, cv2.imencode(".jpg", np.full((720, 1280, 3), 90, np.uint8))[1].tobytes())
        store.offer(FrameRef(camera.pk, key, utc_now()))
        return pipeline.detect_newest(camera.pk)

    return see


def stand_at(monkeypatch: pytest.MonkeyPatch, level: LadderLevel) -> None:
    monkeypatch.setattr(gating, "current_ladder", lambda: LadderState(level=level))


def judge(**verdict: object) -> Assessment:
    """The pending question answered by a model."""
    one = Assessment.objects.pending().get()
    told = {"status": "done", "risk_type": "other", "description": "All calm.", "ended_at": utc_now(), **verdict}
    Assessment.objects.filter(pk=one.pk).update(**told)
    closing.close([one.frame_result_id])
    one.refresh_from_db()
    return one


def test_group_left_out_says_why_in_its_frame_to_browsers_and_in_the_admin(
    look: Any, camera: Camera, redis_client: redis.Redis, admin_client: Client
) -> None:
    assert look("frame-a", *CALM) == []
    row = FrameResult.objects.get()
    [left] = unasked_of(row)
    assert (row.status, row.reason) == ("skipped", "nothing looks dangerous enough to ask")
    assert (left.group_index, left.reason, left.prior_reason) == (1, SkipReason.LOW_PRIOR, PriorReason.NEAR_VEHICLE)
    [group] = json.loads(redis_client.get(f"camera:{camera.pk}:latest") or b"{}")["trafficGroups"]
    assert (group["assessmentStatus"], group["skipReason"], group["prior"]) == ("skipped", "low_prior", left.prior)
    page = admin_client.get(reverse("admin:assessment_frameresult_change", args=[row.pk])).content.decode()
    assert (
        f"1: not asked: it does not look dangerous enough ({left.prior:.2f}, vehicles are close to each other)" in page
    )


def test_question_keeps_how_dangerous_its_group_looked(look: Any) -> None:
    [wake_up] = look("frame-a", *CONFLICT)
    one = Assessment.objects.get()
    assert (wake_up.queue, one.judged_by, one.prior_reason) == (Queue.ASSESS_URGENT, "model", "near_person")
    assert one.prior is not None
    assert one.prior > 0.5


def test_group_that_looks_as_before_keeps_the_verdict_without_a_call(
    look: Any, simulator: RunningSimulator, redis_client: redis.Redis, camera: Camera
) -> None:
    look("frame-a", *CONFLICT)
    original = judge(risk_level="low", confidence=0.7, trigger_object_ids=[1])
    wake_ups = look("frame-b", *CONFLICT)
    repeated = Assessment.objects.get(judged_by=JudgedBy.REUSE)
    assert wake_ups == [WakeUp(Queue.RESULTS, repeated.frame_result_id)]
    closing.close([repeated.frame_result_id])
    row = FrameResult.objects.get(frame_key="frame-b")
    assert (row.status, row.max_risk_level, row.partial) == ("done", "low", False)
    assert (repeated.reused_from, repeated.description, repeated.calls) == (original, "All calm.", 0)
    assert (repeated.llm_model, repeated.llm_seconds, repeated.trigger_object_ids) == ("", None, [1])
    verdict = json.loads(redis_client.get(f"camera:{camera.pk}:verdict") or b"{}")
    assert [each["judgedBy"] for each in verdict["trafficGroups"]] == ["reuse"]
    assert simulator.stats()["requests"] == 0
    assert measure_workload(utc_now()).in_time == 1


@pytest.mark.parametrize("level", ["medium", "high"])
def test_danger_is_asked_about_each_time(look: Any, level: str) -> None:
    look("frame-a", *CONFLICT)
    judge(risk_level=level)
    look("frame-b", *CONFLICT)
    assert Assessment.objects.pending().count() == 1


def test_verdict_is_not_reused_for_long_nor_from_another_camera(look: Any, configure: Any) -> None:
    look("frame-a", *CONFLICT)
    first = judge(risk_level="none")
    FrameResult.objects.update(captured_at=utc_now() - timedelta(seconds=11))
    look("frame-b", *CONFLICT)
    assert Assessment.objects.pending().count() == 1
    judge(risk_level="none")
    assert judged_lately(make_camera().pk, since=utc_now() - timedelta(seconds=60)) == ()
    configure(reuse_seconds=0.0)
    look("frame-c", *CONFLICT)
    assert Assessment.objects.exclude(pk=first.pk).filter(judged_by="reuse").count() == 0


def test_what_was_judged_lately_is_one_query_however_much_it_was(
    camera: Camera, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        asked = Gated((Question(1, urgent=False), Question(2, urgent=False)))
        at = NOON + timedelta(seconds=number)
        record_frame(make_frame(camera.pk, groups=2, captured_at=at), asked, now=at, patience=PATIENCE)
    Assessment.objects.update(status="done", risk_level="none", risk_type="other")
    assert {each.prior for each in judged_lately(camera.pk, since=NOON)} == {0.0}
    with django_assert_num_queries(1):
        found = judged_lately(camera.pk, since=NOON)
    assert len(found) == 8
    assert [sorted(each.members) for each in found[:2]] == [[2, 3], [0, 1]]


def test_verdict_outlives_the_one_it_was_taken_from(look: Any, camera: Camera) -> None:
    look("frame-a", *CONFLICT)
    judge(risk_level="none")
    look("frame-b", *CONFLICT)
    closing.close([FrameResult.objects.get(frame_key="frame-b").pk])
    FrameResult.objects.filter(frame_key="frame-a").update(captured_at=NOON)
    assert forget_frames(frames_before(calm=NOON + timedelta(days=1), risky=NOON)) == 1
    assert list(Assessment.objects.values_list("judged_by", "reused_from")) == [("reuse", None)]


def test_sampled_group_is_asked_about_and_alerts_as_any_other(
    look: Any, configure: Any, simulator: RunningSimulator
) -> None:
    configure(sample_share=1.0)
    [wake_up] = look("frame-a", *CALM)
    one = Assessment.objects.get()
    assert (wake_up.queue, one.sampled_from, one.urgent) == (Queue.ASSESS, "low_prior", False)
    [frame] = answering.answer_waiting(pipeline.frame_store())
    Assessment.objects.update(risk_level="medium")
    closing.close([frame])
    assert Alert.objects.get().assessment_id == one.pk


def test_nothing_is_sampled_without_a_key(look: Any, configure: Any) -> None:
    configure(sample_share=1.0)
    look("frame-a", *CALM)
    assert Assessment.objects.count() == 0


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(
    ("seconds", "change", "sampled"),
    [(2, {}, 0), (-5, {}, 1), (2, {"lease_token": "t"}, 1), (2, {"attempts": 1}, 1)],
    ids=["waits", "just asked", "in hand", "failed by itself"],
)
def test_nothing_is_sampled_while_a_question_waits_for_a_key(
    look: Any, configure: Any, seconds: float, change: dict[str, object], sampled: int
) -> None:
    configure(sample_share=1.0)
    record(make_camera(), captured_at=utc_now() - timedelta(seconds=seconds)).assessments.update(**change)
    look("frame-a", *CALM)
    assert Assessment.objects.exclude(sampled_from="").count() == sampled


def test_geometry_judges_where_no_model_may_be_asked_and_says_so(
    look: Any, monkeypatch: pytest.MonkeyPatch, simulator: RunningSimulator
) -> None:
    stand_at(monkeypatch, LadderLevel.GEOMETRY_ONLY)
    [wake_up] = look("frame-a", *CONFLICT)
    one = Assessment.objects.get()
    assert wake_up == WakeUp(Queue.RESULTS, one.frame_result_id)
    closing.close([one.frame_result_id])
    assert (one.judged_by, one.risk_level, one.risk_type) == ("geometry", "medium", "pedestrian_conflict")
    assert one.description == ("Judged by geometry alone, no model was asked: a vehicle is close to somebody on foot.")
    assert one.trigger_object_ids == [1, 2]
    assert Alert.objects.get().risk_level == "medium"
    assert sorted(Evidence.objects.values_list("kind", flat=True)) == ["crop", "frame"]
    assert simulator.stats()["requests"] == 0
    assert measure_workload(utc_now()).in_time == 0


def test_nothing_is_judged_where_only_detection_is_left(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_at(monkeypatch, LadderLevel.DETECTION_ONLY)
    assert look("frame-a", *CONFLICT) == []
    assert [each.reason for each in unasked_of(FrameResult.objects.get())] == [SkipReason.NO_MODEL]


def test_frame_of_which_something_dangerous_was_not_asked_is_never_called_safe(
    look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_at(monkeypatch, LadderLevel.URGENT_ONLY)
    look("frame-a", *CONFLICT, detect(100, 200), detect(142, 200))
    judge(risk_level="none")
    row = FrameResult.objects.get()
    assert (row.status, row.max_risk_level, row.partial) == ("done", "none", True)
    assert [each.reason for each in unasked_of(row)] == [SkipReason.URGENT_ONLY]


def test_what_became_of_each_group_is_told_in_words(look: Any, configure: Any) -> None:
    prior = Prior(0.124, PriorReason.MANY, (0, 1))
    gated = Gated((Question(1, urgent=False, prior=prior),), skipped=(Skipped(2, SkipReason.COOLDOWN, prior),))
    row = record_frame(make_frame(make_camera().pk, groups=2), gated, now=NOON, patience=PATIENCE)
    assert row
    Assessment.objects.update(status="done", risk_level="low", sampled_from="low_prior")
    assert [(each.name, each.outcome, each.by_geometry) for each in outcomes_of(row)] == [
        ("1", "low (judged by: model), sampled", "0.12, there are many vehicles"),
        ("2", "not asked: the camera's cooldown has not passed", "0.12, there are many vehicles"),
    ]
    assert unasked_of(row) == (Unasked(2, SkipReason.COOLDOWN, 0.124, PriorReason.MANY),)


@pytest.mark.parametrize(
    "change",
    [
        {"judged_by": "nobody"},
        {"judged_by": "geometry", "calls": 1},
        {"judged_by": "geometry", "sampled_from": "low_prior"},
        {"sampled_from": "whim"},
        {"prior_reason": "whim"},
    ],
)
def test_database_refuses_what_no_gate_says(look: Any, change: dict[str, object]) -> None:
    look("frame-a", *CONFLICT)
    judge(risk_level="none")
    with pytest.raises(IntegrityError):
        Assessment.objects.update(**change)


def test_verdict_of_nobody_cannot_be_waited_for(look: Any) -> None:
    look("frame-a", *CONFLICT)
    with pytest.raises(IntegrityError):
        Assessment.objects.update(judged_by="geometry")


def test_lone_vehicle_against_its_lane_raises_a_question(
    look: Any, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = replace(make_frame(camera.pk, groups=0), detections=(replace(detect(600, 400), against_lane=True),))
    gated = gating.gate_frame(camera, frame)
    assert [(each.group_index, each.urgent) for each in gated.questions] == [(0, True)]


def test_share_that_the_gate_misses_is_told_with_its_interval(
    look: Any, configure: Any, simulator: RunningSimulator, admin_client: Client
) -> None:
    configure(sample_share=1.0)
    for number, level in enumerate(("none", "none", "none", "medium")):
        look(f"frame-{number}", *CALM)
        judge(risk_level=level)
    Assessment.objects.filter(risk_level="none").order_by("pk").first().delete()  # type: ignore[union-attr]  # one is
    told = admin_client.get("/api/assessment/load").json()["data"]["gate"]
    assert told == {
        "low_prior": {"sampled": 3, "missed": 1, "missRate": 0.3333, "missRateInterval": [0.0615, 0.7923]},
        "duplicate_of_recent": {"sampled": 0, "missed": 0, "missRate": None, "missRateInterval": [0.0, 1.0]},
    }
    Assessment.objects.update(created_at=utc_now() - timedelta(hours=25))
    again = admin_client.get("/api/assessment/load").json()["data"]["gate"]
    assert again["low_prior"]["sampled"] == 0


def test_answers_to_samples_are_counted_by_what_was_missed(
    look: Any, configure: Any, simulator: RunningSimulator
) -> None:
    def counted() -> float:
        samples = [each for metric in metrics.gate_samples.collect() for each in metric.samples]
        return sum(each.value for each in samples if each.name == "gate_samples_total")

    configure(sample_share=1.0)
    before = counted()
    look("frame-a", *CALM)
    assert len(list(answering.answer_waiting(pipeline.frame_store()))) == 1
    assert counted() == before + 1
