"""The outside spelling of alerts, of dangers and of lost cameras, exactly."""

from __future__ import annotations

from datetime import timedelta

from assessment.models import Alert, AlertKind, AlertState
from assessment.risk import RiskLevel, RiskType
from cameras.models import Camera
from tests.factories import NOON
from tests.unit.test_messages import spelled
from trafficmon.accounts.models import User
from trafficmon.live import compose
from trafficmon.live.messages import AlertChange


def test_alert_is_spelled_exactly() -> None:
    alert = Alert(
        pk=5,
        camera=Camera(pk=7, name="Junction"),
        risk_type=RiskType.RED_LIGHT,
        risk_level=RiskLevel.HIGH,
        state=AlertState.ACKNOWLEDGED,
        description="It passed at red.",
        risk_types=["red light"],
        place=[1.0, 2.0, 3.0, 4.0],
        track_ids=[11],
        times_seen=3,
        opened_at=NOON,
        last_seen_at=NOON + timedelta(seconds=4),
        acknowledged_at=NOON + timedelta(seconds=5),
        acknowledged_by=User(username="op"),
    )
    message = compose.alert_message(alert, change=AlertChange.ACKNOWLEDGED, now=NOON + timedelta(seconds=6))
    assert spelled(message) == {
        "type": "alert",
        "data": {
            "alertId": 5,
            "kind": "danger",
            "change": "acknowledged",
            "replayed": False,
            "cameraId": 7,
            "cameraName": "Junction",
            "state": "acknowledged",
            "riskLevel": "high",
            "type": "red_light",
            "typeName": "running a red light",
            "riskTypes": ["red light"],
            "description": "It passed at red.",
            "bbox": [1.0, 2.0, 3.0, 4.0],
            "trackIds": [11],
            "timesSeen": 3,
            "openedAt": "2026-05-04T12:00:00.000Z",
            "lastSeenAt": "2026-05-04T12:00:04.000Z",
            "continues": True,
            "staleAt": "2026-05-04T12:00:11.800Z",
            "closesAt": "2026-05-04T12:01:04.000Z",
            "secondsLeft": 58.0,
            "acknowledgedAt": "2026-05-04T12:00:05.000Z",
            "acknowledgedBy": "op",
        },
    }


def test_alert_of_a_lost_camera_is_spelled_exactly() -> None:
    alert = Alert(
        id=6,
        kind=AlertKind.CAMERA_LOST,
        camera=Camera(id=7, name="Junction"),
        risk_type=RiskType.OTHER,
        risk_level=RiskLevel.LOW,
        state=AlertState.OPEN,
        description="Nothing listens at this address and port.",
        opened_at=NOON,
        last_seen_at=NOON + timedelta(seconds=30),
    )
    message = compose.alert_message(alert, change=AlertChange.OPENED, now=NOON + timedelta(seconds=300))
    assert spelled(message) == {
        "type": "alert",
        "data": {
            "alertId": 6,
            "kind": "camera_lost",
            "change": "opened",
            "replayed": False,
            "cameraId": 7,
            "cameraName": "Junction",
            "state": "open",
            "riskLevel": "low",
            "type": "other",
            "typeName": "camera lost",
            "riskTypes": [],
            "description": "Nothing listens at this address and port.",
            "bbox": [],
            "trackIds": [],
            "timesSeen": 1,
            "openedAt": "2026-05-04T12:00:00.000Z",
            "lastSeenAt": "2026-05-04T12:00:30.000Z",
            "continues": True,
        },
    }


def test_alert_not_seen_for_a_while_no_longer_continues() -> None:
    alert = Alert(
        pk=5,
        camera=Camera(pk=7, name="Junction"),
        risk_type=RiskType.RED_LIGHT,
        risk_level=RiskLevel.HIGH,
        place=[],
        opened_at=NOON,
        last_seen_at=NOON,
    )
    message = compose.alert_message(alert, change=AlertChange.UPDATED, now=NOON + timedelta(seconds=20))
    assert (message.continues, message.seconds_left) == (False, 40.0)
