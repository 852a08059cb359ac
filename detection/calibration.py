"""From the picture to the road: the homography of four marked places, and what it makes of a motion in pixels.

Hartley and Zisserman, Multiple View Geometry, 2nd edition, 2004, chapters 2 and 5: a plane seen by a camera is that
plane times a 3 x 3 matrix, and what is uncertain in the picture is uncertain on the road as its derivatives say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detection.motion import Motion
from trafficmon.core.geometry import Point, polygon_contains

Floats = NDArray[np.float64]
KMH = 3.6
"""Kilometres an hour in a metre a second."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Four places of the road: in the picture (shares of its width and height), and on the ground (metres).

    In the same order, both convex, as `cameras.calibrations` requires.
    """

    picture: tuple[Point, ...]
    road: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class RoadMotion:
    """Place (m) and velocity (m/s) on the road, 2 each, and the covariance of both, 4 x 4."""

    place: Floats
    velocity: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """A speed and its standard deviation, in km/h."""

    kmh: float
    deviation_kmh: float


def move_on_road(motion: Motion, calibration: Calibration, *, width: int, height: int) -> RoadMotion | None:
    """The motion of a box's foot in a picture of `width` x `height` pixels, on the road.

    None where the foot is not between the four places: beyond them a small mistake in marking grows without bound.
    """
    foot = (motion.x.position / width, (motion.y.position + motion.height.position / 2) / height)
    if not polygon_contains(calibration.picture, foot):
        return None
    shares = np.array([1 / width, 1 / height] * 2)
    moving = np.array([motion.x.velocity, motion.y.velocity + motion.height.velocity / 2]) * shares[:2]
    matrix = _homography(calibration)
    depth = float(matrix[2] @ (*foot, 1.0))
    place = matrix[:2] @ (*foot, 1.0) / depth
    towards = (matrix[:2, :2] - np.outer(place, matrix[2, :2])) / depth
    velocity = towards @ moving
    # How the velocity changes with the foot's place: the road's metres grow with distance.
    bending = -(float(matrix[2, :2] @ moving) * towards + np.outer(velocity, matrix[2, :2])) / depth
    spread = np.block([[towards, np.zeros((2, 2))], [bending, towards]])
    in_picture = _foot_covariance(motion) * np.outer(shares, shares)
    return RoadMotion(place, velocity, spread @ in_picture @ spread.T)


def speed_of(motion: RoadMotion) -> Estimate:
    """How fast it moves, whichever way."""
    metres = math.hypot(*motion.velocity)
    variances = motion.covariance[2:, 2:]
    way = motion.velocity / metres if metres > 0 else np.zeros(2)
    # Of something that stands no direction is known: the deviation is that of the worst one.
    variance = float(way @ variances @ way) if metres > 0 else float(np.linalg.eigvalsh(variances)[-1])
    return Estimate(metres * KMH, math.sqrt(max(variance, 0.0)) * KMH)


def closing_speed(one: RoadMotion, other: RoadMotion) -> Estimate:
    """How fast the distance between the two shrinks; negative where it grows."""
    apart, moving = other.place - one.place, other.velocity - one.velocity
    distance = max(math.hypot(*apart), 1e-6)
    way = apart / distance
    closing = -float(way @ moving)
    gradient = np.concatenate([-(moving + closing * way) / distance, -way])
    variance = float(gradient @ (one.covariance + other.covariance) @ gradient)
    return Estimate(closing * KMH, math.sqrt(max(variance, 0.0)) * KMH)


def _foot_covariance(motion: Motion) -> Floats:
    """Of the foot's place (px) and velocity (px/s), 4 x 4: x, y, then their velocities; the foot is y + height / 2."""
    x, y, height = motion.x, motion.y, motion.height
    down = (
        y.position_variance + height.position_variance / 4,
        y.covariance + height.covariance / 4,
        y.velocity_variance + height.velocity_variance / 4,
    )
    return np.array(
        [
            [x.position_variance, 0, x.covariance, 0],
            [0, down[0], 0, down[1]],
            [x.covariance, 0, x.velocity_variance, 0],
            [0, down[1], 0, down[2]],
        ]
    )


@lru_cache(maxsize=1024)
def _homography(calibration: Calibration) -> Floats:
    """The 3 x 3 matrix from the picture (shares, 1) to the road (metres times depth, depth)."""
    rows, places = [], []
    for (x, y), (east, north) in zip(calibration.picture, calibration.road, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -east * x, -east * y], [0, 0, 0, x, y, 1, -north * x, -north * y]]
        places += [east, north]
    solved = np.linalg.solve(np.array(rows, dtype=np.float64), np.array(places, dtype=np.float64))
    return np.append(solved, 1.0).reshape(3, 3)
