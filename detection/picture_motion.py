"""How road users move in the picture, where that is known: what can be told of a camera that is not calibrated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from detection.detections import Detection, PictureMotion
from detection.motion import Motion
from detection.standing import Stand
from detection.tracks import TrackerState, followed
from trafficmon.core.geometry import Box

MOST_DEVIATION_SHARE, MOST_DEVIATION_HEIGHTS = 0.25, 0.5
"""A motion is known when its standard deviation is at most this share of it, or this many box heights a second."""
STOOD_SECONDS, STOOD_HEIGHTS = 1.5, 0.25
"""What has stood in one place for so long has gone no further meanwhile than about so many box heights."""
EDGE_PX = 2.0
"""A box that reaches the picture's edge is cut off by it, and neither its middle nor its foot is to be seen."""


def with_picture_motions(
    state: TrackerState, detections: Sequence[Detection], *, size: tuple[int, int]
) -> tuple[Detection, ...]:
    """The newest frame's `detections` with the motions that are known; `size` is the frame's width and height (px)."""
    if state.at is None:
        return tuple(detections)
    stands = {each.track_id: each.stand for each in state.histories}
    motions = {
        box: _going(one.motion) or _standing(stands.get(one.track_id or 0), box, at=state.at)
        for box, one in followed(state).items()
        if not is_cut_off(box, width=size[0], height=size[1])
    }
    return tuple(replace(each, motion=motions.get(each.box)) for each in detections)


def _going(motion: Motion) -> PictureMotion | None:
    """As the tracker has it; None where that is too unsure."""
    right, down = motion.x.velocity, motion.y.velocity
    deviation = math.sqrt(max(motion.x.velocity_variance, motion.y.velocity_variance))
    bound = max(MOST_DEVIATION_SHARE * math.hypot(right, down), MOST_DEVIATION_HEIGHTS * motion.box.height)
    return PictureMotion(right, down, deviation) if deviation <= bound else None


def _standing(stand: Stand | None, box: Box, *, at: datetime) -> PictureMotion | None:
    """No motion, for what is known to have stood: seen rarely, that is all the tracker can be sure of."""
    seconds = (at - stand.since).total_seconds() if stand else 0.0
    return PictureMotion(0.0, 0.0, STOOD_HEIGHTS * box.height / seconds) if seconds >= STOOD_SECONDS else None


def is_cut_off(box: Box, *, width: int, height: int) -> bool:
    """Whether a part of it may lie beyond the edge of a picture of that size."""
    return box.x1 < EDGE_PX or box.y1 < EDGE_PX or box.x2 > width - EDGE_PX or box.y2 > height - EDGE_PX
