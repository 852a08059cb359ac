"""Everything that stands still, painted once for each street: sky, ground, road marks, buildings, trees, lamps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from cameras.street.canvas import OVERSAMPLING, Canvas, Image, Screen
from cameras.street.layout import Building, Colour, Head, Light, Line, Point, Rect, Scene
from cameras.street.projection import Floats, Pinhole

_ASPHALT: Colour = (92, 89, 87)
_PAVEMENT: Colour = (158, 164, 168)
_KERB: Colour = (196, 200, 202)
_STEEL: Colour = (112, 112, 108)
_WHITE: Colour = (232, 234, 234)
_YELLOW: Colour = (64, 184, 232)
_GRASS: Colour = (88, 142, 104)
_FACADES: tuple[Colour, ...] = (
    (150, 172, 190),
    (128, 146, 176),
    (176, 180, 182),
    (120, 140, 158),
    (160, 168, 196),
    (138, 128, 122),
)
_LEAVES: tuple[Colour, ...] = ((52, 112, 66), (46, 122, 84), (60, 104, 58), (58, 132, 96))


@dataclass(frozen=True, slots=True)
class Backdrop:
    """`image` at the picture's size; `light` (height/4, width/4) is how bright a road user is there, 1 for daylight."""

    image: Image
    screens: tuple[Screen, ...]
    light: Floats


