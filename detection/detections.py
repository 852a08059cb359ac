"""What a frame shows: detections, the traffic groups they form, and the frame they were seen in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trafficmon.core.geometry import Box
from trafficmon.core.objects import ROAD_USERS, ObjectClass


@dataclass(frozen=True, slots=True)
class Detection:
    """One box in one frame, in pixels of the source picture; `track_id` only where identity is confirmed."""

    box: Box
    object_class: ObjectClass
    confidence: float
    track_id: int | None = None


@dataclass(frozen=True, slots=True)
class TrafficGroup:
    """Road users judged together: `members` are indices into the frame's detections, `index` counts from 1."""

    index: int
    members: tuple[int, ...]
    box: Box
    crop: Box
    average_confidence: float
    classes: tuple[ObjectClass, ...]


@dataclass(frozen=True, slots=True)
class DetectedFrame:
    """Everything detection knows of one frame."""

    camera_id: int
    frame_key: str
    captured_at: datetime
    width: int
    height: int
    detections: tuple[Detection, ...]
    groups: tuple[TrafficGroup, ...]
    process_seconds: float
    model: str
    tracking_enabled: bool = False
    burst: tuple[str, ...] = ()
    """Keys of all frames sampled with this one, in time order."""

    def members_of(self, group: TrafficGroup) -> tuple[Detection, ...]:
        """The detections that `group` names, in its order."""
        return tuple(self.detections[index] for index in group.members)


def road_users(detections: Sequence[Detection]) -> tuple[Detection, ...]:
    """Those detections that can move and be in danger."""
    return tuple(each for each in detections if each.object_class in ROAD_USERS)


def count_by_class(detections: Sequence[Detection]) -> dict[ObjectClass, int]:
    """How many there are of each class that is there at all."""
    return dict(Counter(each.object_class for each in detections))
