"""Where on the picture road users count, and which drawn zones they stand in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from detection.detections import Detection, ZoneKind
from trafficmon.core.geometry import Box, distance_to_segment, polygon_contains
from trafficmon.core.objects import ObjectClass

MASKS: frozenset[ZoneKind] = frozenset({"include", "ignore"})
"""Kinds that decide what is watched at all; nothing is said to stand in them."""
AHEAD_HEIGHTS, AHEAD_STEPS = 3.0, 8
"""As far as who stands first before a crossing may stand from it: for a car two lengths, seen along the road."""
LEAVING_SHARE = 0.1
"""Of a box's height: a foot so near to a zone that it was in has not left it, as feet jitter."""


@dataclass(frozen=True, slots=True)
class ZoneRule:
    """A polygon in shares of the picture's width and height, and what it means for `classes` (empty: for all)."""

    name: str
    kind: ZoneKind
    polygon: tuple[tuple[float, float], ...]
    classes: frozenset[ObjectClass] = frozenset()
    direction_degrees: float | None = None
    """Of a lane: 0 is to the right, 90 downwards in the picture."""
    minimum_seconds: float = 0.0
    """A road user counts as standing in it only after having been seen there for so long."""

    def concerns(self, object_class: ObjectClass) -> bool:
        return not self.classes or object_class in self.classes

    def holds(self, box: Box, *, width: int, height: int) -> bool:
        """Whether the foot of `box` (pixels of a picture of `width` x `height`) stands in this zone."""
        return polygon_contains(self.polygon, _share_of_picture(box, width=width, height=height))

    def has_left(self, box: Box, *, width: int, height: int) -> bool:
        """Whether the foot of `box`, which was in this zone, is now more than its jitter away from it."""
        if self.holds(box, width=width, height=height):
            return False
        corners = [(x * width, y * height) for x, y in self.polygon]
        edges = zip(corners, [*corners[1:], *corners[:1]], strict=True)
        foot = box.clipped(width, height).foot
        return min(distance_to_segment(foot, start, end) for start, end in edges) > LEAVING_SHARE * box.height


def is_ahead(rule: ZoneRule, box: Box, *, direction_degrees: float, size: tuple[int, int]) -> bool:
    """Whether the zone lies within AHEAD_HEIGHTS before the foot of one who goes that way, in a picture of `size`."""
    foot_x, foot_y = box.clipped(*size).foot
    step = AHEAD_HEIGHTS * box.height / AHEAD_STEPS
    along_x, along_y = math.cos(math.radians(direction_degrees)), math.sin(math.radians(direction_degrees))
    return any(
        polygon_contains(
            rule.polygon, ((foot_x + along_x * step * n) / size[0], (foot_y + along_y * step * n) / size[1])
        )
        for n in range(1, AHEAD_STEPS + 1)
    )


@dataclass(frozen=True, slots=True)
class ZoneEntry:
    """Since when one road user has been in the zone of that name."""

    zone: str
    since: datetime


def keep_watched(
    detections: Sequence[Detection], rules: Sequence[ZoneRule], *, width: int, height: int
) -> tuple[Detection, ...]:
    """The detections that count: in no `ignore` zone of their class and, where such are drawn, in an `include` zone."""
    masks = [rule for rule in rules if rule.kind in MASKS]
    if not masks:
        return tuple(detections)
    return tuple(each for each in detections if _is_watched(each, masks, width=width, height=height))


def zones_under(detection: Detection, rules: Sequence[ZoneRule], *, width: int, height: int) -> tuple[ZoneRule, ...]:
    """The zones that concern `detection` and in which its foot stands."""
    concerned = (rule for rule in rules if rule.concerns(detection.object_class))
    return tuple(rule for rule in concerned if rule.holds(detection.box, width=width, height=height))


def entries_after(
    entries: Sequence[ZoneEntry], box: Box, rules: Sequence[ZoneRule], *, at: datetime, size: tuple[int, int]
) -> tuple[ZoneEntry, ...]:
    """The zones that a road user is in after it was seen as `box` in a picture of `size`, whatever its class.

    Not being seen for a while changes nothing; being seen outside ends the stay.
    """
    width, height = size
    known = {entry.zone: entry for entry in entries}
    after = []
    for rule in rules:
        entry = known.get(rule.name)
        if entry and not rule.has_left(box, width=width, height=height):
            after.append(entry)
        elif not entry and rule.holds(box, width=width, height=height):
            after.append(ZoneEntry(rule.name, at))
    return tuple(after)


def _is_watched(detection: Detection, masks: Sequence[ZoneRule], *, width: int, height: int) -> bool:
    stood_in = {rule.kind for rule in zones_under(detection, masks, width=width, height=height)}
    limited = any(rule.kind == "include" and rule.concerns(detection.object_class) for rule in masks)
    return "ignore" not in stood_in and ("include" in stood_in or not limited)


def _share_of_picture(box: Box, *, width: int, height: int) -> tuple[float, float]:
    """The foot point in shares, just inside where it lies on the picture's edge or beyond."""
    x, y = box.foot
    return min(max(x / width, _EDGE), 1 - _EDGE), min(max(y / height, _EDGE), 1 - _EDGE)


_EDGE = 1e-6
"""A road user cut off by the picture's edge has its foot on it; a zone drawn to the edge still holds it."""
