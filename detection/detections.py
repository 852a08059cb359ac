"""What a frame shows: detections, the traffic groups they form, and the frame they were seen in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from trafficmon.core.geometry import Box
from trafficmon.core.objects import ROAD_USERS, ObjectClass

ZoneKind = Literal["include", "ignore", "lane", "crossing", "emergency_lane", "parking"]


@dataclass(frozen=True, slots=True)
class ZoneRef:
    """The zone of a camera that a road user stands in."""

    name: str
    kind: ZoneKind


@dataclass(frozen=True, slots=True)
class PictureMotion:
    """How a road user moves in the picture: rightwards and downwards, and the standard deviation of either, px/s."""

    right_px: float
    down_px: float
    deviation_px: float


@dataclass(frozen=True, slots=True)
class Detection:
    """One box in one frame, in pixels of the source picture; `track_id` only where identity is confirmed."""

    box: Box
    object_class: ObjectClass
    confidence: float
    track_id: int | None = None
    zones: tuple[ZoneRef, ...] = ()
    """Where it stands, once it has stood there as long as the zone asks for."""
    parked: bool = False
    """A vehicle that has stood still for so long that it forms no traffic groups."""
    stopped: bool = False
    """A vehicle that has stood for some seconds where it is never taken for parked, such as in a lane."""
    waiting: bool = False
    """A vehicle that has been in its place in a lane for no longer than a red lasts, where traffic lights are: if it
    stands, then probably for one. Which light is its own, and whether that is red, is not known."""
    against_lane: bool = False
    """It surely moves against the direction of the lane it stands in: what geometry says, not yet a verdict."""
    speed_kmh: float | None = None
    """Along the road; None where it is not known, as for every camera that is not calibrated."""
    speed_deviation_kmh: float | None = None
    """The standard deviation of that speed."""
    motion: PictureMotion | None = None
    """None where it is not known; it needs no calibration."""


@dataclass(frozen=True, slots=True)
class TrafficGroup:
    """Road users judged together: `members` are indices into the frame's detections, `index` counts from 1."""

    index: int
    members: tuple[int, ...]
    box: Box
    crop: Box
    average_confidence: float
    classes: tuple[ObjectClass, ...]
    closing_speed_kmh: float | None = None
    """The greatest speed at which two of its members surely approach each other; None where none is known."""
    closing_speed_deviation_kmh: float | None = None


class Direction(StrEnum):
    """Which way a counting line is crossed, seen along the arrow from its first to its second end."""

    FORWARD = "forward"
    """From the left of the arrow to its right."""
    BACKWARD = "backward"


@dataclass(frozen=True, slots=True)
class Crossing:
    """One road user of confirmed identity that went across a counting line."""

    line_id: int
    line: str
    object_class: ObjectClass
    direction: Direction


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
    evidence_key: str = ""
    """Key of the same frame as a larger stream of the camera has it, where there is one."""
    crossings: tuple[Crossing, ...] = ()
    """Of counting lines since the frame before; counted when the frame is stored, not kept with it."""

    def members_of(self, group: TrafficGroup) -> tuple[Detection, ...]:
        """The detections that `group` names, in its order."""
        return tuple(self.detections[index] for index in group.members)


def road_users(detections: Sequence[Detection]) -> tuple[Detection, ...]:
    """Those detections that can move and be in danger."""
    return tuple(each for each in detections if each.object_class in ROAD_USERS)


def count_by_class(detections: Sequence[Detection]) -> dict[ObjectClass, int]:
    """How many there are of each class that is there at all."""
    return dict(Counter(each.object_class for each in detections))
