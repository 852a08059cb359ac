"""What shapes are made of: faces and rods in metres, x forward, y to the left, z up from the road."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cameras.street.projection import Floats

Corner = tuple[float, float, float]


class Material(IntEnum):
    """Rows of a palette."""

    PAINT = 0
    GLASS = 1
    TYRE = 2
    RIM = 3
    HEADLIGHT = 4
    TAIL_LIGHT = 5
    TRIM = 6
    SECOND_PAINT = 7
    SKIN = 8
    TOP = 9
    TROUSERS = 10
    HAIR = 11
    INDICATOR = 12
    STRIPE = 13
    RED_LAMP = 14
    AMBER_LAMP = 15
    GREEN_LAMP = 16


LAMPS = (Material.RED_LAMP, Material.AMBER_LAMP, Material.GREEN_LAMP)
LUMINOUS = (Material.HEADLIGHT, Material.TAIL_LIGHT, Material.INDICATOR, *LAMPS)


@dataclass(frozen=True, slots=True)
class Face:
    """A flat convex polygon: rows `start` to `stop` of the shape's vertices."""

    start: int
    stop: int
    material: Material
    block: int


@dataclass(frozen=True, slots=True)
class Rod:
    """A round stick between rows `start` and `start + 1` of the shape's vertices; `radius` in metres."""

    start: int
    radius: float
    material: Material


@dataclass(frozen=True, slots=True)
class Shape:
    """Faces are drawn in order, block by block from the farthest; rods after them, in order.

    `vertices` (n, 3); `swing` (n, 3) is added times the sine of the gait; `normals` and `middles` (faces, 3);
    `radii` (n,) is the thickness in metres of what stands on each vertex.
    """

    vertices: Floats
    swing: Floats
    radii: Floats
    faces: tuple[Face, ...]
    normals: Floats
    middles: Floats
    materials: NDArray[np.int64]
    blocks: Floats
    rods: tuple[Rod, ...]


@dataclass(slots=True)
class Draft:
    """A shape in the making."""

    vertices: list[Corner] = field(default_factory=list)
    swing: list[Corner] = field(default_factory=list)
    radii: list[float] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    rods: list[Rod] = field(default_factory=list)
    block: int = 0

    def face(self, corners: Sequence[Corner], material: Material) -> None:
        """A flat patch; which way its corners turn does not matter, since `done` finds the outside."""
        start = len(self.vertices)
        self.vertices.extend(corners)
        self.swing.extend([(0.0, 0.0, 0.0)] * len(corners))
        self.radii.extend([0.0] * len(corners))
        self.faces.append(Face(start, len(self.vertices), material, self.block))

    def rod(self, a: Corner, b: Corner, radius: float, material: Material, swing: float = 0.0) -> None:
        """`swing` moves the end `b` forward and back, in metres."""
        self.rods.append(Rod(len(self.vertices), radius, material))
        self.vertices.extend([a, b])
        self.swing.extend([(0.0, 0.0, 0.0), (swing, 0.0, abs(swing) * 0.15)])
        self.radii.extend([radius, radius])

    def hull(self, profile: Sequence[Corner], materials: Sequence[Material], side: Material) -> None:
        """A closed convex outline of (x, z, half width) as a body."""
        count = len(profile)
        for place, material in enumerate(materials):
            (ax, az, aw), (bx, bz, bw) = profile[place], profile[(place + 1) % count]
            self.face([(ax, aw, az), (ax, -aw, az), (bx, -bw, bz), (bx, bw, bz)], material)
        self.face([(x, w, z) for x, z, w in profile], side)
        self.face([(x, -w, z) for x, z, w in reversed(profile)], side)

    def both_sides(self, outline: Sequence[Corner], material: Material) -> None:
        """The same patch of (x, z, half width) on the left and the right side."""
        self.face([(x, w + 0.01, z) for x, z, w in outline], material)
        self.face([(x, -w - 0.01, z) for x, z, w in reversed(outline)], material)

    def wheel(self, x: float, radius: float, half_width: float) -> None:
        """Tyre and rim on both sides, standing on the ground at `x`; metres."""
        self.both_sides(disc(x, radius, radius, half_width), Material.TYRE)
        self.both_sides(disc(x, radius, radius * 0.55, half_width + 0.005), Material.RIM)

    def lamps(self, x: float, z: float, spread: float, size: tuple[float, float], *, front: bool) -> None:
        """A pair of lamps of `size` (width, height), `spread` metres either side, on the front or the back."""
        material = Material.HEADLIGHT if front else Material.TAIL_LIGHT
        for y in (-spread, spread):
            corners = [
                (x, y + dy * size[0] / 2, z + dz * size[1] / 2) for dy, dz in ((1, -1), (-1, -1), (-1, 1), (1, 1))
            ]
            self.face(corners if not front else corners[::-1], material)

    def done(self) -> Shape:
        """The finished shape; every face looks away from the middle of its block."""
        vertices = np.array(self.vertices, dtype=np.float64).reshape(-1, 3)
        middles = [vertices[face.start : face.stop].mean(axis=0) for face in self.faces]
        blocks = [self._middle_of(block, vertices) for block in range(self.block + 1)]
        normals = [
            _outward(vertices[face.start : face.stop], middle - blocks[face.block])
            for face, middle in zip(self.faces, middles, strict=True)
        ]
        return Shape(
            vertices=vertices,
            swing=np.array(self.swing, dtype=np.float64).reshape(-1, 3),
            radii=np.array(self.radii, dtype=np.float64),
            faces=tuple(self.faces),
            normals=np.array(normals, dtype=np.float64).reshape(-1, 3),
            middles=np.array(middles, dtype=np.float64).reshape(-1, 3),
            materials=np.array([int(face.material) for face in self.faces], dtype=np.int64),
            blocks=np.array(blocks, dtype=np.float64).reshape(-1, 3),
            rods=tuple(self.rods),
        )

    def _middle_of(self, block: int, vertices: Floats) -> Floats:
        """The middle of everything in `block`; the origin when it has no faces."""
        spots = [vertices[face.start : face.stop] for face in self.faces if face.block == block]
        if not spots:
            return np.zeros(3)
        joined = np.concatenate(spots)
        return np.asarray((joined.min(axis=0) + joined.max(axis=0)) / 2, dtype=np.float64)


def disc(x: float, z: float, radius: float, half_width: float, corners: int = 12) -> list[Corner]:
    """A polygon of (x, z, half width) about (`x`, `z`), for `both_sides`."""
    turns = [math.tau * n / corners for n in range(corners)]
    return [(x + radius * math.cos(t), z + radius * math.sin(t), half_width) for t in turns]


def _outward(corners: Floats, away: Floats) -> Floats:
    """The face's unit normal on the side of `away`."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[1])
    normal = normal / max(float(np.linalg.norm(normal)), 1e-9)
    return np.asarray(normal if normal @ away >= 0 else -normal, dtype=np.float64)
