"""Who crosses which counting line, and which way: only what was seen to cross is counted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from detection.detections import Direction
from trafficmon.core.geometry import Point, distance
from trafficmon.core.objects import ObjectClass

CLEAR_SHARE = 0.2
"""Of a box's height: so far from a line a foot is clearly on one side; nearer, its jitter might carry it across."""


@dataclass(frozen=True, slots=True)
class LineRule:
    """A counting line from `start` to `end`, in shares of the picture, for `classes` (empty: for all)."""

    line_id: int
    name: str
    start: Point
    end: Point
    classes: frozenset[ObjectClass] = frozenset()

    def concerns(self, object_class: ObjectClass) -> bool:
        return not self.classes or object_class in self.classes

    def in_pixels(self, size: tuple[int, int]) -> tuple[Point, Point]:
        """Both ends in a picture of that width and height."""
        width, height = size
        return (self.start[0] * width, self.start[1] * height), (self.end[0] * width, self.end[1] * height)


@dataclass(frozen=True, slots=True)
class Passage:
    """How one road user stands to one line."""

    line_id: int
    side: Direction | None = None
    """The side on which it clearly was last, named by the way that leads there; None where it has not been seen so."""
    through: bool = False
    """Whether it has gone through the line, and not around its end, since it was there."""
    counted: Direction | None = None
    """The way it was counted last: it counts again only the other way."""


def pass_line(
    passage: Passage, line: tuple[Point, Point], step: tuple[Point, Point], *, clear_px: float
) -> tuple[Passage, Direction | None]:
    """The passage after a foot moved along `step` (px), and the way in which the line was crossed, if it now was.

    A line is crossed by who comes through it from clearly (`clear_px`) one side to clearly the other.
    """
    through = passage.through != _goes_through(step, line)
    offset = signed_distance(step[1], line)
    if abs(offset) < clear_px:
        return replace(passage, through=through), None
    side = Direction.FORWARD if offset > 0 else Direction.BACKWARD
    crossed = through and passage.side not in {None, side} and passage.counted != side
    after = replace(passage, side=side, through=False, counted=side if crossed else passage.counted)
    return after, side if crossed else None


def signed_distance(point: Point, line: tuple[Point, Point]) -> float:
    """Pixels from the endless line through both ends, positive to the right of the arrow from the first to the second.

    0 everywhere where both ends are the same.
    """
    (ax, ay), (bx, by) = line
    length = distance(*line)
    return ((bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)) / length if length else 0.0


def _goes_through(step: tuple[Point, Point], line: tuple[Point, Point]) -> bool:
    """Whether the way from one point to the other crosses the line between its ends."""
    before, after = signed_distance(step[0], line), signed_distance(step[1], line)
    if (before >= 0) == (after >= 0):
        return False
    share = before / (before - after)
    meeting = tuple(a + share * (b - a) for a, b in zip(*step, strict=True))
    (ax, ay), (bx, by) = line
    along = (meeting[0] - ax) * (bx - ax) + (meeting[1] - ay) * (by - ay)
    return 0 <= along <= distance(*line) ** 2
