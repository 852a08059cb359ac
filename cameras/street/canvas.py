"""A large picture that the standing things are painted on once, with what each of them covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cameras.street.layout import Colour
from cameras.street.projection import FIXED_POINT_BITS, Floats, Pinhole, Pixels

Image = NDArray[np.uint8]

OVERSAMPLING = 2


@dataclass(frozen=True, slots=True)
class Screen:
    """Something that hides road users farther off than `depth`: where `mask`, put at `left` and `top`, is 255."""

    depth: float
    left: int
    top: int
    mask: Image


class Canvas:
    """Paints at OVERSAMPLING times the picture's size; `glow` holds what shines by itself at night."""

    def __init__(self, pinhole: Pinhole) -> None:
        self.pinhole = pinhole
        shape = (pinhole.height * OVERSAMPLING, pinhole.width * OVERSAMPLING, 3)
        self.image: Image = np.zeros(shape, np.uint8)
        self.glow: Image = np.zeros(shape, np.uint8)
        self._mask: Image | None = None
        self.screens: list[Screen] = []

    def begin(self) -> None:
        """What is painted from here to `end` is one standing thing."""
        self._mask = np.zeros(self.image.shape[:2], np.uint8)

    def end(self, depth: float) -> None:
        """What was painted since `begin`, if any of it is in the picture, is a screen `depth` metres away."""
        mask, self._mask = self._mask, None
        if mask is None:
            return
        small = cv2.resize(mask, (self.pinhole.width, self.pinhole.height), interpolation=cv2.INTER_AREA)
        rows, columns = np.flatnonzero(small.any(axis=1)), np.flatnonzero(small.any(axis=0))
        if len(rows) and len(columns):
            cut = small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            self.screens.append(
                Screen(depth, int(columns[0]), int(rows[0]), np.where(cut > 127, 255, 0).astype(np.uint8))
            )

    def fill(self, points: Sequence[Sequence[float]] | Floats, colour: Colour, *, shines: bool = False) -> None:
        """A flat polygon in the world."""
        polygon = self.pinhole.polygon(np.asarray(points, dtype=np.float64))
        if polygon is not None:
            self._paint(polygon * OVERSAMPLING, colour, shines=shines)

    def blot(self, middle: tuple[float, float], radius: float, colour: Colour) -> None:
        """A disc in the picture, in pixels."""
        turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = np.stack([middle[0] + radius * np.cos(turns), middle[1] + radius * np.sin(turns)], axis=1)
        self._paint(np.rint(ring * OVERSAMPLING * (1 << FIXED_POINT_BITS)).astype(np.int32), colour, shines=False)

    def _paint(self, polygon: Pixels, colour: Colour, *, shines: bool) -> None:
        cv2.fillPoly(self.image, [polygon], colour, cv2.LINE_AA, FIXED_POINT_BITS)
        cv2.fillPoly(self.glow, [polygon], colour if shines else (0, 0, 0), cv2.LINE_AA, FIXED_POINT_BITS)
        if self._mask is not None:
            cv2.fillPoly(self._mask, [polygon], (255,), cv2.LINE_8, FIXED_POINT_BITS)

    def finished(self, image: Image) -> Image:
        """`image`, of the canvas's size, at the picture's size."""
        size = (self.pinhole.width, self.pinhole.height)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
