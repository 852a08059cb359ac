"""What the model is shown: the whole scene made small, then the burst's crops in time order, the objects' ids drawn on
the last of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from assessment.evidence import Pictures
from detection.detect import read_part, read_picture, read_reduced, read_size
from detection.detections import DetectedFrame, Detection
from detection.detector import Picture
from trafficmon.core.geometry import Box

WIDE_WIDTH_PX = 448
"""Of the whole scene: enough to see the road's course and its markings, for about a hundred tokens."""
WIDE_SHARE = 0.6
"""Of the frame's area: a crop as large as that is the whole scene already."""
LEAST_PX, MOST_PX = 320, 768
"""Of the longer side of the crops: in smaller ones ids would hide what they name; larger ones cost more than they
show."""
MOST_ENLARGED = 3.0
QUALITY, WIDE_QUALITY = 85, 75

Colour = tuple[int, int, int]
MEMBER_COLOUR: Colour = (60, 220, 255)
OTHER_COLOUR: Colour = (190, 190, 190)
REGION_COLOUR: Colour = (60, 60, 255)
DARK: Colour = (20, 20, 20)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
_PADDING_PX = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """JPEGs as the model gets them. `has_wide` says that the first is the whole scene, `region` which part of the frame
    the others are, where they are not all of it."""

    pictures: tuple[bytes, ...]
    region: Box | None = None
    has_wide: bool = False


def show(frame: DetectedFrame, group_index: int, pictures: Pictures) -> Shown:
    """The pictures about one traffic group (0: the whole frame) as the model is to see them.

    Those before the last show how things move; nothing is drawn on them, for nothing was detected in them. They are as
    large as the last, so that places can be compared.
    """
    place = pictures.place or Box(0, 0, frame.width, frame.height)
    part = read_part(pictures.frame, place, of=pictures.size)
    size = _size_shown(part.shape[1], part.shape[0])
    canvas = _Canvas(_resized(part, size), place)
    _draw_ids(canvas, frame, group_index)
    has_wide = _has_wide(frame, place)
    wide = [_jpeg(_wide(_scene(pictures), frame, place), WIDE_QUALITY)] if has_wide else []
    before = (read_part(each, place, of=pictures.size) for each in pictures.earlier)
    earlier = [_jpeg(_resized(each, size)) for each in before]
    return Shown((*wide, *earlier, _jpeg(canvas.picture)), pictures.place, has_wide)


def sizes_shown(frame: DetectedFrame, pictures: Pictures) -> list[tuple[int, int]]:
    """About as wide and high as the pictures are that `show` makes, at none of its cost; raises
    PictureUnreadableError."""
    width, height = read_size(pictures.frame)
    place = pictures.place or Box(0, 0, frame.width, frame.height)
    part = place.scaled(width / frame.width, height / frame.height)
    crops = [_size_shown(round(part.width), round(part.height))] * (1 + len(pictures.earlier))
    return [(WIDE_WIDTH_PX, round(height * WIDE_WIDTH_PX / width)), *crops] if _has_wide(frame, place) else crops


def _has_wide(frame: DetectedFrame, place: Box) -> bool:
    return place.area < WIDE_SHARE * frame.width * frame.height


def _size_shown(width: int, height: int) -> tuple[int, int]:
    """Width and height for a crop, in its own proportions."""
    longest = max(width, height, 1)
    scale = min(MOST_PX / longest, max(LEAST_PX / longest, 1.0), MOST_ENLARGED)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    width, height = picture.shape[1::-1]
    if (width, height) == size:
        return np.ascontiguousarray(picture)
    if width >= 2 * size[0] and height >= 2 * size[1]:
        # Halves are the mean of four pixels each, which takes a fifth of the time of any other ratio.
        return _resized(np.asarray(cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)), size)
    way = cv2.INTER_LINEAR if size[0] < width else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)


