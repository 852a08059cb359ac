"""Speeds of road users and closing speeds within traffic groups: of calibrated cameras, and only where known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from detection.calibration import Calibration, Estimate, RoadMotion, closing_speed, move_on_road, speed_of
from detection.detections import Detection, TrafficGroup
from detection.picture_motion import is_cut_off
from detection.tracks import Family, Track, TrackerState, followed

MOST_DEVIATION_SHARE, MOST_DEVIATION_KMH = 0.25, 4.0
"""A speed is known when its standard deviation is at most this share of it, or this little: enough to see that it is
standing."""
FASTEST_KMH = {Family.PERSON: 40.0, Family.TWO_WHEELER: 200.0, Family.FOUR_WHEELER: 250.0}
"""Nobody is faster: such an estimate is a mistake, of the tracker or in the calibration."""


def find_motions(
    state: TrackerState, detections: Sequence[Detection], calibration: Calibration | None, *, width: int, height: int
) -> dict[int, RoadMotion]:
    """How those of the newest frame's `detections` move on the road of which it is known, by their place among them."""
    if calibration is None:
        return {}
    tracks = followed(state)
    motions = {
        place: _known_motion(tracks[each.box], calibration, width=width, height=height)
        for place, each in enumerate(detections)
        if each.box in tracks
    }
    return {place: motion for place, motion in motions.items() if motion is not None}


def _known_motion(one: Track, calibration: Calibration, *, width: int, height: int) -> RoadMotion | None:
    """How it moves on the road; None where that is not known well enough."""
    if is_cut_off(one.box, width=width, height=height):
        return None
    motion = move_on_road(one.motion, calibration, width=width, height=height)
    is_known = motion is not None and _is_known(speed_of(motion), fastest_kmh=FASTEST_KMH[one.family])
    return motion if is_known else None


def with_speeds(detections: Sequence[Detection], motions: Mapping[int, RoadMotion]) -> tuple[Detection, ...]:
    """`detections` with the speeds of those whose motion is known."""
    speeds = {place: speed_of(motion) for place, motion in motions.items()}
    return tuple(
        replace(each, speed_kmh=speeds[place].kmh, speed_deviation_kmh=speeds[place].deviation_kmh)
        if place in speeds
        else each
        for place, each in enumerate(detections)
    )


def with_closing_speeds(groups: Sequence[TrafficGroup], motions: Mapping[int, RoadMotion]) -> tuple[TrafficGroup, ...]:
    """`groups`, each with the greatest speed at which two of its members surely approach each other, if any do."""
    return tuple(_with_closing_speed(each, motions) for each in groups)


def _with_closing_speed(group: TrafficGroup, motions: Mapping[int, RoadMotion]) -> TrafficGroup:
    known = [motions[place] for place in group.members if place in motions]
    closing = [each for one, other in combinations(known, 2) if _is_approach(each := closing_speed(one, other))]
    if not closing:
        return group
    fastest = max(closing, key=lambda each: each.kmh)
    return replace(group, closing_speed_kmh=fastest.kmh, closing_speed_deviation_kmh=fastest.deviation_kmh)


def _is_known(estimate: Estimate, *, fastest_kmh: float) -> bool:
    bound = max(MOST_DEVIATION_SHARE * abs(estimate.kmh), MOST_DEVIATION_KMH)
    return estimate.deviation_kmh <= bound and abs(estimate.kmh) <= fastest_kmh


def _is_approach(estimate: Estimate) -> bool:
    """Twice the deviation away from standing still: a chance of one in forty that they do not approach."""
    is_known = _is_known(estimate, fastest_kmh=2 * max(FASTEST_KMH.values()))
    return is_known and estimate.kmh > 2 * estimate.deviation_kmh
