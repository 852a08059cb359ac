"""Sizes of JPEG and PNG files, read from their headers, and what they cost in tokens."""

from __future__ import annotations

import math
import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_END_OF_PICTURE = b"\xff\xd9"

MAX_PIXELS = 2_621_440
OLD_MAX_PIXELS = 1_310_720
"""Of qwen-vl-max and qwen-vl-plus."""
MIN_TOKENS, MAX_TOKENS = 4, 16_384


class NotAPicture(ValueError):
    """The bytes are not a whole JPEG or PNG file."""


def picture_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels of a whole JPEG or PNG file; raises NotAPicture."""
    if content.startswith(_PNG):
        return _png_size(content)
    if content.startswith(b"\xff\xd8") and _END_OF_PICTURE in content[-64:]:
        return _jpeg_size(content)
    raise NotAPicture("neither a whole JPEG nor a PNG file")


def _png_size(content: bytes) -> tuple[int, int]:
    if len(content) < 33 or content[12:16] != b"IHDR" or b"IEND" not in content[-16:]:
        raise NotAPicture("a broken PNG file")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Walks the segments (ITU T.81, annex B) up to the frame header, which holds the size."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    raise NotAPicture("a JPEG file without a frame header")


def picture_tokens(width: int, height: int, model: str) -> int:
    """Tokens of a picture as the provider documents them: one for each 32 x 32 pixels (28 x 28 for old models) after
    rounding to that grid, scaled down to the model's most pixels, and two for its ends."""
    old = model.startswith(("qwen2", "qvq"))
    cell = 28 if old else 32
    most = OLD_MAX_PIXELS if model.startswith("qwen-vl") else MAX_PIXELS
    rounded_width, rounded_height = (max(cell, round(side / cell) * cell) for side in (width, height))
    if rounded_width * rounded_height > most:
        shrink = math.sqrt(width * height / most)
        rounded_width, rounded_height = (max(cell, math.floor(side / shrink / cell) * cell) for side in (width, height))
    tokens = rounded_width * rounded_height // (cell * cell) + 2
    return min(max(tokens, MIN_TOKENS), MAX_TOKENS)


def text_tokens(text: str) -> int:
    """About what text costs: a token for 1.6 Chinese characters, or for 3.5 others."""
    chinese = 0 if text.isascii() else sum("\u2e80" <= character <= "\uffef" for character in text)
    return max(1, math.ceil(chinese / 1.6 + (len(text) - chinese) / 3.5))
