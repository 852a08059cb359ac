"""How dangerous a traffic group looks by geometry and motion alone, before anybody is asked. Pure.

A prior is no verdict. Each kind of evidence has a weight from 0 to 1, of each kind the strongest piece counts, and the
score is `1 - (1 - w1)(1 - w2)...`, as if the kinds were independent causes (noisy-or: Pearl, Probabilistic Reasoning in
Intelligent Systems, 1988). So evidence never lowers a score. The weights were chosen, not learned; what threshold they
deserve is measured by `make bench-gate`.

Places are compared by what each road user covers of the ground (`_footprint`), in metres as the usual size of its class
tells: so a camera's distance and resolution do not matter. Where closing speed is known, the time to collision counts
(Hayward, Near-miss determination through use of a scale of danger, 1972): in full from 1.5 s down, which is critical
in cities (van der Horst, A time-based analysis of road user behaviour, 1990), and not from 4 s up, where drivers are
in control (van der Horst 1991, after Minderhoud, Bovy, Accid. Anal. Prev. 33, 2001).
Post-encroachment time (Allen, Shin, Cooper, 1978) would need paths that one frame in 1.8 s does not give.

Who stands in a lane where traffic lights are is taken to wait for one, for as long as a red may last.

Not known, and therefore not here: the state of traffic signals (who crosses on red). Motion in the picture of a camera
that is not calibrated is told to the model, and does not count here: who comes nearer there may be far away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from detection.detections import Detection
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ROAD_USERS, VEHICLES, ObjectClass


class PriorReason(StrEnum):
    """The strongest evidence of a danger."""

    NOTHING = ""
    AGAINST_LANE = "against_lane"
    ON_EMERGENCY_LANE = "on_emergency_lane"
    PERSON_ON_LANE = "person_on_lane"
    STOPPED_IN_LANE = "stopped_in_lane"
    NEAR_PERSON = "near_person"
    """A vehicle and somebody on foot are close together."""
    NEAR_RIDER = "near_rider"
    """Likewise a larger vehicle and somebody on two wheels."""
    NEAR_VEHICLE = "near_vehicle"
    CLOSING = "closing"
    MANY = "many"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a danger, how strongly (0 to 1), and which of those looked at are its cause."""

    reason: PriorReason
    weight: float
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prior:
    """How dangerous it looks (0 to 1), what is the strongest reason, and who gives it, by their places."""

    score: float = 0.0
    reason: PriorReason = PriorReason.NOTHING
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Closing:
    """The greatest speed at which two of those looked at approach each other, and its standard deviation."""

    kmh: float
    deviation_kmh: float


AGAINST_LANE, ON_EMERGENCY_LANE, PERSON_ON_LANE, STOPPED_IN_LANE = 0.95, 0.7, 0.7, 0.5
NEAR_PERSON, NEAR_RIDER, NEAR_VEHICLE = 0.85, 0.5, 0.3
"""When they touch; at REACH_METRES a good third of it is left."""
REACH_METRES = 2.0
QUEUE_WEIGHT = 0.1
"""Of a vehicle that stands in a lane where it is not the only one: at a light, or in a jam."""
CRITICAL_SECONDS, CALM_SECONDS = 1.5, 4.0
CLOSING = 0.9
MOST_UNREMARKABLE, MANY_EACH, MANY_MOST = 3, 0.03, 0.2
STANDING_KMH = 3.0
"""So slow surely is standing."""

TWO_WHEELERS = frozenset({ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE})
SEEN_METRES = {
    ObjectClass.PERSON: 1.7,
    ObjectClass.BICYCLE: 2.0,
    ObjectClass.MOTORCYCLE: 2.0,
    ObjectClass.CAR: 2.5,
    ObjectClass.TRUCK: 5.0,
    ObjectClass.BUS: 5.0,
}
"""What a box's height is in metres across the view: the height, and what is seen of the length from above."""
DEPTH_STRETCH = 2.5
"""A metre across is so much longer in the picture than one away from a camera that looks down by 24 degrees."""
GROUND_SHARE = {ObjectClass.PERSON: 0.1, ObjectClass.BICYCLE: 0.25, ObjectClass.MOTORCYCLE: 0.25}
LARGE_GROUND_SHARE = 0.5
"""Of a box's height that lies on the ground under it."""


def prior_of(members: Sequence[Detection], closing: Closing | None = None) -> Prior:
    """The prior of road users that are together; `places` of it are those among `members`."""
    found = [
        each
        for each in (
            _strongest(_alone(members)),
            _strongest(_near(members)),
            _closing(members, closing) if closing else None,
            _many(members),
        )
        if each is not None and each.weight > 0
    ]
    if not found:
        return Prior()
    cause = max(found, key=lambda each: each.weight)
    return Prior(1 - math.prod(1 - each.weight for each in found), cause.reason, cause.places)


def stands_out(member: Detection) -> Prior:
    """The prior of one road user by itself."""
    return prior_of([member])


