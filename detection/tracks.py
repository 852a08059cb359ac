"""The road users a camera has shown lately, as a value that any process can keep and carry on from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pydantic import Base64Bytes, TypeAdapter, ValidationError

from detection.history import History, ParkedPlace
from detection.motion import Axis, Motion
from detection.standing import Stand
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ROAD_USERS, ObjectClass


class Family(StrEnum):
    """Classes that a detector may take for one another; a track never leaves its family."""

    PERSON = "person"
    TWO_WHEELER = "two_wheeler"
    FOUR_WHEELER = "four_wheeler"


def family_of(object_class: ObjectClass) -> Family | None:
    """The family of a road user; None for lights and signs, which stay where they are."""
    if object_class not in ROAD_USERS:
        return None
    if object_class is ObjectClass.PERSON:
        return Family.PERSON
    two_wheeled = object_class in {ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE}
    return Family.TWO_WHEELER if two_wheeled else Family.FOUR_WHEELER


@dataclass(frozen=True, slots=True)
class Track:
    """One road user across frames; `motion` and `box` (px) are those of `seen_at`, when it was last seen."""

    family: Family
    motion: Motion
    box: Box
    seen_at: datetime
    hits: int = 1
    """Pictures it was seen in, and below the frames among them: the other pictures of a burst are none."""
    frames: int = 1
    missed: int = 0
    """Pictures since it was last seen."""
    track_id: int | None = None
    """Given once it was seen in enough frames; never given twice by one state."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Where the camera's own movement takes a place in the picture: times `scale`, then `x` and `y` px further."""

    scale: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class TrackerState:
    """Everything tracking remembers of one camera between frames."""

    tracks: tuple[Track, ...] = ()
    next_id: int = 1
    at: datetime | None = None
    """When the newest frame was captured."""
    view: Base64Bytes = b""
    """What the camera saw then, small and grey; only where the camera's own movement is followed."""
    histories: tuple[History, ...] = ()
    """Of the confirmed tracks, what each has done so far."""
    parked: tuple[ParkedPlace, ...] = ()
    lights_seen_at: datetime | None = None
    """When a traffic light was surely seen last: a detector does not find it in each picture."""

    def to_bytes(self) -> bytes:
        return _ADAPTER.dump_json(self)


def followed(state: TrackerState) -> dict[Box, Track]:
    """The tracks that were seen in the newest picture and before it, by their box in it."""
    return {one.box: one for one in state.tracks if one.seen_at == state.at and one.hits > 1}


def shifted(state: TrackerState, by: Shift) -> TrackerState:
    """The same road users where they are in the picture now that the camera has moved."""
    return replace(
        state,
        tracks=tuple(_shifted_track(one, by) for one in state.tracks),
        histories=tuple(_shifted_history(one, by) for one in state.histories),
        parked=tuple(replace(one, stand=_shifted_stand(one.stand, by)) for one in state.parked),
    )


def _shifted_track(one: Track, by: Shift) -> Track:
    motion = Motion(
        x=_shifted_axis(one.motion.x, by.scale, by.x),
        y=_shifted_axis(one.motion.y, by.scale, by.y),
        width=_shifted_axis(one.motion.width, by.scale, 0),
        height=_shifted_axis(one.motion.height, by.scale, 0),
    )
    return replace(one, motion=motion, box=_shifted_box(one.box, by))


def _shifted_history(one: History, by: Shift) -> History:
    foot = one.foot[0] * by.scale + by.x, one.foot[1] * by.scale + by.y
    return replace(one, foot=foot, stand=_shifted_stand(one.stand, by))


def _shifted_stand(stand: Stand, by: Shift) -> Stand:
    return replace(stand, place=_shifted_box(stand.place, by))


def _shifted_box(box: Box, by: Shift) -> Box:
    return Box(box.x1 * by.scale + by.x, box.y1 * by.scale + by.y, box.x2 * by.scale + by.x, box.y2 * by.scale + by.y)


def _shifted_axis(axis: Axis, scale: float, offset: float) -> Axis:
    return Axis(
        axis.position * scale + offset,
        axis.velocity * scale,
        axis.position_variance * scale**2,
        axis.covariance * scale**2,
        axis.velocity_variance * scale**2,
    )


class TracksUnreadableError(Exception):
    """The kept tracks were written by another version or are damaged; start again with `TrackerState()`."""


def tracks_from_bytes(kept: bytes) -> TrackerState:
    """The state that `TrackerState.to_bytes` wrote; raises TracksUnreadableError for anything else."""
    try:
        return _ADAPTER.validate_json(kept)
    except ValidationError as error:
        message = f"{error.error_count()} errors in {len(kept)} bytes"
        raise TracksUnreadableError(message) from error


_ADAPTER = TypeAdapter(TrackerState)
