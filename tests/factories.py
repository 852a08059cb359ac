"""Rows and values for tests, each with one obvious default."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from django.conf import settings

from assessment.gate import Gated, Question
from assessment.models import FrameResult
from assessment.results import record_frame
from assessment.risk import RiskLevel
from cameras.models import Camera
from detection.detections import DetectedFrame, Detection, TrafficGroup
from trafficmon.accounts.models import ApiToken, User
from trafficmon.accounts.roles import Scope
from trafficmon.accounts.tokens import issue
from trafficmon.core.clock import utc_now
from trafficmon.core.encryption import encrypt
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
PATIENCE = timedelta(seconds=60)
_numbers = itertools.count(1)


def make_camera(**fields: object) -> Camera:
    number = next(_numbers)
    return Camera.objects.create(**{"name": f"Camera {number}", "source": f"street://junction?seed={number}", **fields})


def seal() -> str:
    """A key's secret as the database keeps it."""
    return encrypt("sk-of-tests", key=settings.FIELD_KEY)


def make_token(owner: User, *scopes: Scope, **fields: object) -> str:
    """The secret of a new API token."""
    token = ApiToken(**{"owner": owner, "name": f"Token {next(_numbers)}", "scopes": list(scopes), **fields})
    return issue(token, now=utc_now())


def detect(x: float, y: float, object_class: ObjectClass = ObjectClass.CAR, track_id: int | None = None) -> Detection:
    return Detection(Box(x, y, x + 40, y + 30), object_class, 0.9, track_id)


def make_frame(camera_id: int, *, groups: int = 1, captured_at: datetime = NOON) -> DetectedFrame:
    """A frame with `groups` pairs of cars, each a traffic group."""
    detections = tuple(detect(100 + 300 * (n // 2) + 50 * (n % 2), 200, track_id=n + 1) for n in range(2 * groups))
    return DetectedFrame(
        camera_id=camera_id,
        frame_key=f"frame-{next(_numbers)}",
        captured_at=captured_at,
        width=1280,
        height=720,
        detections=detections,
        groups=tuple(_group(index, detections) for index in range(1, groups + 1)),
        process_seconds=0.02,
        model="test",
        tracking_enabled=True,
    )


def _group(index: int, detections: tuple[Detection, ...]) -> TrafficGroup:
    first = 2 * (index - 1)
    box = Box(*detections[first].box.as_tuple()[:2], *detections[first + 1].box.as_tuple()[2:])
    return TrafficGroup(index, (first, first + 1), box, box.grown(12), 0.9, (ObjectClass.CAR, ObjectClass.CAR))


def frames_before(*, calm: datetime, risky: datetime) -> dict[RiskLevel, datetime]:
    """Up to when frames are forgotten: those without a risk, and all others."""
    return dict.fromkeys(RiskLevel, risky) | {RiskLevel.NONE: calm}


def record(camera: Camera, *, groups: int = 1, captured_at: datetime = NOON) -> FrameResult:
    """A stored frame that waits for a verdict on each of its groups."""
    frame = make_frame(camera.pk, groups=groups, captured_at=captured_at)
    asked = Gated(tuple(Question(group.index, urgent=False) for group in frame.groups))
    row = record_frame(frame, asked, now=captured_at, patience=PATIENCE)
    assert row is not None
    return row