def gap_metres(one: Detection, other: Detection) -> float:
    """About how far apart the ground under two road users is, 0 where it overlaps."""
    a, b = _footprint(one), _footprint(other)
    across = max(a.x1, b.x1) - min(a.x2, b.x2)
    away = max(a.y1, b.y1) - min(a.y2, b.y2)
    gap_px = math.hypot(max(across, 0.0), DEPTH_STRETCH * max(away, 0.0))
    return gap_px / ((_px_per_metre(one) + _px_per_metre(other)) / 2)


def _footprint(seen: Detection) -> Box:
    """The part of a box under which the road user covers the ground, px."""
    share = GROUND_SHARE.get(seen.object_class, LARGE_GROUND_SHARE)
    return Box(seen.box.x1, seen.box.y2 - share * seen.box.height, seen.box.x2, seen.box.y2)


def _px_per_metre(seen: Detection) -> float:
    return max(seen.box.height, 1.0) / SEEN_METRES[seen.object_class]


def _strongest(found: Iterable[Evidence]) -> Evidence | None:
    return max(found, key=lambda each: each.weight, default=None)


def _alone(members: Sequence[Detection]) -> Iterable[Evidence]:
    """What each does that would be dangerous also if nobody else were there."""
    is_queue = sum(stands(each) for each in members if each.object_class in VEHICLES) > 1
    for place, each in enumerate(members):
        reason, weight = _conduct(each, is_queue=is_queue)
        yield Evidence(reason, weight, (place,))


def _conduct(seen: Detection, *, is_queue: bool) -> tuple[PriorReason, float]:
    kinds = {zone.kind for zone in seen.zones}
    if seen.against_lane:
        return PriorReason.AGAINST_LANE, AGAINST_LANE
    if "emergency_lane" in kinds:
        return PriorReason.ON_EMERGENCY_LANE, ON_EMERGENCY_LANE
    if "lane" in kinds:
        return _conduct_in_lane(seen, is_queue=is_queue, crosses="crossing" in kinds)
    return PriorReason.NOTHING, 0.0


def _conduct_in_lane(seen: Detection, *, is_queue: bool, crosses: bool) -> tuple[PriorReason, float]:
    if seen.object_class is ObjectClass.PERSON:
        return PriorReason.PERSON_ON_LANE, 0.0 if crosses else PERSON_ON_LANE
    if seen.waiting:
        return PriorReason.NOTHING, 0.0
    return PriorReason.STOPPED_IN_LANE, (QUEUE_WEIGHT if is_queue else STOPPED_IN_LANE) * stands(seen)


def stands(seen: Detection) -> bool:
    """Whether it surely stands still: seen in one place for some time, or by its speed; what is not known does not."""
    if seen.speed_kmh is not None and seen.speed_deviation_kmh is not None:
        return abs(seen.speed_kmh) + seen.speed_deviation_kmh <= STANDING_KMH
    return seen.stopped or seen.parked


def _near(members: Sequence[Detection]) -> Iterable[Evidence]:
    for (place, one), (other_place, other) in combinations(enumerate(members), 2):
        reason, weight = _encounter(one, other)
        if weight:
            fading = math.exp(-gap_metres(one, other) / REACH_METRES)
            yield Evidence(reason, weight * fading, (place, other_place))


def _encounter(one: Detection, other: Detection) -> tuple[PriorReason, float]:
    """What it means for two to touch; nothing where one is no road user, or both are on foot."""
    classes = {one.object_class, other.object_class}
    if not classes <= ROAD_USERS or classes == {ObjectClass.PERSON}:
        return PriorReason.NOTHING, 0.0
    if ObjectClass.PERSON in classes:
        # Who rides is seen as a person on a bicycle.
        return PriorReason.NEAR_PERSON, NEAR_RIDER if classes & TWO_WHEELERS else NEAR_PERSON
    if classes & TWO_WHEELERS and classes - TWO_WHEELERS:
        return PriorReason.NEAR_RIDER, NEAR_RIDER
    return PriorReason.NEAR_VEHICLE, NEAR_VEHICLE


def _closing(members: Sequence[Detection], closing: Closing) -> Evidence | None:
    """By the time that is left if the two that are nearest are those that approach each other.

    Which two do is not told, so the gap may be too small and the prior too high, never the reverse. Of the speed its
    standard deviation is taken off: what may be chance is no evidence.
    """
    users = [place for place, each in enumerate(members) if each.object_class in ROAD_USERS]
    pairs = list(combinations(users, 2))
    speed = (closing.kmh - closing.deviation_kmh) / 3.6
    if speed <= 0 or not pairs:
        return None
    nearest = min(pairs, key=lambda pair: gap_metres(members[pair[0]], members[pair[1]]))
    seconds = gap_metres(members[nearest[0]], members[nearest[1]]) / speed
    left = (CALM_SECONDS - seconds) / (CALM_SECONDS - CRITICAL_SECONDS)
    return Evidence(PriorReason.CLOSING, CLOSING * min(max(left, 0.0), 1.0), nearest)


def _many(members: Sequence[Detection]) -> Evidence | None:
    vehicles = tuple(place for place, each in enumerate(members) if each.object_class in VEHICLES)
    weight = min(MANY_MOST, MANY_EACH * max(0, len(vehicles) - MOST_UNREMARKABLE))
    return Evidence(PriorReason.MANY, weight, vehicles)
