"""Painting a moment of the street: backdrop, shadows, road users from the farthest to the nearest, lights at night."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cameras.street.backdrop import Backdrop
from cameras.street.canvas import Image, Screen
from cameras.street.figures import Figure
from cameras.street.layout import Light
from cameras.street.meshes import LUMINOUS, Material
from cameras.street.projection import FIXED_POINT_BITS, Floats, Pinhole, fixed
from trafficmon.core.objects import ROAD_USERS, VEHICLES

_LUMINOUS_ROWS = np.array([int(material) for material in LUMINOUS])
_IS_LUMINOUS = np.zeros(len(Material), np.bool_)
_IS_LUMINOUS[_LUMINOUS_ROWS] = True
_SHADOW = 0.58
_GLOWS = {Material.HEADLIGHT: (0.9, (150, 190, 205)), Material.TAIL_LIGHT: (0.42, (20, 16, 120))}


class Painter:
    """Paints one street's pictures on its backdrop."""

    def __init__(self, light: Light, pinhole: Pinhole, backdrop: Backdrop) -> None:
        self._light = light
        self._pinhole = pinhole
        self._backdrop = backdrop
        sun = np.array(light.sun)
        self._sun = sun / np.linalg.norm(sun)

    def paint(self, figures: Sequence[Figure], caption: str) -> Image:
        """A picture (height, width, 3), blue-green-red; `figures` in any order, `caption` in a corner."""
        image = self._backdrop.image.copy()
        for figure in figures:
            if figure.object_class in ROAD_USERS:
                self._cast_shadow(image, figure)
        if self._light.night:
            for figure in figures:
                self._throw_beam(image, figure)
        for thing in in_order(figures, self._backdrop.screens):
            if isinstance(thing, Figure):
                self._paint_figure(image, thing)
                if self._light.night:
                    self._glow(image, thing)
            else:
                self._put_before(image, thing)
        _write(image, caption)
        return image

    def labels(self, figures: Sequence[Figure]) -> NDArray[np.int16]:
        """A picture (height, width) of which figure is seen where: 1 + its place in `figures`, 0 for none."""
        labels = np.zeros((self._pinhole.height, self._pinhole.width), np.int16)
        places = {id(figure): place for place, figure in enumerate(figures, start=1)}
        for thing in in_order(figures, self._backdrop.screens):
            if isinstance(thing, Figure):
                cv2.fillConvexPoly(labels, fixed(thing.outline), (places[id(thing)],), cv2.LINE_8, FIXED_POINT_BITS)
            else:
                rows, columns = thing.mask.shape
                labels[thing.top : thing.top + rows, thing.left : thing.left + columns][thing.mask > 0] = 0
        return labels

    def _put_before(self, image: Image, screen: Screen) -> None:
        rows, columns = screen.mask.shape
        area = np.s_[screen.top : screen.top + rows, screen.left : screen.left + columns]
        cv2.copyTo(self._backdrop.image[area], screen.mask, image[area])

    def _cast_shadow(self, image: Image, figure: Figure) -> None:
        sun = self._sun
        ground = figure.world - figure.world[:, 2:3] * (sun / sun[2])
        seen = self._pinhole.into_view(ground)
        if seen[:, 2].min() < 1.0:
            return
        hull = np.asarray(cv2.convexHull(self._pinhole.onto_picture(seen).astype(np.float32))[:, 0, :], np.float64)
        _darken(image, hull, _SHADOW if not self._light.night else 0.7)

    def _paint_figure(self, image: Image, figure: Figure) -> None:
        brightness = self._brightness(figure)
        shape = figure.shape
        pixels = fixed(figure.pixels)
        if shape.faces:
            shown = np.einsum("ij,ij->i", figure.facing - shape.middles, shape.normals) > 0
            colours = self._face_colours(figure, brightness).tolist()
            for place in _face_order(figure):
                if shown[place]:
                    face = shape.faces[place]
                    corners = pixels[face.start : face.stop]
                    cv2.fillConvexPoly(image, corners, colours[place], cv2.LINE_AA, FIXED_POINT_BITS)
        if shape.rods:
            self._paint_rods(image, figure, pixels, brightness)

    def _paint_rods(self, image: Image, figure: Figure, pixels: NDArray[np.int32], brightness: float) -> None:
        table = figure.colours * brightness
        table[_LUMINOUS_ROWS] = figure.colours[_LUMINOUS_ROWS]
        colours = np.minimum(table, 255).tolist()
        scale = 2 * self._pinhole.focal_px / figure.depth
        corners = pixels.tolist()
        for rod in figure.shape.rods:
            thickness = max(1, round(rod.radius * scale))
            a, b = corners[rod.start], corners[rod.start + 1]
            cv2.line(image, a, b, colours[rod.material], thickness, cv2.LINE_AA, FIXED_POINT_BITS)

    def _brightness(self, figure: Figure) -> float:
        """Light on the figure as a whole, from the backdrop's light where its foot is."""
        if not self._light.night:
            return self._light.ambient + self._light.direct * 0.6
        light = self._backdrop.light
        x, y = figure.box.foot[0] / 4, figure.box.foot[1] / 4
        row, column = min(max(int(y), 0), light.shape[0] - 1), min(max(int(x), 0), light.shape[1] - 1)
        return float(light[row, column]) * 0.85

    def _face_colours(self, figure: Figure, brightness: float) -> Floats:
        shape = figure.shape
        if self._light.night:
            shade = brightness * (0.7 + 0.3 * shape.normals[:, 2])
        else:
            cos, sin = math.cos(figure.pose.heading), math.sin(figure.pose.heading)
            x, y, z = self._sun
            sun = np.array([x * cos + y * sin, -x * sin + y * cos, z])
            shade = self._light.ambient + self._light.direct * np.maximum(shape.normals @ sun, 0.0)
        materials = shape.materials
        shade = np.where(_IS_LUMINOUS[materials], 1.0, shade)
        return np.minimum(figure.colours[materials] * shade[:, None], 255.0)

    def _throw_beam(self, image: Image, figure: Figure) -> None:
        """The patch of road that a vehicle's headlights light."""
        if figure.object_class not in VEHICLES or figure.depth > 70:
            return
        pose = figure.pose
        front = float(figure.shape.vertices[:, 0].max())
        cos, sin = math.cos(pose.heading), math.sin(pose.heading)
        corners = [
            (front + a, b) for a, b in ((0.4, 0.8), (6.0, 2.0), (11.0, 1.7), (11.0, -1.7), (6.0, -2.0), (0.4, -0.8))
        ]
        world = np.array([(pose.x + a * cos - b * sin, pose.y + a * sin + b * cos, 0.0) for a, b in corners])
        seen = self._pinhole.into_view(world)
        if seen[:, 2].min() < 2.0:
            return
        strength = 46 if figure.object_class.value != "bicycle" else 16
        _brighten(image, self._pinhole.onto_picture(seen), (strength * 0.8, strength * 0.97, strength))

    def _glow(self, image: Image, figure: Figure) -> None:
        shape = figure.shape
        shown = None
        for place, face in enumerate(shape.faces):
            if face.material not in _GLOWS:
                continue
            if shown is None:
                shown = np.einsum("ij,ij->i", figure.facing - shape.middles, shape.normals) > 0
            if shown[place]:
                reach, _ = _GLOWS[face.material]
                middle = figure.pixels[face.start : face.stop].mean(axis=0)
                _add_halo(image, middle, reach * self._pinhole.focal_px / figure.depth, _HALO[face.material])


