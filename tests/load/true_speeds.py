"""How right speeds are: what is told of a street that was calibrated as an operator would, against what is true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from cameras.street import Street, TrueObject
from detection.calibration import KMH, Calibration, Estimate, RoadMotion
from detection.configuration import GroupingConfiguration
from detection.detections import Detection, TrafficGroup
from detection.grouping import form_groups
from detection.road_speeds import find_motions, with_closing_speeds, with_speeds
from detection.tracks import TrackerState
from tests.load.identities import MOVING_METRES_PER_SECOND, pairs
from trafficmon.core.geometry import Point, polygon_contains

WIDTH, HEIGHT = 1280, 720
_MOVING_KMH = MOVING_METRES_PER_SECOND * KMH
MARKED: tuple[Point, ...] = ((0.02, 0.98), (0.98, 0.98), (0.85, 0.35), (0.15, 0.35))
"""In shares of the picture: as much of the road as can be marked."""
MARKED_WITHIN_PX = 2.0
"""How far an operator's marks are off, as a standard deviation."""


def calibrate(street: Street, seed: int) -> Calibration:
    """The street marked a little wrongly."""
    road = tuple(street.on_ground(x * WIDTH, y * HEIGHT) for x, y in MARKED)
    slips = np.random.default_rng(seed).normal(0, MARKED_WITHIN_PX, (len(MARKED), 2)) / (WIDTH, HEIGHT)
    picture = tuple((x + right, y + down) for (x, y), (right, down) in zip(MARKED, slips.tolist(), strict=True))
    return Calibration(picture, road)


@dataclass(slots=True)
class SpeedTally:
    """Estimates and what is true (km/h), of speeds and of closing speeds; and how many that moved had one."""

    speeds: list[tuple[Estimate, float]] = field(default_factory=list)
    closing: list[tuple[Estimate, float]] = field(default_factory=list)
    moving: int = 0
    moving_told: int = 0

    def add(
        self, state: TrackerState, named: Sequence[Detection], truth: Sequence[TrueObject], calibration: Calibration
    ) -> None:
        """Count one frame."""
        motions = find_motions(state, named, calibration, width=WIDTH, height=HEIGHT)
        partners = {place: truth[partner] for place, partner in pairs(truth, named)}
        for place, each in enumerate(with_speeds(named, motions)):
            true = partners.get(place)
            if true is not None:
                self._add_speed(each, true, calibration)
        groups = form_groups(named, width=WIDTH, height=HEIGHT, configuration=GroupingConfiguration())
        for group in groups:
            self._add_closing(group, motions, partners)

    def _add_speed(self, each: Detection, true: TrueObject, calibration: Calibration) -> None:
        speed = math.hypot(*true.velocity)
        if each.speed_kmh is not None and each.speed_deviation_kmh is not None:
            self.speeds.append((Estimate(each.speed_kmh, each.speed_deviation_kmh), speed * KMH))
        x, y = each.box.foot
        if speed >= MOVING_METRES_PER_SECOND and polygon_contains(calibration.picture, (x / WIDTH, y / HEIGHT)):
            self.moving += 1
            self.moving_told += each.speed_kmh is not None

    def _add_closing(
        self, group: TrafficGroup, motions: dict[int, RoadMotion], partners: dict[int, TrueObject]
    ) -> None:
        """Each pair by itself: of the whole group the greatest is told, which need not be the same pair in truth."""
        for one, other in combinations(group.members, 2):
            if one in partners and other in partners:
                pair = TrafficGroup(1, (one, other), group.box, group.crop, 1.0, group.classes)
                [told] = with_closing_speeds([pair], motions)
                if told.closing_speed_kmh is not None and told.closing_speed_deviation_kmh is not None:
                    estimate = Estimate(told.closing_speed_kmh, told.closing_speed_deviation_kmh)
                    self.closing.append((estimate, _true_closing_kmh(partners[one], partners[other])))

    def row(self) -> dict[str, float]:
        return {
            **_measures([each for each in self.speeds if each[1] >= _MOVING_KMH], "speed"),
            **_measures([each for each in self.speeds if each[1] < _MOVING_KMH], "standing"),
            "moving_told": round(self.moving_told / self.moving, 3) if self.moving else 0.0,
            **_measures(self.closing, "closing"),
        }


def _true_closing_kmh(one: TrueObject, other: TrueObject) -> float:
    apart, moving = np.subtract(other.place, one.place), np.subtract(other.velocity, one.velocity)
    return -float(apart @ moving) / max(math.hypot(*apart), 1e-6) * KMH


def _measures(told: Sequence[tuple[Estimate, float]], name: str) -> dict[str, float]:
    if not told:
        return {f"{name}_told": 0}
    errors = np.array([abs(estimate.kmh - true) for estimate, true in told])
    covered = errors <= 2 * np.array([estimate.deviation_kmh for estimate, _true in told])
    return {
        f"{name}_told": len(told),
        f"{name}_error_median": round(float(np.median(errors)), 2),
        f"{name}_error_p95": round(float(np.quantile(errors, 0.95)), 1),
        f"{name}_error_most": round(float(errors.max()), 1),
        f"{name}_covered": round(float(covered.mean()), 3),
        f"{name}_greatest": round(max(estimate.kmh for estimate, _true in told), 1),
    }
