"""Small H.264 clips made for a test, whose frames tell their own number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from cameras.sampling import Picture


def numbered_picture(number: int, *, width: int = 320, height: int = 240) -> Picture:
    """A grey picture whose brightness is twice its number (up to 120)."""
    return np.full((height, width, 3), number * 2 + 4, np.uint8)


def number_of(picture: Picture) -> int:
    """The number that `numbered_picture` wrote, to within one after compression."""
    return round((float(picture[:, :, 1].mean()) - 4) / 2)


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
