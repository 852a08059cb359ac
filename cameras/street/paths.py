"""Lanes and footways as lengths: where a point some metres along a path is, and which way the path runs there."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from cameras.street.layout import Point


class Path:
    """A polyline in world metres."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = tuple(points)
        self._starts = [0.0]
        self._headings: list[float] = []
        for (ax, ay), (bx, by) in zip(self.points, self.points[1:], strict=False):
            self._starts.append(self._starts[-1] + math.hypot(bx - ax, by - ay))
            self._headings.append(math.atan2(by - ay, bx - ax))
        self.length = self._starts[-1]

    def at(self, metres: float, right: float = 0.0) -> tuple[float, float, float]:
        """(x, y, heading in radians) `metres` along and `right` metres to the right; straight on beyond both ends."""
        leg = min(max(bisect_right(self._starts, metres) - 1, 0), len(self._headings) - 1)
        heading = self._headings[leg]
        along = metres - self._starts[leg]
        x, y = self.points[leg]
        cos, sin = math.cos(heading), math.sin(heading)
        return x + along * cos + right * sin, y + along * sin - right * cos, self._smooth(leg, along)

    def start_of(self, leg: int) -> float:
        """Metres from the path's start to its point number `leg`."""
        return self._starts[leg]

    def nearest(self, point: Point) -> float:
        """Metres along the path of the place nearest to `point`."""
        best, found = math.inf, 0.0
        for leg, (ax, ay) in enumerate(self.points[:-1]):
            cos, sin = math.cos(self._headings[leg]), math.sin(self._headings[leg])
            along = (point[0] - ax) * cos + (point[1] - ay) * sin
            along = min(max(along, 0.0), self._starts[leg + 1] - self._starts[leg])
            away = math.hypot(ax + along * cos - point[0], ay + along * sin - point[1])
            if away < best:
                best, found = away, self._starts[leg] + along
        return found

    def _smooth(self, leg: int, along: float) -> float:
        """The heading turns over the whole leg, not at its corners, so that bends look driven."""
        heading = self._headings[leg]
        length = self._starts[leg + 1] - self._starts[leg]
        if length > 6.0:
            return heading
        nearer = leg + 1 if along > length / 2 else leg - 1
        if not 0 <= nearer < len(self._headings):
            return heading
        turn = math.remainder(self._headings[nearer] - heading, math.tau)
        return heading + turn * abs(along / length - 0.5)
