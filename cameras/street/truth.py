"""What is really on the street at a moment, for tests and training only: no detector, prompt or simulator sees it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass


class Incident(StrEnum):
    """The dangerous things that the street plays at known times."""

    FOLLOWING_TOO_CLOSELY = "following_too_closely"
    RED_LIGHT = "red_light"
    WRONG_WAY = "wrong_way"
    PEDESTRIAN_CONFLICT = "pedestrian_conflict"
    STOPPED_VEHICLE = "stopped_vehicle"


@dataclass(frozen=True, slots=True)
class ScriptedIncident:
    """One incident of the script: `starts_at` and `ends_at` are seconds since the street began."""

    kind: Incident
    starts_at: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class TrueObject:
    """One object in the picture.

    `box` holds the whole object, also what is hidden behind others, clipped to the picture, in pixels.
    `visible` is the fraction (0 to 1) of its outline that is in the picture and not hidden.
    `incident` is set on every road user that takes part in an incident that is going on now.
    `place` is where its middle stands on the ground, in metres, and `velocity` where it is going, in metres a second.
    """

    box: Box
    object_class: ObjectClass
    track_id: int
    incident: Incident | None
    visible: float
    place: tuple[float, float] = (0.0, 0.0)
    velocity: tuple[float, float] = (0.0, 0.0)
