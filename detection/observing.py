"""What road users of known identity do: how long they stand and where, against which lane they go, what they cross."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from detection.counting import CLEAR_SHARE, LineRule, Passage, pass_line
from detection.detections import Crossing, Detection, ZoneRef
from detection.history import History
from detection.motion import Motion
from detection.standing import goes_against, is_parked, stand_after
from detection.tracks import TrackerState
from detection.zones import MASKS, ZoneRule, entries_after, zones_under
from trafficmon.core.geometry import Point


@dataclass(frozen=True, slots=True)
class CameraRules:
    """What is drawn on one camera's picture."""

    zones: tuple[ZoneRule, ...] = ()
    lines: tuple[LineRule, ...] = ()


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

    Nothing is carried on where an identity ended, and nothing is counted without one.
    """
    known = {each.track_id: each for each in state.histories}
    motions = {one.track_id: one.motion for one in state.tracks if one.track_id is not None}
    seen, crossings = [], list[Crossing]()
    for each in detections:
        if each.track_id in motions:
            history, crossed = _continue(known.get(each.track_id), each, each.track_id, scene)
            known[each.track_id] = history
            crossings += crossed
            seen.append(_describe(each, history, motions[each.track_id], scene))
        else:
            seen.append(_describe_unknown(each, scene))
    kept = tuple(history for track_id, history in known.items() if track_id in motions)
    return replace(state, histories=kept), tuple(seen), tuple(crossings)


def _continue(
    before: History | None, seen: Detection, track_id: int, scene: Scene
) -> tuple[History, tuple[Crossing, ...]]:
    foot = seen.box.foot
    steps = [_step(before, rule, foot, seen, scene) for rule in scene.rules.lines]
    history = History(
        track_id,
        foot,
        stand_after(before.stand if before else None, seen.box, at=scene.at),
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
        parked=is_parked(
            history.stand,
            seen.object_class,
            [rule.kind for rule in under],
            at=scene.at,
            after_seconds=scene.parked_after_seconds,
        ),
        against_lane=any(
            rule.direction_degrees is not None and goes_against(motion, rule.direction_degrees)
            for rule in stood_in
            if rule.kind == "lane"
        ),
    )


def _describe_unknown(seen: Detection, scene: Scene) -> Detection:
    """Without an identity nobody knows for how long: only zones that ask for no time are told."""
    width, height = scene.size
    under = zones_under(seen, scene.places, width=width, height=height)
    return replace(seen, zones=_refs(rule for rule in under if rule.minimum_seconds == 0))


def _refs(rules: Iterable[ZoneRule]) -> tuple[ZoneRef, ...]:
    return tuple(ZoneRef(rule.name, rule.kind) for rule in rules)
