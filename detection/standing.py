"""Which vehicles have stood still for so long that they are parked, and which road users go against their lane."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from detection.detections import ZoneKind
from detection.motion import MEASURED_SHARE, Motion
from trafficmon.core.geometry import Box, intersection_over_union
from trafficmon.core.objects import VEHICLES, ObjectClass

STILL_SHARE = 0.7
"""Least share of what is seen of a road user that lies where it stood: half hidden it still stands there."""
JITTER_SHARE = 2 * MEASURED_SHARE
"""Of a box's height: by so much the place where it stood is taken to be wider than it was seen."""
PARKING_SECONDS = 10.0
"""In a parking zone nobody need wait for longer to know that a vehicle is parked."""
WATCHED_STOPS: frozenset[ZoneKind] = frozenset({"lane", "crossing", "emergency_lane"})
"""Where a vehicle that stands is what operators want to know of: there none is ever taken for parked."""
STOPPED_SECONDS = 5.0
"""So long a vehicle that has stopped is taken for one that gives way or turns."""
RED_SECONDS = 120.0
"""A red is seldom longer: who has stood for longer in a lane does not wait for a light."""
PLACE_SECONDS = 30.0
"""So long after a parked vehicle was last seen, one that is seen in its place is parked too, whichever it is."""
PLACE_OVERLAP = 0.7
"""Least overlap of the two boxes then: what passes by in front of the place fills it less."""
SURE_DEVIATIONS = 3.0
AGAINST_SHARE = 0.5
"""Least speed against the lane in box heights per second: walking pace for a car."""
AGAINST_COSINE = -0.5
"""At most 60 degrees from the exact opposite: who crosses a lane or turns into it does not go against it."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one road user stands (px) and since when; of one that moves, its latest place."""

    place: Box
    since: datetime


def stand_after(stand: Stand | None, box: Box, *, at: datetime) -> Stand:
    """The stand after the road user was seen as `box`: the same, or a new one where it has moved."""
    return stand if stand and _is_still_at(stand.place, box) else Stand(box, at)


def filled_place(stands: Iterable[Stand], box: Box) -> Stand | None:
    """The one of these stands whose place `box` fills."""
    return next((each for each in stands if intersection_over_union(each.place, box) >= PLACE_OVERLAP), None)


def _is_still_at(place: Box, box: Box) -> bool:
    """Something in front hides a part of a box; what moves leaves its place: so its own area is the measure."""
    wide = place.grown(JITTER_SHARE * place.height)
    width, height = min(wide.x2, box.x2) - max(wide.x1, box.x1), min(wide.y2, box.y2) - max(wide.y1, box.y1)
    return max(width, 0.0) * max(height, 0.0) >= STILL_SHARE * box.area


def is_parked(
    stand: Stand, object_class: ObjectClass, kinds: Iterable[ZoneKind], *, at: datetime, after_seconds: float
) -> bool:
    """Whether a vehicle in zones of `kinds` has stood for so long that it is part of the scenery."""
    among = frozenset(kinds)
    if object_class not in VEHICLES or among & WATCHED_STOPS:
        return False
    needed = min(PARKING_SECONDS, after_seconds) if "parking" in among else after_seconds
    return (at - stand.since).total_seconds() >= needed


def is_stopped(stand: Stand, object_class: ObjectClass, kinds: Iterable[ZoneKind], *, at: datetime) -> bool:
    """Whether a vehicle in zones of `kinds` has stopped where operators want to know of it."""
    watched = object_class in VEHICLES and not WATCHED_STOPS.isdisjoint(kinds)
    return watched and (at - stand.since).total_seconds() >= STOPPED_SECONDS


def is_waiting(stand: Stand, object_class: ObjectClass, kinds: Iterable[ZoneKind], *, at: datetime) -> bool:
    """Whether a vehicle in zones of `kinds`, where traffic lights are, may stand for one of them, if it stands."""
    among = frozenset(kinds)
    may_stop_there = object_class in VEHICLES and "lane" in among and not among & {"crossing", "emergency_lane"}
    return may_stop_there and 0 < (at - stand.since).total_seconds() < RED_SECONDS


def goes_against(motion: Motion, direction_degrees: float) -> bool:
    """Whether a road user surely moves against a lane of that direction (0 to the right, 90 downwards)."""
    along_x, along_y = math.cos(math.radians(direction_degrees)), math.sin(math.radians(direction_degrees))
    speed = motion.x.velocity * along_x + motion.y.velocity * along_y
    deviation = math.hypot(
        along_x * math.sqrt(motion.x.velocity_variance), along_y * math.sqrt(motion.y.velocity_variance)
    )
    surely = speed + SURE_DEVIATIONS * deviation < -AGAINST_SHARE * motion.box.height
    return surely and speed <= AGAINST_COSINE * math.hypot(motion.x.velocity, motion.y.velocity)
