"""The peer of the load benchmark: ultralytics' own predict loop over pictures that are in memory already.

`python -m tests.load.bare_loop --weights PATH --clip PATH ... --seconds 15` prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any

import av
import numpy as np

from detection.backends import QUIET_ULTRALYTICS
from detection.detector import Picture

PICTURES_A_CLIP = 20
WARM_UP = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--clip", type=Path, nargs="+", required=True)
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    os.environ |= QUIET_ULTRALYTICS
    from ultralytics.models import YOLO  # after it was told to be quiet

    model = YOLO(options.weights, task="detect")
    pictures = cycle([picture for clip in options.clip for picture in read_pictures(clip)])
    rules: dict[str, Any] = {"conf": 0.35, "iou": 0.5, "max_det": 200, "imgsz": 640, "device": "cpu", "verbose": False}
    for picture in islice(pictures, WARM_UP):
        model.predict(picture, **rules)
    frames, began = 0, perf_counter()
    while (seconds := perf_counter() - began) < options.seconds:
        model.predict(next(pictures), **rules)
        frames += 1
    print(json.dumps({"bench": "bare_loop", "fps": round(frames / seconds, 2), "frames": frames}))


def read_pictures(clip: Path) -> list[Picture]:
    """The clip's first key frames, BGR."""
    with av.open(str(clip)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONKEY"
        frames = islice(container.decode(video=0), PICTURES_A_CLIP)
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in frames]


if __name__ == "__main__":
    main()
