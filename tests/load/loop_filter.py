"""What leaving out the loop filter costs in quality and spares in time: `python -m tests.load.loop_filter CLIP ...`.

For each clip the likeness (peak signal-to-noise ratio, dB) of pictures decoded with and without it, by their distance
from the last key frame, beside that of a JPEG as capture makes it; then one JSON line.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from time import thread_time

import av
import cv2
import numpy as np

from cameras.sampling import Picture, prepare_decoder

PICTURES = 100
JPEG_QUALITY = 80


def main() -> None:
    rows = {Path(clip).name: compare(clip) for clip in sys.argv[1:]}
    for name, row in rows.items():
        print(name, json.dumps(row))
    print(json.dumps({"bench": "loop_filter", "clips": rows}))


def compare(clip: str) -> dict[str, object]:
    """Likeness by the number of pictures since the key frame, and milliseconds a picture."""
    (exact, distances, exact_ms), (rough, _distances, rough_ms) = (decode(clip, exact=each) for each in (True, False))
    likeness: dict[int, list[float]] = {}
    for one, other, distance in zip(exact, rough, distances, strict=True):
        likeness.setdefault(distance, []).append(cv2.PSNR(one, other))
    shown = [each for each in (0, 4, 8, 12, 24, 48, 99) if each in likeness]
    jpeg = cv2.imdecode(cv2.imencode(".jpg", exact[0], (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1], cv2.IMREAD_COLOR)
    return {
        "psnr_db": {each: round(float(np.mean(likeness[each])), 1) for each in shown},
        "jpeg_db": round(cv2.PSNR(exact[0], np.asarray(jpeg, np.uint8)), 1),
        "ms": {"with": round(exact_ms, 2), "without": round(rough_ms, 2)},
    }


def decode(clip: str, *, exact: bool) -> tuple[list[Picture], list[int], float]:
    """The clip's first pictures, how far each is from its key frame, and milliseconds of processor time a picture."""
    with av.open(clip) as container:
        stream = container.streams.video[0]
        prepare_decoder(stream, exact=exact)
        began = thread_time()
        frames = list(islice(container.decode(stream), PICTURES))
        took_ms = 1000 * (thread_time() - began) / len(frames)
        distances: list[int] = []
        for frame in frames:
            distances.append(0 if frame.key_frame or not distances else distances[-1] + 1)
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in frames], distances, took_ms


if __name__ == "__main__":
    main()
