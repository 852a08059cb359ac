"""Following road users from picture to picture: ByteTrack as a function from one state to the next.

Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022. Sure detections are
matched first, then unsure ones to the tracks still without a match. Different here: time is real seconds, only kin
classes are matched, and the longer the gap since a road user was last seen, the more its box must overlap the place
foretold, and the more clearly it must be this one. After a gap too long to foretell anything its identity goes on only
where it has not moved. Where that is not shown, a new identity begins: a guessed one would tell a story that did not
happen. The bounds below are those of `make bench-tracking`, see docs/benchmarks.md.
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
FORETOLD_SECONDS = {False: (0.55, 0.8), True: (1.4, 2.5)}
"""Gaps up to which a place is foretold well, and at all: with the velocity unknown, and known."""
CLEAR_AFTER_SECONDS, CLEAR_LEAD = 0.22, 1.5
"""After such a gap a detection must overlap the place so many times as much as any other of its family does, and as
it overlaps any other place."""
KNOWN_SPEED_SHARE = 1.0
"""A velocity is known when its standard deviation is at most this many box heights per second."""
STILL_SHARE = 0.5
"""What has surely gone further than this many box heights in a gap is not looked for where it was."""
FORGOTTEN_SECONDS = {Family.PERSON: 4.0, Family.TWO_WHEELER: 4.0, Family.FOUR_WHEELER: 10.0}
"""After this long, another may stand in the same place, as at a stop line: the sooner, the less room it takes."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Where a track should be now and how much a detection of its family must overlap that place to be it.

    `least_lead` is how many times as much as any other it must.
    """

    family: Family
    box: Box
    least_overlap: float
    least_lead: float = 0.0


def track(
    state: TrackerState,
    detections: Sequence[Detection],
    *,
    at: datetime,
    configuration: TrackingConfiguration,
    is_frame: bool = True,
) -> tuple[TrackerState, tuple[Detection, ...]]:
    """The state after a picture captured `at`, and its detections in their order, with a `track_id` where confirmed.

    `is_frame` is False for the pictures of a burst before its last. An identity is confirmed by `min_hits` frames, so
    that none is shown that has only held within one burst. A picture not newer than the last one changes nothing and
    gets no identities.
    """
    if not configuration.enabled or (state.at is not None and at <= state.at):
        return state, tuple(replace(each, track_id=None) for each in detections)
    matches = _match(state.tracks, detections, at, configuration.min_hits)
    seen, next_id = _confirm(
        _see_again(state.tracks, detections, matches, at=at, is_frame=is_frame)
        | _begin(detections, matches, at=at, is_frame=is_frame),
        next_id=state.next_id,
        min_hits=configuration.min_hits,
    )
    unseen = _remember(state.tracks, set(matches.values()), at=at, configuration=configuration)
    identities = {index: one.track_id for index, one in seen.items()}
    named = tuple(replace(each, track_id=identities.get(index)) for index, each in enumerate(detections))
    return replace(state, tracks=(*seen.values(), *unseen), next_id=next_id, at=at), named


def _match(tracks: Sequence[Track], detections: Sequence[Detection], at: datetime, min_hits: int) -> dict[int, int]:
    """The track (its place in `tracks`) that each matched detection (its index) continues."""
    overlaps = _overlaps(detections, [_expect(one, at) for one in tracks])
    sure = np.array([each.confidence >= SURE_CONFIDENCE for each in detections], dtype=bool)
    confirmed = np.array([one.hits >= min_hits for one in tracks], dtype=bool)
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
    """Overlap of each detection with each expectation (rows x columns), 0 where one is not to pass for the other."""
    overlaps = np.zeros((len(detections), len(expectations)))
    least, lead = np.ones(len(expectations)), np.zeros(len(expectations))
    families = np.array([family_of(each.object_class) or "" for each in detections])
    boxes = np.array([each.box.as_tuple() for each in detections]).reshape(-1, 4)
    for column, expected in enumerate(expectations):
        if expected is not None:
            overlaps[:, column] = np.where(families == expected.family, overlaps_with(expected.box, boxes), 0.0)
            least[column], lead[column] = expected.least_overlap, expected.least_lead
    rivals = np.maximum(_greatest_others(overlaps), _greatest_others(overlaps.T).T)
    return np.where((overlaps >= least) & (overlaps >= lead * rivals), overlaps, 0.0)


def _greatest_others(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each value (none negative) the greatest other one of its row, 0 where it is alone."""
    others = np.zeros_like(values)
    if values.shape[1] > 1:
        ordered = np.sort(values, axis=1)
        others = np.where(values == ordered[:, -1:], ordered[:, -2:-1], ordered[:, -1:])
    return others


