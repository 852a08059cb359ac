"""Small H.264 clips made for a test, whose frames tell their own number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from cameras.sampling import Picture


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
    path: Path, *, frames: int = 100, gop: int = 25, b_frames: int = 0, width: int = 320, height: int = 240
) -> Path:
    """An H.264 clip of 25 pictures a second with a key frame every `gop`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", gop
        stream.options = {
            "preset": "ultrafast",
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0",
        }
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(
                numbered_picture(number % 100, width=width, height=height), format="bgr24"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
