"""Where on the picture road users count, and which drawn zones they stand in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from detection.detections import Detection
from trafficmon.core.geometry import Box, polygon_contains
from trafficmon.core.objects import ObjectClass

Kind = Literal["include", "ignore", "lane", "crossing", "emergency_lane", "parking"]


@dataclass(frozen=True, slots=True)
class ZoneRule:
    """A polygon in shares of the picture's width and height, and what it means for `classes` (empty: for all)."""

    name: str
    kind: Kind
    polygon: tuple[tuple[float, float], ...]
    classes: frozenset[ObjectClass] = frozenset()
    direction_degrees: float | None = None

    def concerns(self, object_class: ObjectClass) -> bool:
        return not self.classes or object_class in self.classes

    def holds(self, box: Box, *, width: int, height: int) -> bool:
        """Whether the foot of `box` (pixels of a picture of `width` x `height`) stands in this zone."""
        return polygon_contains(self.polygon, _share_of_picture(box, width=width, height=height))


def keep_watched(
    detections: Sequence[Detection], rules: Sequence[ZoneRule], *, width: int, height: int
) -> tuple[Detection, ...]:
    """The detections that count: in no `ignore` zone of their class and, where such are drawn, in an `include` zone."""
    masks = [rule for rule in rules if rule.kind in {"include", "ignore"}]
    if not masks:
        return tuple(detections)
    return tuple(each for each in detections if _is_watched(each, masks, width=width, height=height))


def zones_under(detection: Detection, rules: Sequence[ZoneRule], *, width: int, height: int) -> tuple[ZoneRule, ...]:
    """The zones that concern `detection` and in which its foot stands."""
    concerned = (rule for rule in rules if rule.concerns(detection.object_class))
    return tuple(rule for rule in concerned if rule.holds(detection.box, width=width, height=height))


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
