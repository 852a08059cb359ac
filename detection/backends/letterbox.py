"""Laying a picture into a detector's input without distorting it, and the way back.

The rules are those YOLO weights are trained with: scale to fit, centre, fill the rest with grey 114.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.detector import Picture

FILL = (114, 114, 114)


@dataclass(frozen=True, slots=True)
class Fit:
    """Where a picture lies in the input: its scaled size and the grey around it, in pixels of the input."""

    picture_width: int
    picture_height: int
    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the whole."""
        return self.left + self.width + self.right, self.top + self.height + self.bottom


def fit_picture(picture_size: tuple[int, int], input_size: tuple[int, int], *, stride: int | None = None) -> Fit:
    """How a picture of `picture_size` lies in an input of `input_size` (both width, height, in pixels).

    With a `stride` the grey is kept to what reaches the next multiple of it, for weights that take any size.
    """
    picture_width, picture_height = picture_size
    scale = min(input_size[0] / picture_width, input_size[1] / picture_height)
    width, height = max(round(picture_width * scale), 1), max(round(picture_height * scale), 1)
    spare_x, spare_y = input_size[0] - width, input_size[1] - height
    if stride:
        spare_x, spare_y = spare_x % stride, spare_y % stride
    left, top = spare_x // 2, spare_y // 2
    return Fit(picture_width, picture_height, width, height, left, top, spare_x - left, spare_y - top)


def letterbox(picture: Picture, fit: Fit) -> Picture:
    """`picture` scaled and padded as `fit` says."""
    scaled = cv2.resize(picture, (fit.width, fit.height), interpolation=cv2.INTER_LINEAR)
    padded = cv2.copyMakeBorder(scaled, fit.top, fit.bottom, fit.left, fit.right, cv2.BORDER_CONSTANT, value=FILL)
    return np.asarray(padded, dtype=np.uint8)


def boxes_in_picture(boxes: NDArray[np.float32], fit: Fit) -> NDArray[np.float32]:
    """N x 4 corners in input pixels as corners in picture pixels, clipped to the picture."""
    offset = np.array([fit.left, fit.top, fit.left, fit.top], dtype=np.float32)
    scale_x, scale_y = fit.width / fit.picture_width, fit.height / fit.picture_height
    scale = np.array([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)
    limit = np.array([fit.picture_width, fit.picture_height] * 2, dtype=np.float32)
    corners: NDArray[np.float32] = np.clip((boxes - offset) / scale, np.float32(0), limit)
    return corners
