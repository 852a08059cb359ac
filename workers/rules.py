"""What is drawn on a camera's picture, as the rules of detection know it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from cameras.models import Camera, CountingLine, Zone
from detection.calibration import Calibration
from detection.counting import LineRule
from detection.detections import ZoneKind
from detection.observing import CameraRules
from detection.zones import ZoneRule
from trafficmon.core.objects import ObjectClass

RULES_SECONDS = 5.0
"""So soon does a change of a camera, its zones or lines take effect: to read them for each frame costs too much."""

FRESH, LONGEST_FRESH = timedelta(seconds=10), timedelta(seconds=30)
"""A frame older than this is not worth detecting, also of a camera that sends a newer one only later."""


@dataclass(frozen=True, slots=True)
class Known:
    """A camera as it was read, with its rules, and until when it is not read again."""

    camera: Camera
    rules: CameraRules
    until: float


known_cameras: dict[int, Known] = {}


def known_camera(camera_id: int) -> Known:
    """The camera and its rules, at most RULES_SECONDS old; raises Camera.DoesNotExist."""
    known = known_cameras.get(camera_id)
    if known is None or time.monotonic() > known.until:
        cameras = Camera.objects.defer("source", "detection_source").prefetch_related("zones", "lines")
        camera = cameras.get(pk=camera_id)
        known = known_cameras[camera_id] = Known(camera, rules_of(camera), time.monotonic() + RULES_SECONDS)
    return known


def fresh_for(camera_id: int) -> timedelta:
    """How old a frame of the camera may be to be worth detecting: until then no newer one has to be on its way."""
    try:
        interval_seconds = known_camera(camera_id).camera.frame_interval or 0.0
    except Camera.DoesNotExist:
        return FRESH
    return min(max(FRESH, timedelta(seconds=interval_seconds)), LONGEST_FRESH)


def rules_of(camera: Camera) -> CameraRules:
    """The rules of a camera whose `zones` and `lines` should be prefetched."""
    return CameraRules(
        zones=tuple(map(_zone_rule, camera.zones.all())),
        lines=tuple(map(_line_rule, camera.lines.all())),
        calibration=_calibration(camera.calibration) if camera.calibration else None,
    )


def _calibration(marks: dict[str, list[list[float]]]) -> Calibration:
    picture, road = (tuple((x, y) for x, y in marks[side]) for side in ("picture", "road"))
    return Calibration(picture, road)


def _zone_rule(zone: Zone) -> ZoneRule:
    return ZoneRule(
        name=zone.name,
        kind=cast("ZoneKind", zone.kind),
        polygon=tuple((x, y) for x, y in zone.polygon),
        classes=frozenset(map(ObjectClass, zone.classes)),
        direction_degrees=zone.direction_degrees,
        minimum_seconds=zone.minimum_seconds,
    )


def _line_rule(line: CountingLine) -> LineRule:
    (start_x, start_y), (end_x, end_y) = line.ends
    classes = frozenset(map(ObjectClass, line.classes))
    return LineRule(line.pk, line.name, (start_x, start_y), (end_x, end_y), classes)
