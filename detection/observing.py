"""What road users of known identity do: how long they stand and where, against which lane they go, what they cross."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from detection.calibration import Calibration
from detection.counting import CLEAR_SHARE, LineRule, Passage, pass_line
from detection.detections import Crossing, Detection, ZoneRef
from detection.history import History, ParkedPlace
from detection.motion import Motion
from detection.standing import PLACE_SECONDS, Stand, filled_place, goes_against, is_parked, stand_after
from detection.tracks import TrackerState
from detection.zones import MASKS, ZoneRule, entries_after, zones_under
from trafficmon.core.geometry import Box, Point


@dataclass(frozen=True, slots=True)
class CameraRules:
    """What is drawn on one camera's picture, and where its places lie on the road, if that is known."""

    zones: tuple[ZoneRule, ...] = ()
    lines: tuple[LineRule, ...] = ()
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """The frame in which something is observed: its moment, its width and height (px), and what is drawn on it."""

    at: datetime
    size: tuple[int, int]
    rules: CameraRules
    parked_after_seconds: float

    @property
    def places(self) -> tuple[ZoneRule, ...]:
        """The zones that road users are said to stand in."""
        return tuple(rule for rule in self.rules.zones if rule.kind not in MASKS)


def observe(
    state: TrackerState, detections: Sequence[Detection], scene: Scene
) -> tuple[TrackerState, tuple[Detection, ...], tuple[Crossing, ...]]:
    """What `track` made of a frame, with the histories it now has, what its detections do, and what they crossed.

    Nothing is carried on where an identity ended, but that a vehicle is parked there; nothing is counted without one.
    """
    known = {each.track_id: each for each in state.histories}
    motions = {one.track_id: one.motion for one in state.tracks if one.track_id is not None}
    lately = [each for each in state.parked if (scene.at - each.seen_at).total_seconds() <= PLACE_SECONDS]
    free = _free_places(lately, (each.box for each in detections if each.track_id in known))
    seen, stands, crossings = [], list[Stand | None](), list[Crossing]()
    for each in detections:
        stand = None if each.track_id in known else filled_place(free, each.box)
        if each.track_id in motions:
            history, crossed = _continue(known.get(each.track_id), each, each.track_id, scene, stand)
            known[each.track_id], stand = history, history.stand
            crossings += crossed
            seen.append(_describe(each, history, motions[each.track_id], scene))
        else:
            seen.append(_describe_unknown(each, stand, scene))
        stands.append(stand)
    histories = tuple(history for track_id, history in known.items() if track_id in motions)
    left = _left(state.histories, histories)
    places = {each.stand: each for each in lately if each.stand not in left}
    parked = (stand for stand, each in zip(stands, seen, strict=True) if stand and each.parked)
    places |= {stand: ParkedPlace(stand, scene.at) for stand in parked}
    return replace(state, histories=histories, parked=tuple(places.values())), tuple(seen), tuple(crossings)


def _free_places(parked: Iterable[ParkedPlace], taken: Iterable[Box]) -> list[Stand]:
    """The places of parked vehicles but for those in which road users of known identity are seen."""
    free = [each.stand for each in parked]
    for box in taken:
        stand = filled_place(free, box)
        if stand:
            free.remove(stand)
    return free


def _left(before: Iterable[History], after: Iterable[History]) -> set[Stand]:
    """The stands that road users were seen to leave."""
    now = {each.track_id: each.stand for each in after}
    return {each.stand for each in before if now.get(each.track_id, each.stand) != each.stand}


def _continue(
    before: History | None, seen: Detection, track_id: int, scene: Scene, place: Stand | None
) -> tuple[History, tuple[Crossing, ...]]:
    """The history after this frame and what was crossed; `place` is where one just confirmed is known to be parked."""
    foot = seen.box.foot
    steps = [_step(before, rule, foot, seen, scene) for rule in scene.rules.lines]
    history = History(
        track_id,
        foot,
        stand_after(before.stand if before else place, seen.box, at=scene.at),
        entries_after(before.zones if before else (), seen.box, scene.places, at=scene.at, size=scene.size),
        tuple(passage for passage, _crossing in steps),
    )
    return history, tuple(crossing for _passage, crossing in steps if crossing)


def _step(
    before: History | None, rule: LineRule, foot: Point, seen: Detection, scene: Scene
) -> tuple[Passage, Crossing | None]:
    """How the road user stands to the line now, and its crossing if that is one to be counted."""
    known = (each for each in (before.passages if before else ()) if each.line_id == rule.line_id)
    passage, direction = pass_line(
        next(known, Passage(rule.line_id)),
        rule.in_pixels(scene.size),
        (before.foot if before else foot, foot),
        clear_px=CLEAR_SHARE * seen.box.height,
    )
    if direction is None or not rule.concerns(seen.object_class):
        return passage, None
    return passage, Crossing(rule.line_id, rule.name, seen.object_class, direction)


def _describe(seen: Detection, history: History, motion: Motion, scene: Scene) -> Detection:
    since = {entry.zone: entry.since for entry in history.zones}
    under = [rule for rule in scene.places if rule.name in since and rule.concerns(seen.object_class)]
    stood_in = [rule for rule in under if (scene.at - since[rule.name]).total_seconds() >= rule.minimum_seconds]
    return replace(
        seen,
        zones=_refs(stood_in),
        parked=_is_parked(history.stand, seen, under, scene),
        against_lane=any(
            rule.direction_degrees is not None and goes_against(motion, rule.direction_degrees)
            for rule in stood_in
            if rule.kind == "lane"
        ),
    )


def _describe_unknown(seen: Detection, place: Stand | None, scene: Scene) -> Detection:
    """Without an identity nobody knows for how long: only zones that ask for no time are told."""
    width, height = scene.size
    under = zones_under(seen, scene.places, width=width, height=height)
    return replace(
        seen,
        zones=_refs(rule for rule in under if rule.minimum_seconds == 0),
        parked=place is not None and _is_parked(place, seen, under, scene),
    )


def _is_parked(stand: Stand, seen: Detection, under: Iterable[ZoneRule], scene: Scene) -> bool:
    kinds = [rule.kind for rule in under]
    return is_parked(stand, seen.object_class, kinds, at=scene.at, after_seconds=scene.parked_after_seconds)


def _refs(rules: Iterable[ZoneRule]) -> tuple[ZoneRef, ...]:
    return tuple(ZoneRef(rule.name, rule.kind) for rule in rules)
