"""Shapes put in their places on the street and projected into the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from cameras.street.meshes import Shape
from cameras.street.projection import Floats, Pinhole
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

_NEAREST_M = 2.0
_FARTHEST_M = 220.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a shape stands: origin in the world (metres), heading (radians), phase of its gait, speed (m/s)."""

    x: float
    y: float
    z: float
    heading: float
    gait: float = 0.0
    speed: float = 0.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One object as the camera sees it: `pixels` (n, 2), `depths` (n,), `world` (n, 3) belong to the shape's vertices.

    `outline` (k, 2) is the convex hull in the picture, `box` the box around it, not clipped to the picture;
    `facing` is the camera's place seen from the shape.
    """

    number: int
    object_class: ObjectClass
    shape: Shape
    pose: Pose
    colours: Floats
    world: Floats
    pixels: Floats
    depths: Floats
    depth: float
    facing: Floats
    outline: Floats
    box: Box


def stand(
    subject: tuple[int, ObjectClass], shape: Shape, pose: Pose, palette: Floats, pinhole: Pinhole
) -> Figure | None:
    """`shape` seen from `pinhole`; None when it is out of the picture, behind the camera or too far off."""
    number, object_class = subject
    local = shape.vertices + shape.swing * math.sin(pose.gait) if shape.rods else shape.vertices
    cos, sin = math.cos(pose.heading), math.sin(pose.heading)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    origin = np.array([pose.x, pose.y, pose.z])
    world = local @ turn + origin
    seen = pinhole.into_view(world)
    depths = seen[:, 2]
    if depths.min() < _NEAREST_M or depths.min() > _FARTHEST_M:
        return None
    pixels = pinhole.onto_picture(seen)
    outline = _outline(shape, pixels, depths, pinhole)
    (x1, y1), (x2, y2) = outline.min(axis=0).tolist(), outline.max(axis=0).tolist()
    if x2 <= 0 or y2 <= 0 or x1 >= pinhole.width or y1 >= pinhole.height:
        return None
    eye = turn @ (pinhole.position - origin)
    return Figure(
        number=number,
        object_class=object_class,
        shape=shape,
        pose=pose,
        colours=palette,
        world=world,
        pixels=pixels,
        depths=depths,
        depth=float(math.dist(origin[:2], pinhole.position[:2])),
        facing=eye,
        outline=outline,
        box=Box(x1, y1, x2, y2),
    )


def _outline(shape: Shape, pixels: Floats, depths: Floats, pinhole: Pinhole) -> Floats:
    """The convex hull (k, 2) of everything that is drawn."""
    spots = pixels
    if shape.rods:
        reach = (shape.radii * pinhole.focal_px / depths)[:, None]
        spots = np.concatenate([pixels + reach * way for way in _WAYS])
    return np.asarray(cv2.convexHull(spots.astype(np.float32))[:, 0, :], dtype=np.float64)


_WAYS = tuple(np.array(way) for way in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)))