def paint_backdrop(scene: Scene, pinhole: Pinhole, rng: np.random.Generator) -> Backdrop:
    """All that stands still in the scene; the same for the same state of `rng`, which is drawn from."""
    canvas = Canvas(pinhole)
    _paint_sky(canvas, scene.light, rng)
    _paint_ground(canvas, scene)
    _paint_marks(canvas, scene)
    _roughen(canvas, rng)
    _cast_shadows(canvas, scene)
    _stand_up(canvas, scene, rng)
    light = _light_map(canvas, scene)
    image = _lit(canvas, scene.light, light)
    screens = tuple(sorted(canvas.screens, key=lambda screen: -screen.depth))
    small = cv2.resize(light, (pinhole.width // 4, pinhole.height // 4)).astype(np.float64)
    return Backdrop(canvas.finished(image), screens, small)


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return tuple(x + (y - x) * share for x, y in zip(a, b, strict=True))  # type: ignore[return-value]  # three in, three out


def _flat(rect: Rect, z: float = 0.0) -> list[tuple[float, float, float]]:
    x1, y1, x2, y2 = rect
    return [(x1, y1, z), (x2, y1, z), (x2, y2, z), (x1, y2, z)]


def _paint_sky(canvas: Canvas, light: Light, rng: np.random.Generator) -> None:
    height, width = canvas.image.shape[:2]
    horizon = int(np.clip(canvas.pinhole.horizon_px * OVERSAMPLING, 1, height))
    share = (np.arange(horizon) / horizon)[:, None] ** 1.5
    rows = np.array(light.sky_high) * (1 - share) + np.array(light.sky_low) * share
    canvas.image[:horizon] = rows[:, None, :].astype(np.uint8)
    if not light.night:
        _paint_clouds(canvas.image[:horizon], rng)
    base = 0.0
    while base < width:
        wide = float(rng.uniform(0.015, 0.05)) * width
        tall = float(rng.uniform(0.01, 0.055)) * height
        colour = _mix(light.sky_low, (110, 104, 100), float(rng.uniform(0.15, 0.4)))
        cv2.rectangle(canvas.image, (int(base), int(horizon - tall)), (int(base + wide), horizon), colour, -1)
        base += wide * float(rng.uniform(0.7, 1.1))


def _paint_clouds(sky: Image, rng: np.random.Generator) -> None:
    height, width = sky.shape[:2]
    small = np.zeros((max(height // 8, 1), width // 8), np.uint8)
    for _ in range(9):
        x, y = int(rng.uniform(0, width / 8)), int(rng.uniform(0, height / 8))
        for _ in range(7):
            spot = (x + int(rng.normal(0, 16)), y + int(rng.normal(0, 3)))
            cv2.ellipse(small, spot, (int(rng.uniform(8, 22)), int(rng.uniform(2, 6))), 0, 0, 360, (150,), -1)
    soft = cv2.resize(cv2.GaussianBlur(small, (0, 0), 4), (width, height))[:, :, None].astype(np.float32) / 255
    sky[:] = (sky * (1 - soft) + 250 * soft).astype(np.uint8)


def _paint_ground(canvas: Canvas, scene: Scene) -> None:
    _paint_lawn(canvas, scene.light)
    for pavement in scene.pavements:
        x1, y1, x2, y2 = pavement
        canvas.fill(_flat((x1 - 0.2, y1 - 0.2, x2 + 0.2, y2 + 0.2)), _KERB)
        canvas.fill(_flat(pavement), _PAVEMENT)
        _paint_slabs(canvas, pavement)
    for x1, y1, x2, y2 in scene.roads:
        canvas.fill(_flat((x1, y1, x2, y2)), _ASPHALT)


def _paint_lawn(canvas: Canvas, light: Light) -> None:
    """Grass to the horizon, fading into the haze with distance."""
    height = canvas.image.shape[0]
    horizon = int(np.clip(canvas.pinhole.horizon_px * OVERSAMPLING, 0, height))
    below = np.arange(height - horizon) + 1.0
    distance = canvas.pinhole.position[2] * canvas.pinhole.focal_px * OVERSAMPLING / below
    haze = (0.75 * (1 - np.exp(-np.maximum(distance - 40, 0) / 220)))[:, None]
    rows = np.array(_GRASS) * (1 - haze) + np.array(light.sky_low) * haze
    canvas.image[horizon:] = rows[:, None, :].astype(np.uint8)


def _paint_slabs(canvas: Canvas, pavement: Rect) -> None:
    x1, y1, x2, y2 = pavement
    seam = _mix(_PAVEMENT, (120, 124, 126), 0.6)
    across = x2 - x1 < y2 - y1
    for place in np.arange((y1 if across else x1), (y2 if across else x2), 2.5):
        strip = (x1, place, x2, place + 0.07) if across else (place, y1, place + 0.07, y2)
        canvas.fill(_flat(strip), seam)


def _paint_marks(canvas: Canvas, scene: Scene) -> None:
    for line in scene.lines:
        _paint_line(canvas, line)
    for x1, y1, x2, y2 in scene.zebras:
        across = x2 - x1 > y2 - y1
        for place in np.arange((x1 if across else y1) + 0.35, (x2 if across else y2) - 0.4, 1.0):
            bar = (place, y1, place + 0.55, y2) if across else (x1, place, x2, place + 0.55)
            canvas.fill(_flat(bar), _WHITE)
    for x, y, heading in scene.arrows:
        _paint_arrow(canvas, x, y, heading)


def _paint_arrow(canvas: Canvas, x: float, y: float, heading: float) -> None:
    cos, sin = math.cos(heading), math.sin(heading)
    outlines = ([(-2.0, -0.08), (0.6, -0.08), (0.6, 0.08), (-2.0, 0.08)], [(0.5, -0.36), (1.9, 0.0), (0.5, 0.36)])
    for outline in outlines:
        canvas.fill([(x + a * cos - b * sin, y + a * sin + b * cos, 0.0) for a, b in outline], _WHITE)


def _paint_line(canvas: Canvas, line: Line) -> None:
    (ax, ay), (bx, by) = line.start, line.end
    length = math.hypot(bx - ax, by - ay)
    cos, sin = (bx - ax) / length, (by - ay) / length
    painted, bare = line.dash or (length, 1.0)
    wx, wy = -sin * line.width / 2, cos * line.width / 2
    for start in np.arange(0, length, painted + bare):
        end = min(start + painted, length)
        sx, sy, ex, ey = ax + cos * start, ay + sin * start, ax + cos * end, ay + sin * end
        corners = [(sx + wx, sy + wy, 0), (ex + wx, ey + wy, 0), (ex - wx, ey - wy, 0), (sx - wx, sy - wy, 0)]
        canvas.fill(corners, _YELLOW if line.yellow else _WHITE)


def _roughen(canvas: Canvas, rng: np.random.Generator) -> None:
    """A grain of asphalt and lawn, laid on the ground in perspective, with softer and larger stains under it."""
    size, span = 1024, 60.0
    grain = rng.normal(0, 5.0, (size, size)).astype(np.float32)
    stains = cv2.resize(rng.normal(0, 4.0, (48, 48)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    x, y, _ = canvas.pinhole.position
    forward = canvas.pinhole.axes[2][:2] / np.linalg.norm(canvas.pinhole.axes[2][:2])
    side = np.array([-forward[1], forward[0]])
    near = np.array([x, y]) + forward * 6.0
    corners = np.array(
        [
            near + side * span,
            near - side * span,
            near + forward * span * 1.6 - side * span,
            near + forward * span * 1.6 + side * span,
        ]
    )
    seen = canvas.pinhole.into_view(np.column_stack([corners, np.zeros(4)]))
    seen[:, 2] = np.maximum(seen[:, 2], 0.2)
    target = (canvas.pinhole.onto_picture(seen) * OVERSAMPLING).astype(np.float32)
    source = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    height, width = canvas.image.shape[:2]
    laid = cv2.warpPerspective(grain + stains, matrix, (width, height), flags=cv2.INTER_LINEAR)
    laid[: max(int(canvas.pinhole.horizon_px * OVERSAMPLING), 0)] = 0
    canvas.image[:] = np.clip(canvas.image.astype(np.float32) + laid[:, :, None], 0, 255).astype(np.uint8)


def _cast_shadows(canvas: Canvas, scene: Scene) -> None:
    if scene.light.night:
        return
    mask = np.full(canvas.image.shape[:2], 255, np.uint8)
    shaded = 150
    for tree in scene.trees:
        turns = np.linspace(0, math.tau, 20, endpoint=False)
        x, y = _shadow_of((tree[0], tree[1], 4.6), scene.light)
        ring = np.column_stack([x + 2.4 * np.cos(turns), y + 2.0 * np.sin(turns), np.zeros(20)])
        _darken(canvas, mask, ring, shaded)
    for building in scene.buildings:
        x1, y1, x2, y2 = building.footprint
        corners = [(x, y) for x in (x1, x2) for y in (y1, y2)]
        ground = corners + [_shadow_of((x, y, building.height), scene.light) for x, y in corners]
        hull = np.asarray(cv2.convexHull(np.array(ground, np.float32))[:, 0, :], dtype=np.float64)
        _darken(canvas, mask, np.column_stack([hull, np.zeros(len(hull))]), shaded)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 3), dtype=np.float32) / 255
    canvas.image[:] = (canvas.image * soft[:, :, None]).astype(np.uint8)


def _darken(canvas: Canvas, mask: Image, outline: Floats, value: int) -> None:
    polygon = canvas.pinhole.polygon(outline)
    if polygon is not None:
        cv2.fillPoly(mask, [polygon * OVERSAMPLING], (value,), cv2.LINE_AA, 4)


def _shadow_of(top: tuple[float, float, float], light: Light) -> Point:
    x, y, z = top
    sx, sy, sz = light.sun
    return x - sx / sz * z, y - sy / sz * z


def _stand_up(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> None:
    """Buildings, trees and lamps from the farthest to the nearest, each a screen for what moves behind it."""
    for depth, paint in sorted(_standing(canvas, scene, rng), key=lambda one: -one[0]):
        canvas.begin()
        paint()
        canvas.end(depth)
    for barrier in scene.barriers:
        _paint_barrier(canvas, barrier)
    for head in scene.heads:
        _paint_mast(canvas, head)
    for sign in scene.signs:
        _paint_post(canvas, sign.place, 3.0)


def _standing(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> Iterator[tuple[float, Callable[[], None]]]:
    """How far each thing is from the camera along the ground, in metres, and how to paint it."""
    eye = canvas.pinhole.position[:2]
    for building in scene.buildings:
        x1, y1, x2, y2 = building.footprint
        nearest = (min(max(eye[0], x1), x2), min(max(eye[1], y1), y2))
        yield math.dist(nearest, eye), partial(_paint_building, canvas, building, scene.light, rng)
    for tree in scene.trees:
        yield math.dist(tree, eye), partial(_paint_tree, canvas, tree, rng)
    for lamp in scene.lamps:
        yield math.dist(lamp[:2], eye), partial(_paint_lamp, canvas, lamp, night=scene.light.night)


def _paint_building(canvas: Canvas, building: Building, light: Light, rng: np.random.Generator) -> None:
    x1, y1, x2, y2 = building.footprint
    colour = _FACADES[int(rng.integers(len(_FACADES)))]
    eye = canvas.pinhole.position
    walls = (
        ((x1, y1), (x2, y1), (0, -1)),
        ((x2, y1), (x2, y2), (1, 0)),
        ((x2, y2), (x1, y2), (0, 1)),
        ((x1, y2), (x1, y1), (-1, 0)),
    )
    sun = np.array(light.sun)
    for start, end, (nx, ny) in walls:
        if (eye[0] - start[0]) * nx + (eye[1] - start[1]) * ny <= 0:
            continue
        shade = 0.62 + 0.38 * max(0.0, float(nx * sun[0] + ny * sun[1]))
        _paint_wall(canvas, (start, end), building.height, _mix((0, 0, 0), colour, shade), rng if light.night else None)
    if eye[2] > building.height:
        canvas.fill(_flat(building.footprint, building.height), _mix(colour, (200, 200, 200), 0.5))


def _paint_wall(
    canvas: Canvas, ends: tuple[Point, Point], height: float, colour: Colour, lit: np.random.Generator | None
) -> None:
    (ax, ay), (bx, by) = ends
    length = math.dist(*ends)
    ux, uy = (bx - ax) / length, (by - ay) / length

    def patch(along: tuple[float, float], up: tuple[float, float], paint: Colour, *, shines: bool = False) -> None:
        a, b = along
        low, high = up
        canvas.fill(
            [(ax + ux * s, ay + uy * s, z) for s, z in ((a, low), (b, low), (b, high), (a, high))], paint, shines=shines
        )

    patch((0, length), (0, height), colour)
    patch((0, length), (0, 3.4), _mix(colour, (60, 60, 66), 0.55))
    patch((0, length), (height - 0.5, height), _mix(colour, (230, 230, 230), 0.3))
    bays = max(int(length / 3.2), 1)
    for floor in range(max(int((height - 6.7) / 3.3) + 1, 0)):
        for bay in range(bays):
            left = (bay + 0.22) * length / bays
            shines = lit is not None and float(lit.random()) < 0.33
            glass: Colour = (96, 178, 226) if shines else _mix((120, 100, 84), colour, 0.12)
            patch((left, left + 0.56 * length / bays), (4.2 + floor * 3.3, 5.9 + floor * 3.3), glass, shines=shines)


def _paint_tree(canvas: Canvas, place: Point, rng: np.random.Generator) -> None:
    x, y = place
    height, spread = float(rng.uniform(5.2, 7.2)), float(rng.uniform(1.5, 2.1))
    sx, sy = _across(canvas, place, 0.16)
    canvas.fill([(x - sx, y - sy, 0), (x + sx, y + sy, 0), (x, y, height - 1)], (62, 78, 92))
    pixels, depths = canvas.pinhole.project(np.array([[x, y, height - spread]]))
    scale = canvas.pinhole.focal_px / depths[0]
    leaf = _LEAVES[int(rng.integers(len(_LEAVES)))]
    blobs = [(float(rng.normal(0, 0.55)), float(rng.normal(0, 0.5)), float(rng.uniform(0.45, 0.75))) for _ in range(11)]
    for layer, (shade, shift) in enumerate(((0.62, 0.25), (0.82, 0.05), (1.0, -0.2), (1.22, -0.42))):
        for dx, dy, size in blobs:
            middle = (pixels[0, 0] + (dx - shift * 0.4) * spread * scale, pixels[0, 1] + (dy + shift) * spread * scale)
            colour = tuple(min(c * shade, 255.0) for c in leaf)
            canvas.blot(middle, size * spread * scale * (1 - 0.2 * layer), colour)  # type: ignore[arg-type]  # three channels


def _paint_lamp(canvas: Canvas, lamp: tuple[float, float, float], *, night: bool) -> None:
    """A post at (x, y) with an arm of 2 m along the heading."""
    x, y, heading = lamp
    sx, sy = _across(canvas, (x, y), 0.09)
    canvas.fill(
        [(x - sx, y - sy, 0), (x + sx, y + sy, 0), (x + sx / 2, y + sy / 2, 8), (x - sx / 2, y - sy / 2, 8)], _STEEL
    )
    ex, ey = x + 2.2 * math.cos(heading), y + 2.2 * math.sin(heading)
    canvas.fill([(x, y, 7.9), (ex, ey, 8.2), (ex, ey, 8.32), (x, y, 8.08)], _STEEL)
    head = [
        (ex + a * math.cos(heading), ey + a * math.sin(heading), z)
        for a, z in ((-0.5, 8.12), (0.5, 8.2), (0.5, 8.34), (-0.5, 8.3))
    ]
    canvas.fill(head, (190, 236, 255) if night else (150, 150, 148), shines=night)


def _paint_mast(canvas: Canvas, head: Head) -> None:
    """A post with an arm out to where the signal head hangs."""
    canvas.begin()
    _paint_post(canvas, head.pole, head.height + 0.5, 0.1)
    (px, py), (hx, hy), z = head.pole, head.place, head.height
    canvas.fill([(px, py, z + 0.36), (hx, hy, z + 0.42), (hx, hy, z + 0.52), (px, py, z + 0.5)], _STEEL)
    canvas.end(math.dist(head.pole, canvas.pinhole.position[:2]))


def _paint_post(canvas: Canvas, place: Point, height: float, half_width: float = 0.05) -> None:
    x, y = place
    sx, sy = _across(canvas, place, half_width)
    canvas.fill([(x - sx, y - sy, 0), (x + sx, y + sy, 0), (x + sx, y + sy, height), (x - sx, y - sy, height)], _STEEL)


def _across(canvas: Canvas, place: Point, metres: float) -> Point:
    """A step of `metres` along the ground, square to the line of sight."""
    dx, dy = place[0] - canvas.pinhole.position[0], place[1] - canvas.pinhole.position[1]
    length = math.hypot(dx, dy)
    return -dy / length * metres, dx / length * metres


def _paint_barrier(canvas: Canvas, barrier: Line) -> None:
    (ax, ay), (bx, by) = barrier.start, barrier.end
    canvas.fill([(ax, ay, 0), (bx, by, 0), (bx, by, 0.8), (ax, ay, 0.8)], (168, 172, 174))
    canvas.fill([(ax, ay, 0.66), (bx, by, 0.66), (bx, by, 0.8), (ax, ay, 0.8)], (206, 208, 208))


def _light_map(canvas: Canvas, scene: Scene) -> np.typing.NDArray[np.float32]:
    height, width = canvas.image.shape[:2]
    small = np.full((height // 8, width // 8), scene.light.ambient if scene.light.night else 1.0, np.float32)
    if scene.light.night:
        for x, y, heading in scene.lamps:
            spot = (x + 2.2 * math.cos(heading), y + 2.2 * math.sin(heading))
            _light_pool(canvas, small, spot)
        small = np.minimum(cv2.GaussianBlur(small, (0, 0), 5).astype(np.float32), np.float32(1.05))
    return np.asarray(cv2.resize(small, (width, height)), dtype=np.float32)


def _light_pool(canvas: Canvas, light: np.typing.NDArray[np.float32], spot: Point) -> None:
    turns = np.linspace(0, math.tau, 28, endpoint=False)
    for radius in (15.0, 11.0, 7.5, 4.5):
        ring = np.column_stack([spot[0] + radius * np.cos(turns), spot[1] + radius * np.sin(turns), np.zeros(28)])
        polygon = canvas.pinhole.polygon(ring)
        if polygon is None:
            continue
        layer = np.zeros_like(light)
        cv2.fillPoly(layer, [polygon // 4], (0.16,), cv2.LINE_8, 4)
        light += layer


def _lit(canvas: Canvas, light: Light, brightness: np.typing.NDArray[np.float32]) -> Image:
    if not light.night:
        return np.clip(canvas.image * (np.array(light.tint, np.float32)), 0, 255).astype(np.uint8)
    horizon = int(np.clip(canvas.pinhole.horizon_px * OVERSAMPLING, 0, canvas.image.shape[0]))
    lit = canvas.image * brightness[:, :, None] * np.array(light.tint, np.float32)
    sky = np.asarray(~canvas.glow.any(axis=2), dtype=np.bool_)
    sky[horizon:] = False
    for screen in canvas.screens:
        area = np.s_[
            screen.top * OVERSAMPLING : (screen.top + screen.mask.shape[0]) * OVERSAMPLING,
            screen.left * OVERSAMPLING : (screen.left + screen.mask.shape[1]) * OVERSAMPLING,
        ]
        sky[area] &= (
            cv2.resize(screen.mask, None, fx=OVERSAMPLING, fy=OVERSAMPLING, interpolation=cv2.INTER_NEAREST) == 0
        )
    lit[sky] = canvas.image[sky]
    halo = cv2.GaussianBlur(canvas.glow, (0, 0), 9).astype(np.float32)
    return np.clip(lit + canvas.glow + halo * 0.8, 0, 255).astype(np.uint8)
