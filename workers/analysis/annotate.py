"""Drawing on pictures: boxes, names, and traffic groups in the colour of their risk."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from assessment.risk import RiskLevel
from detection.detect import read_picture
from detection.detections import Detection, TrafficGroup
from detection.detector import Picture
from trafficmon.core.geometry import Box
from workers.analysis.findings import AnalysedFrame

Colour = tuple[int, int, int]
"""Blue, green, red."""

WIDTH_PX = 960
QUALITY = 78
THUMBNAIL_WIDTH_PX, THUMBNAIL_HEIGHT_PX, THUMBNAIL_QUALITY = 224, 168, 72
FONT = "uni"
"""OpenCV's bundled font that knows Chinese."""

LEVEL_COLOURS: dict[RiskLevel | None, Colour] = {
    RiskLevel.NONE: (91, 122, 16),
    RiskLevel.LOW: (10, 112, 133),
    RiskLevel.MEDIUM: (8, 88, 178),
    RiskLevel.HIGH: (28, 38, 200),
    None: (120, 106, 92),
}
"""`none` is for groups that nobody was asked about, or about whom there is no answer."""
OBJECT_COLOUR: Colour = (250, 246, 240)
WHITE: Colour = (255, 255, 255)

NameObject = Callable[[Detection], str]
NameGroup = Callable[[TrafficGroup, RiskLevel | None], str]


def annotate(jpeg: bytes, frame: AnalysedFrame, *, name_object: NameObject, name_group: NameGroup) -> bytes:
    """The frame's picture as JPEG, `WIDTH_PX` wide, with what was found drawn on it."""
    picture = read_picture(jpeg)
    scale = WIDTH_PX / picture.shape[1]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=method)
    drawing = _Drawing(np.asarray(canvas, dtype=np.uint8), scale)
    for group in frame.frame.groups:
        drawing.shade(group.crop, LEVEL_COLOURS[frame.level_of(group.index)])
    for each in frame.frame.detections:
        drawing.outline(each.box, OBJECT_COLOUR, 2)
    for group in frame.frame.groups:
        drawing.outline(group.crop, LEVEL_COLOURS[frame.level_of(group.index)], 4)
    for each in sorted(frame.frame.detections, key=lambda one: one.box.y2):
        drawing.write(each.box, name_object(each), (70, 60, 50), 17)
    for group in frame.frame.groups:
        level = frame.level_of(group.index)
        drawing.write(group.crop, name_group(group, level), LEVEL_COLOURS[level], 22)
    return _as_jpeg(drawing.canvas, QUALITY)


def thumbnail(jpeg: bytes) -> bytes:
    """The picture as a JPEG that fits a table."""
    picture = read_picture(jpeg)
    height, width = picture.shape[:2]
    scale = min(THUMBNAIL_WIDTH_PX / width, THUMBNAIL_HEIGHT_PX / height, 1.0)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    return _as_jpeg(np.asarray(small, dtype=np.uint8), THUMBNAIL_QUALITY)


class _Drawing:
    """A picture being drawn on; boxes are given in pixels of the source."""

    def __init__(self, canvas: Picture, scale: float) -> None:
        self.canvas = canvas
        self._scale = scale
        self._font = cv2.FontFace(FONT)

    def _corners(self, box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
        x1, y1, x2, y2 = (round(value * self._scale) for value in box.as_tuple())
        return (x1, y1), (x2, y2)

    def shade(self, box: Box, colour: Colour) -> None:
        """Tint what lies inside, so that groups are seen from afar."""
        (x1, y1), (x2, y2) = self._corners(box)
        inside = self.canvas[max(y1, 0) : y2, max(x1, 0) : x2]
        inside[:] = (inside * 0.86 + np.array(colour) * 0.14).astype(np.uint8)

    def outline(self, box: Box, colour: Colour, thickness: int) -> None:
        """A line with a dark edge: seen on asphalt and on snow."""
        first, second = self._corners(box)
        cv2.rectangle(self.canvas, first, second, (30, 26, 22), thickness + 2, cv2.LINE_AA)
        cv2.rectangle(self.canvas, first, second, colour, thickness, cv2.LINE_AA)

    def write(self, box: Box, text: str, colour: Colour, size: int) -> None:
        """A label above the box, or inside its top where there is no room above."""
        if not text:
            return
        (left, top), _second = self._corners(box)
        height, width = self.canvas.shape[:2]
        _x, _y, text_width, _h = cv2.getTextSize((width, height), text, (0, 0), self._font, size, 500)
        left = max(0, min(left, width - text_width - 8))
        top = top - size - 7 if top >= size + 7 else max(top, 0)
        cv2.rectangle(self.canvas, (left, top), (left + text_width + 8, top + size + 7), colour, cv2.FILLED)
        cv2.putText(self.canvas, text, (left + 4, top + size + 1), WHITE, self._font, size, 500)


def _as_jpeg(picture: Picture, quality: int) -> bytes:
    _done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()
