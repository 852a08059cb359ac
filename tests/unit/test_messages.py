"""The outside spelling of every message, exactly; and what clients may send."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from assessment.judge import facts_of
from assessment.ladder import LadderLevel, LadderReason
from assessment.models import Assessment, FrameResult
from assessment.results import detected_frame
from assessment.risk import AssessmentStatus, RiskLevel, RiskType
from assessment.showing import Shown
from cameras.models import Camera, StreamState
from detection.packing import pack_detections, pack_groups
from tests.factories import NOON, make_frame
from trafficmon.core.objects import ObjectClass
from trafficmon.live import compose
from trafficmon.live.incoming import (
    CheckCamera,
    Ping,
    SourceRequest,
    StartStream,
    StopStream,
    Subscribe,
    UnreadableMessageError,
    read_incoming,
)
from trafficmon.live.messages import (
    AlertList,
    AssessmentResult,
    CameraList,
    CameraStatus,
    ConnectionAck,
    DetectionResult,
    ErrorMessage,
    Heartbeat,
    Ladder,
    ListedCamera,
    LoadMessage,
    Outgoing,
    Pong,
    StreamStopped,
    pack_picture,
)

SUPPORTED = (ObjectClass.CAR, ObjectClass.PERSON)


def frame_row(*, status: AssessmentStatus = AssessmentStatus.PENDING, level: RiskLevel = RiskLevel.NONE) -> FrameResult:
    frame = make_frame(7)
    return FrameResult(
        camera_id=7,
        frame_key="key-1",
        captured_at=NOON,
        detected_at=NOON,
        width=frame.width,
        height=frame.height,
        detections=pack_detections(frame.detections),
        traffic_groups=pack_groups(frame.groups),
        process_seconds=0.0412345,
        model="sample",
        tracking_enabled=True,
        status=status,
        max_risk_level=level,
    )


def asked(row: FrameResult, **fields: object) -> Assessment:
    return Assessment(frame_result=row, group_index=1, **{"status": AssessmentStatus.PENDING, **fields})


def judged(row: FrameResult) -> Assessment:
    return asked(
        row,
        status=AssessmentStatus.DONE,
        risk_level=RiskLevel.HIGH,
        risk_type=RiskType.TAILGATING,
        description="Too close.",
        confidence=0.91,
        risk_types=["following too closely"],
        danger_object_count=2,
        trigger_object_ids=[1, 2],
        llm_model="qwen-vl-plus",
        llm_seconds=1.23456,
        raw_text='{"results": []}',
    )


def shown(row: FrameResult, *assessments: Assessment) -> DetectionResult:
    return compose.detection_result(row, assessments, supported=SUPPORTED)


def spelled(message: Outgoing) -> object:
    return json.loads(message.as_text())


PENDING_GROUP = {
    "groupIndex": 1,
    "assessmentStatus": "pending",
    "objectCount": 2,
    "bbox": [100.0, 200.0, 190.0, 230.0],
    "classes": ["car"],
    "averageConfidence": 0.9,
    "memberIndices": [0, 1],
}
RISK = {
    "assessmentStatus": "done",
    "judgedBy": "model",
    "riskLevel": "high",
    "riskTypes": ["following too closely"],
    "alertDescription": "Too close.",
    "alertConfidence": 0.91,
}
RESULT = {
    "groupIndex": 1,
    "judgedBy": "model",
    "type": "tailgating",
    "description": "Too close.",
    "riskLevel": "high",
    "confidence": 0.91,
    "riskTypes": ["following too closely"],
    "dangerObjectCount": 2,
    "triggerObjectIds": [1, 2],
}
VERDICT = {
    "frameTimestamp": "2026-05-04T12:00:00.000Z",
    "dangerousDrivingResults": [RESULT],
    "hasDangerousDriving": True,
    "maxRiskLevel": "high",
    "llmLatency": 1.235,
    "llmModel": "qwen-vl-plus",
    "llmRawText": '{"results": []}',
}
DETECTED = {
    "dangerousDrivingResults": [],
    "hasDangerousDriving": False,
    "maxRiskLevel": "none",
    "llmLatency": 0.0,
    "llmModel": "",
    "llmRawText": "",
    "cameraId": 7,
    "timestamp": "2026-05-04T12:00:00.000Z",
    "frame": "",
    "frameKey": "key-1",
    "imageWidth": 1280,
    "imageHeight": 720,
    "detectedObjects": [
        {"id": 1, "class": "car", "confidence": 0.9, "bbox": [100.0, 200.0, 140.0, 230.0], "trackId": 1},
        {"id": 2, "class": "car", "confidence": 0.9, "bbox": [150.0, 200.0, 190.0, 230.0], "trackId": 2},
    ],
    "trafficGroups": [PENDING_GROUP],
    "groupImages": [],
    "assessmentStatus": "pending",
    "partial": False,
    "assessmentReason": "",
    "processTime": 0.0412,
    "modelType": "sample",
    "supportedClasses": ["car", "person"],
    "trackingEnabled": True,
    "serverDrawEnabled": False,
}


def test_detection_result_is_spelled_as_the_contract_has_it() -> None:
    row = frame_row()
    assert spelled(shown(row, asked(row))) == {"type": "detection_result", "data": DETECTED}


def test_assessment_result_is_spelled_as_the_contract_has_it() -> None:
    row = frame_row(status=AssessmentStatus.DONE, level=RiskLevel.HIGH)
    assert spelled(compose.assessment_result(row, [judged(row)])) == {
        "type": "assessment_result",
        "data": VERDICT
        | {
            "cameraId": 7,
            "assessmentStatus": "done",
            "partial": False,
            "late": False,
            "reason": "",
            "trafficGroups": [{"groupIndex": 1, **RISK}],
        },
    }


@pytest.mark.parametrize("status", [AssessmentStatus.FAILED, AssessmentStatus.EXPIRED])
def test_assessment_without_an_answer_carries_no_level(status: AssessmentStatus) -> None:
    row = frame_row(status=status)
    result = compose.assessment_result(row, [asked(row, status=status)])
    assert result.assessment_status == status
    assert result.dangerous_driving_results == ()
    assert result.as_dict()["trafficGroups"] == [{"groupIndex": 1, "assessmentStatus": str(status)}]


def test_own_verdict_fills_the_groups_of_the_frame() -> None:
    row = frame_row(status=AssessmentStatus.DONE, level=RiskLevel.HIGH)
    verdict = compose.assessment_result(row, [judged(row)])
    row.status = AssessmentStatus.PENDING
    merged = shown(row, asked(row)).with_verdict(verdict).as_dict()
    assert merged == DETECTED | VERDICT | {
        "trafficGroups": [PENDING_GROUP | RISK],
        "assessmentStatus": "done",
        "verdictStatus": "done",
        "verdictPartial": False,
    }


def test_earlier_verdict_is_carried_with_the_moment_of_its_own_frame() -> None:
    row = frame_row(status=AssessmentStatus.DONE, level=RiskLevel.HIGH)
    verdict = compose.assessment_result(row, [judged(row)])
    later = frame_row()
    later.captured_at = NOON + timedelta(seconds=2)
    merged = shown(later, asked(later)).with_verdict(verdict).as_dict()
    own = {"timestamp": "2026-05-04T12:00:02.000Z", "verdictStatus": "done", "verdictPartial": False}
    assert merged == DETECTED | VERDICT | own


def test_older_verdict_never_replaces_a_newer_one() -> None:
    row = frame_row(status=AssessmentStatus.DONE, level=RiskLevel.HIGH)
    newer = compose.assessment_result(row, [judged(row)])
    older = newer.model_copy(update={"frame_timestamp": "2026-05-04T11:59:00.000Z", "llm_model": "older"})
    merged = shown(row, asked(row)).with_verdict(newer)
    assert merged.with_verdict(older) == merged


def test_partial_verdict_stays_partial_where_a_later_frame_carries_it() -> None:
    row = frame_row(status=AssessmentStatus.EXPIRED)
    row.partial = True
    verdict = compose.assessment_result(row, [asked(row, status=AssessmentStatus.EXPIRED)])
    later = frame_row()
    later.captured_at = NOON + timedelta(seconds=2)
    merged = shown(later, asked(later)).with_verdict(verdict)
    assert (merged.partial, merged.verdict_partial) == (False, True)


def test_ids_of_objects_are_those_that_the_model_is_told() -> None:
    row = frame_row(status=AssessmentStatus.DONE, level=RiskLevel.HIGH)
    told = facts_of(detected_frame(row), 1, Shown(()))
    shown_objects = shown(row, judged(row)).detected_objects
    assert [(each.id, each.bbox) for each in shown_objects] == [(each.id, each.box.rounded()) for each in told.objects]


def test_frame_that_nothing_is_asked_of_says_why() -> None:
    row = frame_row(status=AssessmentStatus.SKIPPED)
    row.reason = "fewer than two road users"
    assert shown(row).assessment_reason == "fewer than two road users"


def test_group_that_was_not_asked_about_is_skipped() -> None:
    [group] = shown(frame_row(status=AssessmentStatus.SKIPPED)).traffic_groups
    assert group.assessment_status == AssessmentStatus.SKIPPED


def test_camera_status_says_what_was_seen_and_since_when() -> None:
    camera = Camera(pk=7, name="Junction", state=StreamState.OFFLINE, state_since=NOON, last_error="No route.")
    assert compose.camera_status(camera).as_dict() == {
        "cameraId": 7,
        "status": 0,
        "message": "No route.",
        "state": "offline",
        "since": "2026-05-04T12:00:00.000Z",
    }


SMALL_MESSAGES = [
    (
        ConnectionAck(message="Hello", server_time="t", heartbeat_seconds=30),
        '{"type":"connection_ack","data":{"message":"Hello","serverTime":"t","heartbeatSeconds":30.0}}',
    ),
    (
        CameraList(cameras=(ListedCamera(camera_id=1, name="A", interval_seconds=1.8),)),
        '{"type":"camera_list","data":{"cameras":[{"cameraId":1,"name":"A","intervalSeconds":1.8}]}}',
    ),
    (
        CameraStatus(camera_id=1, status=1, message="online", latency_ms=12.5),
        '{"type":"camera_status","data":{"cameraId":1,"status":1,"message":"online","latencyMs":12.5}}',
    ),
    (AlertList(alerts=()), '{"type":"alert_list","data":{"alerts":[]}}'),
    (StreamStopped(camera_id=1, reason="asked"), '{"type":"stream_stopped","data":{"cameraId":1,"reason":"asked"}}'),
    (
        LoadMessage(
            stretch=1.5,
            interval_seconds=2.7,
            usual_interval_seconds=1.8,
            ladder=Ladder(level=LadderLevel.URGENT_ONLY, reason=LadderReason.TOO_LATE, since="t"),
        ),
        '{"type":"load","data":{"stretch":1.5,"intervalSeconds":2.7,"usualIntervalSeconds":1.8,'
        '"ladder":{"level":"urgent_only","reason":"too_late","since":"t"}}}',
    ),
    (Heartbeat(server_time="t"), '{"type":"ping","data":{"serverTime":"t"}}'),
    (Pong(server_time="t", echo=4.5), '{"type":"pong","data":{"serverTime":"t","echo":4.5}}'),
    (
        ErrorMessage(code="forbidden", message="Ask.", request="start_stream", camera_id=1),
        '{"type":"error","data":{"code":"forbidden","message":"Ask.","request":"start_stream","cameraId":1}}',
    ),
]


@pytest.mark.parametrize(
    ("message", "text"), SMALL_MESSAGES, ids=[type(each).__name__ for each, _text in SMALL_MESSAGES]
)
def test_small_message_is_spelled_exactly(message: Outgoing, text: str) -> None:
    assert message.as_text() == text


def test_picture_is_packed_behind_its_message() -> None:
    message = shown(frame_row())
    packed = pack_picture(message, b"\xff\xd8jpeg")
    length = int.from_bytes(packed[:4], "big")
    assert packed[4 : 4 + length].decode() == message.as_text()
    assert packed[4 + length :] == b"\xff\xd8jpeg"


def test_requests_are_read_in_the_contracts_spelling() -> None:
    asked_for = {"cameraId": 3, "rtspUrl": "rtsp://camera/1"}
    source = SourceRequest(camera_id=3, rtsp_url="rtsp://camera/1")
    assert read_incoming(json.dumps({"type": "start_stream", "data": asked_for})) == StartStream(
        type="start_stream", data=source
    )
    assert read_incoming(json.dumps({"type": "check_camera", "data": asked_for})) == CheckCamera(
        type="check_camera", data=source
    )
    assert isinstance(read_incoming('{"type": "stop_stream", "data": {"cameraId": "3"}}'), StopStream)
    assert read_incoming('{"type": "ping"}') == Ping(type="ping")
    assert read_incoming('{"type": "subscribe", "data": {}}') == Subscribe(type="subscribe")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'That is not JSON; send {"type": ..., "data": {...}}.'),
        (
            "[1]",
            "Unknown type of message; send one of: ping, pong, start_stream, stop_stream, check_camera, subscribe.",
        ),
        (
            '{"type": "dance"}',
            "Unknown type of message; send one of: ping, pong, start_stream, stop_stream, check_camera, subscribe.",
        ),
        ('{"type": "start_stream", "data": {}}', "data.cameraId: Field required"),
        (
            '{"type": "start_stream", "data": {"cameraId": 0}}',
            "data.cameraId: Input should be greater than or equal to 1",
        ),
        ('{"type": "stop_stream"}', "data: Field required"),
        ("x" * 16_385, "The message is too long; send at most 16384 characters."),
    ],
)
def test_unreadable_message_is_refused_with_what_to_do(text: str, reason: str) -> None:
    with pytest.raises(UnreadableMessageError) as refusal:
        read_incoming(text)
    assert str(refusal.value) == reason


def test_refusal_never_repeats_a_password() -> None:
    secret = {"cameraId": 1, "rtspUrl": ["rtsp://user:hunter2@camera/1"]}
    with pytest.raises(UnreadableMessageError) as refusal:
        read_incoming(json.dumps({"type": "start_stream", "data": secret}))
    assert str(refusal.value) == "data.rtspUrl: Input should be a valid string"


def test_group_that_is_left_out_says_why_and_how_dangerous_it_looks() -> None:
    row = frame_row(status=AssessmentStatus.SKIPPED)
    row.skipped_groups = [[1, "low_prior", 0.05, "near_vehicle"]]
    left_out = {"assessmentStatus": "skipped", "skipReason": "low_prior", "prior": 0.05}
    assert shown(row).as_dict()["trafficGroups"] == [PENDING_GROUP | left_out]


def test_verdict_without_a_model_says_whose_it_is() -> None:
    row = frame_row(status=AssessmentStatus.DONE, level=RiskLevel.HIGH)
    guess = judged(row)
    guess.judged_by, guess.prior, guess.llm_model, guess.llm_seconds = "geometry", 0.8, "", None
    told = compose.assessment_result(row, [guess]).as_dict()
    assert told["trafficGroups"] == [{"groupIndex": 1, **RISK, "judgedBy": "geometry", "prior": 0.8}]
    assert told["dangerousDrivingResults"] == [RESULT | {"judgedBy": "geometry"}]
    assert (told["llmModel"], told["llmLatency"]) == ("", 0.0)


def test_verdict_kept_before_there_was_a_gate_is_a_models() -> None:
    row = frame_row(status=AssessmentStatus.DONE, level=RiskLevel.HIGH)
    kept = json.loads(compose.assessment_result(row, [judged(row)]).as_json())
    for each in (*kept["dangerousDrivingResults"], *kept["trafficGroups"]):
        del each["judgedBy"]
    [result] = AssessmentResult.model_validate(kept).dangerous_driving_results
    assert result.judged_by == "model"
