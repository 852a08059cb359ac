"""What road users of known identity do: how long they stand and where, against which lane they go, what they cross."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from detection.calibration import Calibration
from detection.counting import CLEAR_SHARE, LineRule, Passage, pass_line
from detection.detections import Crossing, Detection, ZoneRef
from detection.history import History, ParkedPlace
from detection.motion import Motion
from detection.standing import (
    PLACE_SECONDS,
    Stand,
    filled_place,
    goes_against,
    is_parked,
    is_stopped,
    is_waiting,
    stand_after,
)
from detection.tracks import TrackerState
from detection.zones import MASKS, ZoneRule, entries_after, is_ahead, zones_under
from trafficmon.core.geometry import Box, Point
from trafficmon.core.objects import ObjectClass

SURE_LIGHT_CONFIDENCE = 0.5
LIGHTS_SECONDS = 60.0
"""So long after a traffic light was surely seen the picture is still taken to have one."""


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
    has_lights: bool = False
    """Whether a traffic light is seen, or was lately."""

    @property
    def places(self) -> tuple[ZoneRule, ...]:
        """The zones that road users are said to stand in."""
        return tuple(rule for rule in self.rules.zones if rule.kind not in MASKS)


@dataclass(frozen=True, slots=True)
class _Observed:
    """One detection as it is told and where it stands, if that is known; of an identity its history and crossings."""

    seen: Detection
    stand: Stand | None
    history: History | None = None
    crossings: tuple[Crossing, ...] = ()


def observe(
    state: TrackerState, detections: Sequence[Detection], scene: Scene
) -> tuple[TrackerState, tuple[Detection, ...], tuple[Crossing, ...]]:
    """What `track` made of a frame, with the histories it now has, what its detections do, and what they crossed.

    Nothing is carried on where an identity ended, but that a vehicle is parked there; nothing is counted without one.
    """
    known = {each.track_id: each for each in state.histories}
    motions = {one.track_id: one.motion for one in state.tracks if one.track_id is not None}
    lately = _remembered(state.parked, at=scene.at)
    free = _free_places(lately, (each.box for each in detections if each.track_id in known))
    lights_seen_at = _lights_seen_at(state, detections, scene)
    scene = _lit(scene, lights_seen_at)
    observed = [_observe_one(each, known, motions, free, scene) for each in detections]
    histories = _carried_on(known, observed, motions)
    stayed = _without(lately, _left(state.histories, histories))
    parked = _parked_after(stayed, observed, at=scene.at)
    after = replace(state, histories=histories, parked=parked, lights_seen_at=lights_seen_at)
    crossings = tuple(crossing for one in observed for crossing in one.crossings)
    return after, tuple(one.seen for one in observed), crossings


def _is_light(seen: Detection) -> bool:
    return seen.object_class is ObjectClass.TRAFFIC_LIGHT and seen.confidence >= SURE_LIGHT_CONFIDENCE


def _lights_seen_at(state: TrackerState, detections: Sequence[Detection], scene: Scene) -> datetime | None:
    return scene.at if any(map(_is_light, detections)) else state.lights_seen_at


def _lit(scene: Scene, lights_seen_at: datetime | None) -> Scene:
    is_recent = lights_seen_at is not None and (scene.at - lights_seen_at).total_seconds() <= LIGHTS_SECONDS
    return replace(scene, has_lights=is_recent)


def _observe_one(
    seen: Detection, known: dict[int, History], motions: dict[int, Motion], free: Sequence[Stand], scene: Scene
) -> _Observed:
    """What one detection does. One that was not known may be parked where a vehicle is remembered to be."""
    place = None if seen.track_id in known else filled_place(free, seen.box)
    if seen.track_id not in motions:
        return _Observed(_describe_unknown(seen, place, scene), place)
    history, crossings = _continue(known.get(seen.track_id), seen, seen.track_id, scene, place)
    return _Observed(_describe(seen, history, motions[seen.track_id], scene), history.stand, history, crossings)


def _carried_on(
    known: dict[int, History], observed: Iterable[_Observed], motions: Mapping[int, Motion]
) -> tuple[History, ...]:
    """The histories of all whose identity goes on, seen in this frame or not."""
    continued = {one.history.track_id: one.history for one in observed if one.history}
    return tuple(history for track_id, history in (known | continued).items() if track_id in motions)


def _remembered(parked: Iterable[ParkedPlace], *, at: datetime) -> list[ParkedPlace]:
    """The places in which vehicles were seen parked lately."""
    return [each for each in parked if (at - each.seen_at).total_seconds() <= PLACE_SECONDS]


def _without(places: Iterable[ParkedPlace], left: set[Stand]) -> list[ParkedPlace]:
    return [each for each in places if each.stand not in left]


def _parked_after(
    stayed: Iterable[ParkedPlace], observed: Iterable[_Observed], *, at: datetime
) -> tuple[ParkedPlace, ...]:
    """The places to remember: those in which vehicles stayed, and those in which they are seen parked now."""
    parked = [ParkedPlace(one.stand, at) for one in observed if one.stand and one.seen.parked]
    return tuple({each.stand: each for each in (*stayed, *parked)}.values())


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
    kinds = [rule.kind for rule in stood_in]
    return replace(
        seen,
        zones=_refs(stood_in),
        parked=_is_parked(history.stand, seen, under, scene),
        stopped=is_stopped(history.stand, seen.object_class, kinds, at=scene.at),
        waiting=_is_waiting(history.stand, seen, stood_in, scene),
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


def _is_waiting(stand: Stand, seen: Detection, stood_in: Sequence[ZoneRule], scene: Scene) -> bool:
    """Where the lane has a direction and crossings are drawn, only who has one of them ahead waits for a light."""
    kinds = [rule.kind for rule in stood_in]
    waits = scene.has_lights and is_waiting(stand, seen.object_class, kinds, at=scene.at)
    return waits and _may_have_crossing_ahead(seen, stood_in, scene)


def _may_have_crossing_ahead(seen: Detection, stood_in: Sequence[ZoneRule], scene: Scene) -> bool:
    crossings = [rule for rule in scene.rules.zones if rule.kind == "crossing"]
    ways = [rule.direction_degrees for rule in stood_in if rule.kind == "lane" and rule.direction_degrees is not None]
    return not (crossings and ways) or any(
        is_ahead(crossing, seen.box, direction_degrees=way, size=scene.size) for crossing in crossings for way in ways
    )


def _refs(rules: Iterable[ZoneRule]) -> tuple[ZoneRef, ...]:
    return tuple(ZoneRef(rule.name, rule.kind) for rule in rules)
