"""Moments of a synthetic street with all that is known of them, for the benchmarks of what is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cameras.street import Street, TrueObject
from detection.detections import Detection, road_users
from detection.detector import Detector
from trafficmon.core.objects import ROAD_USERS

START = datetime(2026, 5, 4, 8, tzinfo=UTC)
LEAST_VISIBLE, LEAST_AREA_PX = 0.35, 16.0 * 16.0
"""What is smaller (8 x 8 of the model's input) or more hidden counts neither as missed nor as wrongly found."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Which road users are in the picture, all of those that count as if detected exactly, and those detected."""

    at: datetime
    truth: tuple[TrueObject, ...]
    exact: tuple[Detection, ...]
    found: tuple[Detection, ...]


def counts(each: TrueObject) -> bool:
    """Whether a detector is asked to find it."""
    return each.visible >= LEAST_VISIBLE and each.box.area >= LEAST_AREA_PX


def watch(street: Street, all_seconds: Iterable[float], detector: Detector) -> list[Moment]:
    """The street at each of `all_seconds`, which only ever grow."""
    moments = []
    for seconds in all_seconds:
        street.advance_to(seconds)
        truth = tuple(each for each in street.truth() if each.object_class in ROAD_USERS)
        exact = tuple(Detection(each.box, each.object_class, 1.0) for each in truth if counts(each))
        found = road_users(detector.detect(street.render()))
        moments.append(Moment(START + timedelta(seconds=seconds), truth, exact, found))
    return moments
