"""Small clips made for a test, whose frames tell their own number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np

from cameras.sampling import Picture

Codec = Literal["h264", "h265", "mjpeg"]

_ENCODERS: dict[Codec, str] = {"h264": "libx264", "h265": "libx265", "mjpeg": "mjpeg"}


def numbered_picture(number: int, *, width: int = 320, height: int = 240) -> Picture:
    """A picture whose left half tells the tens and whose right half the ones of its number (0 to 99) as brightness."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:, : width // 2] = 16 + number // 10 * 22
    picture[:, width // 2 :] = 16 + number % 10 * 22
    return picture


def number_of(picture: Picture) -> int:
    """The number that `numbered_picture` wrote."""
    width = picture.shape[1]
    halves = (picture[:, : width // 2 - 16], picture[:, width // 2 + 16 :])
    tens, ones = (round((float(half.mean()) - 16) / 22) for half in halves)
    return tens * 10 + ones


def write_clip(
    path: Path,
    *,
    frames: int = 100,
    gop: int = 25,
    b_frames: int = 0,
    width: int = 320,
    height: int = 240,
    codec: Codec = "h264",
) -> Path:
    """A clip of 25 pictures a second with a key frame every `gop`, which MJPEG has anyway."""
    rules = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0"
    options: dict[Codec, dict[str, object]] = {
        "h264": {"preset": "ultrafast", "x264-params": rules},
        "h265": {"preset": "ultrafast", "x265-params": f"{rules}:log-level=0"},
        "mjpeg": {"huffman": "default"},  # the one that RTP can carry
    }
    with av.open(str(path), "w") as container:
        stream = cast("av.VideoStream", container.add_stream(_ENCODERS[codec], rate=25))
        stream.width, stream.height, stream.gop_size, stream.options = width, height, gop, options[codec]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(frames):
            picture = numbered_picture(number % 100, width=width, height=height)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