def _scene(pictures: Pictures) -> Picture:
    """The whole scene, large enough to be made WIDE_WIDTH_PX wide: a moment before, where that was kept smaller."""
    for before in pictures.earlier[-1:]:
        if WIDE_WIDTH_PX <= read_size(before)[0] < read_size(pictures.frame)[0]:
            return read_picture(before)
    return read_reduced(pictures.frame, least_width=WIDE_WIDTH_PX)


def _wide(whole: Picture, frame: DetectedFrame, place: Box) -> Picture:
    """The whole scene, small, with a frame around what the other pictures show."""
    height = max(round(whole.shape[0] * WIDE_WIDTH_PX / whole.shape[1]), 1)
    small = _Canvas(_resized(whole, (WIDE_WIDTH_PX, height)), Box(0, 0, frame.width, frame.height))
    small.outline(place, REGION_COLOUR, 2)
    return small.picture


@dataclass(slots=True)
class _Canvas:
    """A picture of `place`, which is in pixels of the frame, to be drawn on."""

    picture: Picture
    place: Box
    _taken: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Where labels are."""

    def outline(self, box: Box, colour: Colour, thickness: int) -> None:
        left, top, right, bottom = self._corners(box)
        cv2.rectangle(self.picture, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)

    def label(self, box: Box, text: str, colour: Colour) -> None:
        """Write above the box; below where there is no room or another label, and inside where neither is free."""
        (width, height), base = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
        width, height = width + 2 * _PADDING_PX, height + base + _PADDING_PX
        left, top, _right, bottom = self._corners(box)
        left = min(max(left, 0), self.picture.shape[1] - width)
        spots = [(left, at, left + width, at + height) for at in (top - height, bottom, top)]
        spot = next(filter(self._is_free, spots), spots[-1])
        self._taken.append(spot)
        cv2.rectangle(self.picture, spot[:2], spot[2:], colour, cv2.FILLED)
        corner = (spot[0] + _PADDING_PX, spot[3] - base)
        cv2.putText(self.picture, text, corner, _FONT, _FONT_SCALE, DARK, 1, cv2.LINE_AA)

    def _is_free(self, spot: tuple[int, int, int, int]) -> bool:
        left, top, right, bottom = spot
        inside = top >= 0 and bottom <= self.picture.shape[0]
        return inside and not any(
            left < other[2] and other[0] < right and top < other[3] and other[1] < bottom for other in self._taken
        )

    def _corners(self, box: Box) -> tuple[int, int, int, int]:
        x, y = self.picture.shape[1] / self.place.width, self.picture.shape[0] / self.place.height
        moved = Box(box.x1 - self.place.x1, box.y1 - self.place.y1, box.x2 - self.place.x1, box.y2 - self.place.y1)
        left, top, right, bottom = moved.scaled(x, y).as_tuple()
        return round(left), round(top), round(right), round(bottom)


def _draw_ids(canvas: _Canvas, frame: DetectedFrame, group_index: int) -> None:
    """Box and id of every object in sight, those of the group last, so that theirs lie on top."""
    members = _members(frame, group_index)
    inside = [(number, each) for number, each in _numbered(frame.detections) if _is_in(each.box, canvas.place)]
    for number, each in sorted(inside, key=lambda one: one[0] in members):
        colour = MEMBER_COLOUR if number in members else OTHER_COLOUR
        canvas.outline(each.box, colour, 2 if number in members else 1)
        canvas.label(each.box, str(number), colour)


def _members(frame: DetectedFrame, group_index: int) -> frozenset[int]:
    group = next((each for each in frame.groups if each.index == group_index), None)
    places = group.members if group else range(len(frame.detections))
    return frozenset(place + 1 for place in places)


def _numbered(detections: Sequence[Detection]) -> list[tuple[int, Detection]]:
    """An object's id is its place among the frame's detections, from 1, as in the prompt."""
    return list(enumerate(detections, 1))


def _is_in(box: Box, place: Box) -> bool:
    x, y = box.centre
    return place.x1 <= x <= place.x2 and place.y1 <= y <= place.y2


def _jpeg(picture: Picture, quality: int = QUALITY) -> bytes:
    _done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)