def in_order(figures: Iterable[Figure], screens: Iterable[Screen]) -> list[Figure | Screen]:
    """Figures and the screens that hide one of them, the farthest first."""
    listed = list(figures)
    hiding = (one for one in screens if any(each.depth > one.depth and _overlap(each, one) for each in listed))
    things: list[Figure | Screen] = [*listed, *hiding]
    return sorted(things, key=lambda thing: -thing.depth)


def _overlap(figure: Figure, screen: Screen) -> bool:
    box = figure.box
    rows, columns = screen.mask.shape
    across = box.x1 < screen.left + columns and box.x2 > screen.left
    return across and box.y1 < screen.top + rows and box.y2 > screen.top


def _face_order(figure: Figure) -> Iterable[int]:
    """Places of faces, block by block from the farthest."""
    shape = figure.shape
    if len(shape.blocks) == 1:
        return range(len(shape.faces))
    distance = np.linalg.norm(shape.blocks - figure.facing, axis=1)
    return sorted(range(len(shape.faces)), key=lambda place: -distance[shape.faces[place].block])


def _area(image: Image, outline: Floats, margin: int) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) of the part of the picture around `outline`; None when it is outside."""
    height, width = image.shape[:2]
    left, top = np.floor(outline.min(axis=0)).astype(int) - margin
    right, bottom = np.ceil(outline.max(axis=0)).astype(int) + margin
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return (int(left), int(top), int(right), int(bottom)) if left < right and top < bottom else None


def _darken(image: Image, outline: Floats, share: float) -> None:
    area = _area(image, outline, 1)
    if area is None:
        return
    left, top, right, bottom = area
    part = image[top:bottom, left:right]
    mask = np.full(part.shape, 255, np.uint8)
    shade = (share * 255 + 8, share * 255, share * 255)
    cv2.fillConvexPoly(mask, fixed(outline - (left, top)), shade, cv2.LINE_AA, FIXED_POINT_BITS)
    cv2.multiply(part, mask, dst=part, scale=1 / 255)


def _brighten(image: Image, outline: Floats, colour: tuple[float, float, float]) -> None:
    spread = max(3, int((outline[:, 1].max() - outline[:, 1].min()) / 5)) | 1
    area = _area(image, outline, spread)
    if area is None:
        return
    left, top, right, bottom = area
    part = image[top:bottom, left:right]
    light = np.zeros(part.shape, np.uint8)
    cv2.fillConvexPoly(light, fixed(outline - (left, top)), colour, cv2.LINE_8, FIXED_POINT_BITS)
    cv2.add(part, cv2.blur(light, (spread, spread)), dst=part)


def _halo(size: int = 64) -> Floats:
    across = np.linspace(-1, 1, size)
    distance = np.hypot(across[:, None], across[None, :])
    return np.asarray(np.clip(1 - distance, 0, 1) ** 2.2, dtype=np.float64)


_HALO = {
    material: (_halo()[:, :, None] * np.array(colour)).astype(np.uint8) for material, (_, colour) in _GLOWS.items()
}


def _add_halo(image: Image, middle: Floats, radius: float, sprite: Image) -> None:
    size = max(int(radius) * 2, 6)
    left, top = int(middle[0] - size / 2), int(middle[1] - size / 2)
    height, width = image.shape[:2]
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + size, width), min(top + size, height)
    if x1 >= x2 or y1 >= y2:
        return
    scaled = cv2.resize(sprite, (size, size))
    part = image[y1:y2, x1:x2]
    cv2.add(part, scaled[y1 - top : y2 - top, x1 - left : x2 - left], dst=part)


def _write(image: Image, caption: str) -> None:
    """A small caption on a darkened strip in the lower left corner."""
    scale = image.shape[1] / 1280
    height, left = round(24 * scale), round(10 * scale)
    width = cv2.getTextSize(caption, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, 1)[0][0] + 2 * left
    part = image[-height:, :width]
    part[:] = part // 2
    spot = (left, image.shape[0] - round(7 * scale))
    cv2.putText(image, caption, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, (240, 240, 240), 1, cv2.LINE_AA)
