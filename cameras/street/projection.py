"""A pinhole camera over a ground plane.

World: metres, x east, y north, z up. Picture: pixels, x right, y down. Depth: metres along the line of sight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pixels = NDArray[np.int32]

NEAR_M = 1.5
FIXED_POINT_BITS = 4
_FIXED_POINT = 1 << FIXED_POINT_BITS
_FARTHEST_PX = 20_000.0


class Pinhole:
    """Projects world points into a picture of `width` x `height`; `focal` is in picture widths."""

    def __init__(self, position: Floats, target: Floats, *, focal: float, width: int, height: int) -> None:
        self.position = position
        self.width = width
        self.height = height
        self.focal_px = focal * width
        forward = target - position
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, np.array([0.0, 0.0, 1.0]))
        right = right / np.linalg.norm(right)
        self.axes = np.stack([right, np.cross(forward, right), forward])
        self._centre = np.array([width / 2, height / 2])

    def into_view(self, points: Floats) -> Floats:
        """World points (n, 3) as right, down and depth (n, 3) in metres."""
        return np.asarray((points - self.position) @ self.axes.T, dtype=np.float64)

    def onto_picture(self, seen: Floats) -> Floats:
        """Points in view (n, 3), all with a positive depth, as pixels (n, 2)."""
        pixels = seen[:, :2] * (self.focal_px / seen[:, 2:3]) + self._centre
        return np.asarray(np.clip(pixels, -_FARTHEST_PX, _FARTHEST_PX), dtype=np.float64)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """World points (n, 3) as pixels (n, 2) and depths (n,); what is nearer than NEAR_M is moved there."""
        seen = self.into_view(points)
        seen[:, 2] = np.maximum(seen[:, 2], NEAR_M)
        return self.onto_picture(seen), seen[:, 2]

    def on_ground(self, x: float, y: float) -> tuple[float, float]:
        """Where on the ground (metres) the line of sight through a pixel ends; ValueError where it never does."""
        sight = np.array([*((np.array([x, y]) - self._centre) / self.focal_px), 1.0]) @ self.axes
        if sight[2] >= 0:
            message = f"at {x:g}, {y:g} px there is no ground"
            raise ValueError(message)
        east, north, _up = self.position - sight * (self.position[2] / sight[2])
        return float(east), float(north)

    def polygon(self, points: Floats) -> Pixels | None:
        """A flat world polygon (n, 3), cut to what can be seen, as fixed-point pixels; None when nothing is left."""
        seen = _cut(self.into_view(points))
        return None if len(seen) < 3 else fixed(self.onto_picture(seen))

    @property
    def horizon_px(self) -> float:
        """The picture row of the horizon."""
        forward = self.axes[2]
        down_at_horizon = self.axes[1] @ np.array([forward[0], forward[1], 0.0])
        depth = self.axes[2] @ np.array([forward[0], forward[1], 0.0])
        return float(self.height / 2 + self.focal_px * down_at_horizon / depth)


def fixed(pixels: Floats) -> Pixels:
    """Pixels as the fixed-point integers (FIXED_POINT_BITS) that OpenCV draws with sub-pixel accuracy."""
    return np.rint(pixels * _FIXED_POINT).astype(np.int32)


def _cut(seen: Floats) -> Floats:
    """Sutherland and Hodgman's clipping (1974) against the near plane and a pyramid well wider than the picture."""
    for plane in _PLANES:
        if len(seen) < 3:
            break
        seen = _cut_at(seen, seen @ plane[:3] - plane[3])
    return seen


def _cut_at(seen: Floats, inside: Floats) -> Floats:
    kept: list[Floats] = []
    for place in range(len(seen)):
        following = (place + 1) % len(seen)
        if inside[place] >= 0:
            kept.append(seen[place])
        if (inside[place] >= 0) != (inside[following] >= 0):
            share = inside[place] / (inside[place] - inside[following])
            kept.append(seen[place] + share * (seen[following] - seen[place]))
    return np.array(kept, dtype=np.float64).reshape(-1, 3)


_PLANES = np.array(
    [[0, 0, 1, NEAR_M], [1, 0, 3, 0], [-1, 0, 3, 0], [0, 1, 3, 0], [0, -1, 3, 0]],
    dtype=np.float64,
)
