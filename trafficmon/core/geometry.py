"""Plane geometry in pixels: x grows to the right, y grows down, the origin is the picture's top-left corner."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in pixels, `x1 <= x2` and `y1 <= y2`."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    @property
    def foot(self) -> tuple[float, float]:
        """The middle of the lower edge: where a road user touches the road."""
        return (self.x1 + self.x2) / 2, self.y2

    def grown(self, margin_px: float) -> Box:
        return Box(self.x1 - margin_px, self.y1 - margin_px, self.x2 + margin_px, self.y2 + margin_px)

    def scaled(self, x: float, y: float) -> Box:
        """The same in a picture `x` times as wide and `y` times as high."""
        return Box(self.x1 * x, self.y1 * y, self.x2 * x, self.y2 * y)

    def clipped(self, width: float, height: float) -> Box:
        """The part inside a picture of `width` x `height`; degenerate (zero area) when there is none."""
        return Box(
            min(max(self.x1, 0.0), width),
            min(max(self.y1, 0.0), height),
            min(max(self.x2, 0.0), width),
            min(max(self.y2, 0.0), height),
        )

    def rounded(self, digits: int = 1) -> tuple[float, float, float, float]:
        return round(self.x1, digits), round(self.y1, digits), round(self.x2, digits), round(self.y2, digits)

    def as_tuple(self) -> tuple[float, float, float, float]:
        return self.x1, self.y1, self.x2, self.y2


def box_from(values: Sequence[float]) -> Box:
    """A box from its four corners `[x1, y1, x2, y2]`; raises ValueError for anything else."""
    x1, y1, x2, y2 = values
    return Box(float(x1), float(y1), float(x2), float(y2))


def intersection_over_union(a: Box, b: Box) -> float:
    """Shared area over joint area, 0 to 1; 0 when both boxes are empty."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.area + b.area - shared)


def union_box(boxes: Iterable[Box]) -> Box:
    """The smallest box around all of `boxes`; raises ValueError when there are none."""
    listed = list(boxes)
    return Box(
        min(box.x1 for box in listed),
        min(box.y1 for box in listed),
        max(box.x2 for box in listed),
        max(box.y2 for box in listed),
    )


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Euclidean distance in pixels."""
    return math.hypot(a[0] - b[0], a[1] - b[1])


def corner_areas(polygon: Sequence[Point]) -> list[float]:
    """Of each corner the signed area of the triangle with its neighbours; all of one sign where the polygon is convex.

    True for up to four corners; one with more may wind around itself.
    """
    neighbours = zip([*polygon[-1:], *polygon[:-1]], polygon, [*polygon[1:], *polygon[:1]], strict=True)
    return [((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) / 2 for (ax, ay), (bx, by), (cx, cy) in neighbours]


def polygon_contains(polygon: Sequence[tuple[float, float]], point: tuple[float, float]) -> bool:
    """Whether `point` lies inside `polygon` (even-odd rule; fewer than three corners contain nothing)."""
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def distance_to_segment(point: Point, start: Point, end: Point) -> float:
    """From `point` to the nearest place on the straight way from `start` to `end`, in pixels."""
    along = share_along(point, start, end)
    nearest = start[0] + along * (end[0] - start[0]), start[1] + along * (end[1] - start[1])
    return distance(point, nearest)


def share_along(point: Point, start: Point, end: Point) -> float:
    """Where between `start` (0) and `end` (1) the nearest place to `point` is; 0 where they are the same."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    squared = dx * dx + dy * dy
    along = ((point[0] - start[0]) * dx + (point[1] - start[1]) * dy) / squared if squared else 0.0
    return min(max(along, 0.0), 1.0)
