"""The lanes and crossings of a synthetic street as an operator would draw them on its picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from cameras.street import SCENES, Street
from detection.detections import ZoneKind
from detection.zones import ZoneRule
from tests.load.true_speeds import HEIGHT, MARKED, WIDTH
from trafficmon.core.geometry import Point, distance

HALF_LANE_METRES = 1.6
HALF_CROSSING_METRES = 2.5
PIECE_METRES = 15.0
"""Lanes are drawn in pieces, each with its direction in the picture."""
LEAST_PIECE_PX = 12.0
NOT_DRAWN = ("-through", "-turn", "-right", "-left")
"""Where ways cross in a junction no lane has one direction."""


@dataclass(frozen=True, slots=True)
class Projection:
    """From places on the ground (metres) to shares of the picture."""

    matrix: NDArray[np.float64]

    def __call__(self, place: Point) -> Point | None:
        """None for what is behind the camera."""
        x, y, depth = self.matrix @ np.array([*place, 1.0])
        return (float(x / depth), float(y / depth)) if depth > 0 else None


def _projection(street: Street) -> Projection:
    ground = np.array([street.on_ground(x * WIDTH, y * HEIGHT) for x, y in MARKED], np.float32)
    matrix = np.asarray(cv2.getPerspectiveTransform(ground, np.array(MARKED, np.float32)), np.float64)
    depth = matrix[2] @ np.array([*ground[0], 1.0])
    return Projection(matrix if depth > 0 else -matrix)


def draw_lanes(street: Street, scene: str) -> tuple[ZoneRule, ...]:
    """A zone for each piece of a lane in the picture, with the direction in which it is driven, and each crossing."""
    projection = _projection(street)
    lanes = (lane for lane in SCENES[scene].lanes if not any(part in lane.name for part in NOT_DRAWN))
    pieces = (
        (f"{lane.name} {number}", piece) for lane in lanes for number, piece in enumerate(_pieces(lane.points), 1)
    )
    zones = (_zone(name, "lane", piece, projection, HALF_LANE_METRES) for name, piece in pieces)
    crossings = (
        _zone(f"crossing {number}", "crossing", piece, projection, HALF_CROSSING_METRES)
        for number, footway in enumerate(SCENES[scene].footways)
        if footway.crossing is not None
        for piece in _pieces(footway.points[footway.crossing : footway.crossing + 2])
    )
    return tuple(zone for zone in (*zones, *crossings) if zone)


def _pieces(points: tuple[Point, ...]) -> Iterator[tuple[Point, Point]]:
    for (ax, ay), (bx, by) in pairwise(points):
        count = max(1, round(math.hypot(bx - ax, by - ay) / PIECE_METRES))
        ends = [(ax + (bx - ax) * n / count, ay + (by - ay) * n / count) for n in range(count + 1)]
        yield from pairwise(ends)


def _zone(
    name: str, kind: ZoneKind, piece: tuple[Point, Point], projection: Projection, half_metres: float
) -> ZoneRule | None:
    """None where the piece is not in the picture, or too far away to be drawn."""
    start, end = piece
    scale = half_metres / max(distance(start, end), 0.1)
    right = ((end[1] - start[1]) * scale, -(end[0] - start[0]) * scale)
    corners = [(x + side * right[0], y + side * right[1]) for x, y, side in _around(start, end)]
    seen = [place for place in map(projection, corners) if place]
    begin, finish = projection(start), projection(end)
    if len(seen) < len(corners) or begin is None or finish is None or not (_is_inside(begin) or _is_inside(finish)):
        return None
    step = ((finish[0] - begin[0]) * WIDTH, (finish[1] - begin[1]) * HEIGHT)
    if math.hypot(*step) < LEAST_PIECE_PX:
        return None
    degrees = math.degrees(math.atan2(step[1], step[0])) if kind == "lane" else None
    return ZoneRule(name, kind, tuple(seen), direction_degrees=degrees)


def _around(start: Point, end: Point) -> list[tuple[float, float, int]]:
    return [(*start, 1), (*end, 1), (*end, -1), (*start, -1)]


def _is_inside(place: Point) -> bool:
    return 0 <= place[0] <= 1 and 0 <= place[1] <= 1