def _expect(one: Track, at: datetime) -> Expectation | None:
    """What to look for at the moment `at`; None where nothing seen then could be known to be this road user."""
    gap_seconds = (at - one.seen_at).total_seconds()
    well, at_all = FORETOLD_SECONDS[_is_speed_known(one.motion)]
    lead = CLEAR_LEAD if gap_seconds >= CLEAR_AFTER_SECONDS else 0.0
    has_moved = _has_surely_moved(one.motion, gap_seconds)
    if gap_seconds <= well or (has_moved and gap_seconds < at_all):
        doubt = max(gap_seconds - well, 0.0) / (at_all - well)
        least_overlap = SURE_OVERLAP + doubt * (STILL_OVERLAP - SURE_OVERLAP)
        return Expectation(one.family, one.motion.after(gap_seconds).box, least_overlap, lead)
    if has_moved or gap_seconds > FORGOTTEN_SECONDS[one.family]:
        return None
    return Expectation(one.family, one.box, STILL_OVERLAP, lead)


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
    tracks: Sequence[Track], detections: Sequence[Detection], matches: dict[int, int], *, at: datetime, is_frame: bool
) -> dict[int, Track]:
    """The matched tracks after this frame, by the index of their detection."""
    again = {}
    for index, place in matches.items():
        one, box = tracks[place], detections[index].box
        motion = one.motion.after((at - one.seen_at).total_seconds()).given(box)
        frames = one.frames + is_frame
        again[index] = replace(one, motion=motion, box=box, seen_at=at, hits=one.hits + 1, frames=frames, missed=0)
    return again


def _begin(
    detections: Sequence[Detection], matches: dict[int, int], *, at: datetime, is_frame: bool
) -> dict[int, Track]:
    """New tracks for the sure detections that continue none, by the index of their detection."""
    begun = {}
    for index, each in enumerate(detections):
        family = family_of(each.object_class)
        if family is not None and index not in matches and each.confidence >= SURE_CONFIDENCE:
            begun[index] = Track(family, first_motion(each.box), each.box, at, frames=int(is_frame))
    return begun


def _confirm(seen: dict[int, Track], *, next_id: int, min_hits: int) -> tuple[dict[int, Track], int]:
    """`seen` in order of detection, with identities for those now seen often enough, and the next free identity."""
    confirmed = {}
    for index, one in sorted(seen.items()):
        if one.track_id is not None or one.frames < min_hits:
            confirmed[index] = one
        else:
            confirmed[index] = replace(one, track_id=next_id)
            next_id += 1
    return confirmed, next_id


def _remember(
    tracks: Sequence[Track], seen: Iterable[int], *, at: datetime, configuration: TrackingConfiguration
) -> tuple[Track, ...]:
    """The confirmed tracks not seen in this frame and not yet to be forgotten; tentative ones end at once."""
    seen = set(seen)
    return tuple(
        replace(one, missed=one.missed + 1)
        for place, one in enumerate(tracks)
        if place not in seen
        and one.hits >= configuration.min_hits
        and one.missed < configuration.max_age
        and (at - one.seen_at).total_seconds() <= FORGOTTEN_SECONDS[one.family]
    )
