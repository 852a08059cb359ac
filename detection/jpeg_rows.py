"""Reading only some rows of a JPEG: what a restart marker ends can be decoded without what is before it.

A JPEG's pixels are coded in rows of blocks, of which each needs the one before, unless restart markers part them
(ITU-T T.81, section E.1.4). Cameras' pictures are stored with a marker after each row of blocks, so that a traffic
group's part costs as much as it is high, not as much as the whole picture.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
"""In coded pixels a byte FF is otherwise always followed by 00."""
_BASELINE, _RESTART_INTERVAL, _SCAN, _END = 0xC0, 0xDD, 0xDA, b"\xff\xd9"
_COLOURS = 3
_HEIGHT_AT = 5
"""Of the frame's segment, from its marker."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a JPEG's pixels begin, and how they are cut into rows of blocks."""

    pixels_at: int
    height_at: int
    height: int
    rows_px: int

    @property
    def rows(self) -> int:
        return -(-self.height // self.rows_px)


def restart_interval(width: int, block_px: int = 16) -> int:
    """How many blocks a row of a picture has: a marker after so many is one after each row.

    Where colours are kept for every second pixel (4:2:0), as usual, blocks are 16 pixels wide.
    """
    return -(-width // block_px)


def rows_of(jpeg: bytes, top: int, bottom: int) -> tuple[bytes, int]:
    """A JPEG of at least the pixel rows from `top` up to `bottom`, and which row of the picture is its first.

    It has a row of blocks more on either side, since colours are interpolated across. A JPEG without a restart
    marker after each row of blocks is returned as it is.
    """
    layout = _layout_of(jpeg)
    if layout is None:
        return jpeg, 0
    first, last = max(top // layout.rows_px - 1, 0), min(-(-bottom // layout.rows_px) + 1, layout.rows)
    rows = _rows_before(jpeg, layout, last)
    if len(rows) != last or first >= last:
        return jpeg, 0
    height = min(last * layout.rows_px, layout.height) - first * layout.rows_px
    head = bytearray(jpeg[: layout.pixels_at])
    struct.pack_into(">H", head, layout.height_at, height)
    return bytes(head) + _joined(rows[first:]) + _END, first * layout.rows_px


def _rows_before(jpeg: bytes, layout: _Layout, last: int) -> list[bytes]:
    """The coded rows of blocks up to `last`, without their markers; fewer where the JPEG has fewer."""
    ends = [each.start() for each in islice(_RESTART.finditer(jpeg, layout.pixels_at), last)]
    if last == layout.rows:
        ends.append(jpeg.rfind(_END))
    begins = [layout.pixels_at, *(end + 2 for end in ends)]
    return [jpeg[begin:end] for begin, end in zip(begins, ends, strict=False)]


def _joined(rows: list[bytes]) -> bytes:
    """With restart markers between them, which are numbered from 0 to 7 again and again."""
    parts = [rows[0]]
    for number, row in enumerate(rows[1:]):
        parts += (bytes((0xFF, 0xD0 + number % 8)), row)
    return b"".join(parts)


def _layout_of(jpeg: bytes) -> _Layout | None:
    """None where it is not baseline, or has no restart marker after each row of blocks."""
    interval, frame = 0, None
    for marker, at, length in _segments(jpeg):
        if marker == _BASELINE:
            frame = at
        elif marker == _RESTART_INTERVAL:
            (interval,) = struct.unpack_from(">H", jpeg, at + 4)
        elif marker == _SCAN and frame:
            return _parted(jpeg, frame, interval, at + 2 + length)
    return None


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, place and length of each segment before the pixels, and of the one that begins them."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker, length = jpeg[at + 1], struct.unpack_from(">H", jpeg, at + 2)[0]
        yield marker, at, length
        if marker == _SCAN:
            return
        at += 2 + length


def _parted(jpeg: bytes, frame: int, interval: int, pixels_at: int) -> _Layout | None:
    height, width, components = struct.unpack_from(">HHB", jpeg, frame + _HEIGHT_AT)
    if components != _COLOURS:
        return None
    factors = [jpeg[frame + 11 + 3 * each] for each in range(components)]
    across, down = max(each >> 4 for each in factors), max(each & 15 for each in factors)
    if not across or not down or interval != restart_interval(width, 8 * across):
        return None
    return _Layout(pixels_at, frame + _HEIGHT_AT, height, 8 * down)
