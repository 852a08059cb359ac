"""How the camera itself moved between two pictures: what BoT-SORT adds to ByteTrack for cameras that pan and shake.

Aharon et al., BoT-SORT: Robust Associations Multi-Pedestrian Tracking, 2022, without its re-identification by looks:
corners of the last picture are sought in this one by optical flow (Lucas and Kanade 1981), and the change that most of
them agree on (RANSAC) is the camera's.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.detector import Picture
from detection.tracks import Shift

VIEW_WIDTH = 320
VIEW_QUALITY = 60
MOST_CORNERS, LEAST_CORNERS = 200, 12
LEAST_AGREEMENT = 0.5
"""Share of the corners that must agree before the change is taken for the camera's."""

Grey = NDArray[np.uint8]


def view_of(picture: Picture) -> bytes:
    """A small grey JPEG of `picture`, enough to see later how the camera moved."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (VIEW_WIDTH, max(round(height * VIEW_WIDTH / width), 1)), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    return bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, VIEW_QUALITY])[1])


def estimate_shift(before: bytes, now: bytes, *, width: int) -> Shift | None:
    """How what stands still moved from one view to the next, in pixels of a picture `width` wide.

    None where it cannot be told: other sizes, too little texture, or no change that most corners agree on.
    """
    earlier, later = _decode(before), _decode(now)
    if earlier.shape != later.shape:
        return None
    corners = cv2.goodFeaturesToTrack(earlier, MOST_CORNERS, qualityLevel=0.01, minDistance=8)
    # OpenCV gives None where it finds no corner; its stub does not know.
    if corners is None or len(corners) < LEAST_CORNERS:  # type: ignore[redundant-expr]
        return None
    found, state, _ = cv2.calcOpticalFlowPyrLK(earlier, later, corners, np.empty_like(corners))
    seen = state.ravel() == 1
    if seen.sum() < LEAST_CORNERS:
        return None
    matrix, agreeing = cv2.estimateAffinePartial2D(corners[seen], found[seen], method=cv2.RANSAC)
    if matrix is None or agreeing.mean() < LEAST_AGREEMENT:
        return None
    return _shift(matrix, width / VIEW_WIDTH)


def _decode(view: bytes) -> Grey:
    return np.asarray(cv2.imdecode(np.frombuffer(view, dtype=np.uint8), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _shift(matrix: NDArray[np.float64], pixels: float) -> Shift:
    """The 2 x 3 matrix in view pixels as a shift in picture pixels; its rotation, small between frames, is left out."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    return Shift(scale, float(matrix[0, 2]) * pixels, float(matrix[1, 2]) * pixels)
