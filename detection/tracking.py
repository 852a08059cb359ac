"""Following road users from frame to frame: ByteTrack as a function from one state to the next.

Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022. Sure detections are
matched first, then unsure ones to the tracks still without a match. Different here: time is real seconds, only kin
classes are matched, and the longer the gap since a road user was last seen, the more its box must overlap the place
foretold. After a gap too long to foretell anything its identity goes on only where it has not moved. Where that
is not shown, a new identity begins: a guessed one would tell a story that did not happen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from detection.assignment import assign
from detection.configuration import TrackingConfiguration
from detection.detections import Detection
from detection.motion import Motion, first_motion
from detection.tracks import Family, Track, TrackerState, family_of
from trafficmon.core.geometry import Box

SURE_CONFIDENCE = 0.5
"""Detections at least this sure are matched first and may start a track (the paper's high threshold)."""
SURE_OVERLAP, UNSURE_OVERLAP, STILL_OVERLAP = 0.2, 0.5, 0.8
"""Least overlap of the foretold and the seen box: of sure detections, of unsure ones, of what stood still."""
FORETOLD_SECONDS = {False: (0.3, 0.6), True: (0.6, 1.5)}
"""Gaps up to which a place is foretold well, and at all: with the velocity unknown, and known."""
KNOWN_SPEED_SHARE = 1.0
"""A velocity is known when its standard deviation is at most this many box heights per second."""
STILL_SHARE = 0.5
"""What has surely gone further than this many box heights in a gap is not looked for where it was."""
FORGOTTEN_SECONDS = 10.0
"""After this long, another may stand in the same place."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Where a track should be now and how much a detection of its family must overlap that place to be it."""

    family: Family
    box: Box
    least_overlap: float


def track(
    state: TrackerState, detections: Sequence[Detection], *, at: datetime, configuration: TrackingConfiguration
) -> tuple[TrackerState, tuple[Detection, ...]]:
    """The state after a frame captured `at`, and its detections in their order, with a `track_id` where confirmed.

    A frame not newer than the last one changes nothing and gets no identities.
    """
    if not configuration.enabled or (state.at is not None and at <= state.at):
        return state, tuple(replace(each, track_id=None) for each in detections)
    matches = _match(state.tracks, detections, at)
    seen, next_id = _confirm(
        _see_again(state.tracks, detections, matches, at) | _begin(detections, matches, at),
        next_id=state.next_id,
        min_hits=configuration.min_hits,
    )
    unseen = _remember(state.tracks, set(matches.values()), at=at, max_age=configuration.max_age)
    identities = {index: one.track_id for index, one in seen.items()}
    named = tuple(replace(each, track_id=identities.get(index)) for index, each in enumerate(detections))
    return replace(state, tracks=(*seen.values(), *unseen), next_id=next_id, at=at), named


def _match(tracks: Sequence[Track], detections: Sequence[Detection], at: datetime) -> dict[int, int]:
    """The track (its place in `tracks`) that each matched detection (its index) continues."""
    overlaps = _overlaps(detections, [_expect(one, at) for one in tracks])
    sure = np.array([each.confidence >= SURE_CONFIDENCE for each in detections], dtype=bool)
    confirmed = np.array([one.track_id is not None for one in tracks], dtype=bool)
    just_seen = np.array([one.missed == 0 for one in tracks], dtype=bool)
    matches: dict[int, int] = {}
    for rows, columns, least_overlap in (
        (sure, confirmed, SURE_OVERLAP),
        (sure, ~confirmed, SURE_OVERLAP),
        (~sure, just_seen, UNSURE_OVERLAP),
    ):
        possible = np.outer(rows, columns) & (overlaps >= least_overlap)
        possible[list(matches), :] = False
        possible[:, list(matches.values())] = False
        matches |= dict(assign(np.where(possible, overlaps, 0.0)))
    return matches


def _overlaps(detections: Sequence[Detection], expectations: Sequence[Expectation | None]) -> NDArray[np.float64]:
    """Overlap of each detection with each expectation (rows x columns), 0 where one cannot be the other."""
    overlaps = np.zeros((len(detections), len(expectations)))
    families = np.array([family_of(each.object_class) or "" for each in detections])
    boxes = np.array([each.box.as_tuple() for each in detections]).reshape(-1, 4)
    for column, expected in enumerate(expectations):
        if expected is not None:
            overlap = np.where(families == expected.family, overlaps_with(expected.box, boxes), 0.0)
            overlaps[:, column] = np.where(overlap >= expected.least_overlap, overlap, 0.0)
    return overlaps


def _expect(one: Track, at: datetime) -> Expectation | None:
    """What to look for at the moment `at`; None where nothing seen then could be known to be this road user."""
    gap_seconds = (at - one.seen_at).total_seconds()
    well, at_all = FORETOLD_SECONDS[_is_speed_known(one.motion)]
    if gap_seconds < at_all:
        doubt = max(gap_seconds - well, 0.0) / (at_all - well)
        least_overlap = SURE_OVERLAP + doubt * (STILL_OVERLAP - SURE_OVERLAP)
        return Expectation(one.family, one.motion.after(gap_seconds).box, least_overlap)
    if gap_seconds > FORGOTTEN_SECONDS or _has_surely_moved(one.motion, gap_seconds):
        return None
    return Expectation(one.family, one.box, STILL_OVERLAP)


def overlaps_with(box: Box, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of `box` with each of N x 4 corners, length N."""
    corners = np.array(box.as_tuple())
    sides = np.minimum(boxes[:, 2:], corners[2:]) - np.maximum(boxes[:, :2], corners[:2])
    shared = np.clip(sides, 0.0, None).prod(axis=1)
    joint = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + box.area - shared
    overlaps: NDArray[np.float64] = shared / np.maximum(joint, 1e-9)
    return overlaps


def _is_speed_known(motion: Motion) -> bool:
    return math.sqrt(motion.x.velocity_variance) <= KNOWN_SPEED_SHARE * motion.box.height


def _has_surely_moved(motion: Motion, seconds: float) -> bool:
    speed = math.hypot(motion.x.velocity, motion.y.velocity)
    least_speed = speed - 2 * math.sqrt(max(motion.x.velocity_variance, motion.y.velocity_variance))
    return least_speed * seconds > STILL_SHARE * motion.box.height


def _see_again(
    tracks: Sequence[Track], detections: Sequence[Detection], matches: dict[int, int], at: datetime
) -> dict[int, Track]:
    """The matched tracks after this frame, by the index of their detection."""
    again = {}
    for index, place in matches.items():
        one, box = tracks[place], detections[index].box
        motion = one.motion.after((at - one.seen_at).total_seconds()).given(box)
        again[index] = replace(one, motion=motion, box=box, seen_at=at, hits=one.hits + 1, missed=0)
    return again


def _begin(detections: Sequence[Detection], matches: dict[int, int], at: datetime) -> dict[int, Track]:
    """New tracks for the sure detections that continue none, by the index of their detection."""
    begun = {}
    for index, each in enumerate(detections):
        family = family_of(each.object_class)
        if family is not None and index not in matches and each.confidence >= SURE_CONFIDENCE:
            begun[index] = Track(family, first_motion(each.box), each.box, at)
    return begun


def _confirm(seen: dict[int, Track], *, next_id: int, min_hits: int) -> tuple[dict[int, Track], int]:
    """`seen` in order of detection, with identities for those now seen often enough, and the next free identity."""
    confirmed = {}
    for index, one in sorted(seen.items()):
        if one.track_id is not None or one.hits < min_hits:
            confirmed[index] = one
        else:
            confirmed[index] = replace(one, track_id=next_id)
            next_id += 1
    return confirmed, next_id


def _remember(tracks: Sequence[Track], seen: Iterable[int], *, at: datetime, max_age: int) -> tuple[Track, ...]:
    """The confirmed tracks not seen in this frame and not yet to be forgotten; tentative ones end at once."""
    seen = set(seen)
    return tuple(
        replace(one, missed=one.missed + 1)
        for place, one in enumerate(tracks)
        if place not in seen
        and one.track_id is not None
        and one.missed < max_age
        and (at - one.seen_at).total_seconds() <= FORGOTTEN_SECONDS
    )
