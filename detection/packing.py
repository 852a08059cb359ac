"""Detections and traffic groups as short JSON arrays: fifty cameras store millions of frames a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detection.detections import Detection, PictureMotion, TrafficGroup, ZoneRef
from trafficmon.core.geometry import box_from
from trafficmon.core.objects import ObjectClass


def pack_detections(detections: Sequence[Detection]) -> list[list[Any]]:
    """`[class, confidence, x1, y1, x2, y2, track id or null]` each, in the given order.

    Where a road user's conduct says more, an object follows with those of `zones` ([name, kind] each), `parked`,
    `stopped`, `waiting`, `against_lane`, `speed` ([km/h, deviation]) and `motion` ([rightwards, downwards, deviation],
    px/s) that are not empty or false.
    """
    return [
        [str(each.object_class), round(each.confidence, 3), *each.box.rounded(), each.track_id, *_pack_conduct(each)]
        for each in detections
    ]


def _pack_conduct(each: Detection) -> list[dict[str, Any]]:
    zones = [[zone.name, zone.kind] for zone in each.zones]
    told: dict[str, Any] = {"zones": zones, "parked": each.parked, "stopped": each.stopped}
    told |= {"waiting": each.waiting, "against_lane": each.against_lane}
    told["speed"] = _pack_speed(each.speed_kmh, each.speed_deviation_kmh)
    told["motion"] = _pack_motion(each.motion)
    kept = {name: value for name, value in told.items() if value}
    return [kept] if kept else []


def unpack_detections(rows: Sequence[Sequence[Any]]) -> tuple[Detection, ...]:
    """What `pack_detections` packed, to its precision; raises ValueError for an unknown class."""
    return tuple(_unpack_detection(row, row[7] if len(row) > 7 else {}) for row in rows)


def _unpack_detection(row: Sequence[Any], conduct: Mapping[str, Any]) -> Detection:
    return Detection(
        box_from(row[2:6]),
        ObjectClass(row[0]),
        row[1],
        row[6],
        zones=tuple(ZoneRef(name, kind) for name, kind in conduct.get("zones", ())),
        parked=conduct.get("parked", False),
        stopped=conduct.get("stopped", False),
        waiting=conduct.get("waiting", False),
        against_lane=conduct.get("against_lane", False),
        **dict(zip(("speed_kmh", "speed_deviation_kmh"), conduct.get("speed", ()), strict=False)),
        motion=PictureMotion(*conduct["motion"]) if "motion" in conduct else None,
    )


def _pack_speed(kmh: float | None, deviation_kmh: float | None) -> list[float]:
    return [] if kmh is None or deviation_kmh is None else [round(kmh, 1), round(deviation_kmh, 1)]


def _pack_motion(motion: PictureMotion | None) -> list[float]:
    return [round(each, 1) for each in (motion.right_px, motion.down_px, motion.deviation_px)] if motion else []


def pack_groups(groups: Sequence[TrafficGroup]) -> list[list[Any]]:
    """`[index, members, box, crop, average confidence, classes]` each, then closing speed and deviation if known."""
    return [
        [
            group.index,
            list(group.members),
            list(group.box.rounded()),
            list(group.crop.rounded()),
            round(group.average_confidence, 3),
            [str(each) for each in group.classes],
            *_pack_speed(group.closing_speed_kmh, group.closing_speed_deviation_kmh),
        ]
        for group in groups
    ]


def unpack_groups(rows: Sequence[Sequence[Any]]) -> tuple[TrafficGroup, ...]:
    """What `pack_groups` packed, to its precision; raises ValueError for an unknown class."""
    return tuple(
        TrafficGroup(
            index, tuple(members), box_from(box), box_from(crop), confidence, tuple(map(ObjectClass, classes)), *closing
        )
        for index, members, box, crop, confidence, classes, *closing in rows
    )
