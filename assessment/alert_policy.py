"""When a danger becomes an alert, when it is the same one again, and when it is over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from assessment.risk import WHOLE_FRAME, RiskLevel, RiskType
from detection.detections import DetectedFrame
from trafficmon.core.geometry import Box, distance, intersection_over_union

ALERTING = frozenset({RiskLevel.MEDIUM, RiskLevel.HIGH})


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """How long an alert counts as continuing, and how long until it is over."""

    stale_after: timedelta = timedelta(seconds=10)
    close_after: timedelta = timedelta(seconds=60)
    reach: float = 1.5
    """Two sightings are one danger while their centres are within this many of the larger group's diagonals."""

    @classmethod
    def for_rhythm(cls, *, frame_seconds: float, cooldown_seconds: float, display_seconds: float) -> AlertPolicy:
        """For a camera that is judged once in `cooldown_seconds`, on its next frame.

        An alert stays displayed as continuing for `display_seconds` beyond the moment when the next verdict was due.
        """
        stale = timedelta(seconds=frame_seconds + cooldown_seconds + display_seconds)
        return cls(stale_after=stale, close_after=max(timedelta(seconds=60), 4 * stale))


DEFAULT_POLICY = AlertPolicy()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A risky verdict about one group of one frame."""

    assessment_id: int
    risk_type: RiskType
    level: RiskLevel
    place: Box
    track_ids: frozenset[int]
    seen_at: datetime


def sighting_of(
    frame: DetectedFrame, group_index: int, *, assessment_id: int, risk_type: RiskType, level: RiskLevel
) -> Sighting:
    """What a verdict about a group of `frame` (0: the whole frame) says of where and of whom."""
    group = next((each for each in frame.groups if each.index == group_index), None)
    members = frame.members_of(group) if group else frame.detections
    return Sighting(
        assessment_id=assessment_id,
        risk_type=risk_type,
        level=level,
        place=group.box if group and group_index != WHOLE_FRAME else Box(0, 0, frame.width, frame.height),
        track_ids=frozenset(each.track_id for each in members if each.track_id is not None),
        seen_at=frame.captured_at,
    )


@dataclass(frozen=True, slots=True)
class LiveAlert:
    """An alert that is open or acknowledged."""

    alert_id: int
    risk_type: RiskType
    level: RiskLevel
    place: Box
    track_ids: frozenset[int]
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Match:
    """A sighting, and the live alert that it continues (None: it opens one)."""

    sighting: Sighting
    alert: LiveAlert | None


def match_sightings(
    live: Sequence[LiveAlert], sightings: Sequence[Sighting], policy: AlertPolicy = DEFAULT_POLICY
) -> tuple[Match, ...]:
    """Each alerting sighting with the alert it continues: of the same kind, not over, and the same place or tracks.

    An alert is continued by one sighting of a frame at most: the pair that shares most tracks goes first, then the one
    that overlaps most, then the nearest.
    """
    alerting = sorted(
        (each for each in sightings if each.level in ALERTING),
        key=lambda each: (-each.level.severity, each.assessment_id),
    )
    pairs = [(alert, each) for each in alerting for alert in live if _continues(alert, each, policy)]
    continued: dict[int, LiveAlert] = {}
    for alert, each in sorted(pairs, key=lambda pair: _closeness(*pair), reverse=True):
        if each.assessment_id not in continued and alert not in continued.values():
            continued[each.assessment_id] = alert
    return tuple(Match(each, continued.get(each.assessment_id)) for each in alerting)


def _continues(alert: LiveAlert, sighting: Sighting, policy: AlertPolicy) -> bool:
    if alert.risk_type != sighting.risk_type or is_over(alert.last_seen_at, sighting.seen_at, policy):
        return False
    return bool(alert.track_ids & sighting.track_ids) or _same_place(alert.place, sighting.place, policy.reach)


def _closeness(alert: LiveAlert, sighting: Sighting) -> tuple[int, float, float]:
    return (
        len(alert.track_ids & sighting.track_ids),
        intersection_over_union(alert.place, sighting.place),
        -distance(alert.place.centre, sighting.place.centre),
    )


def _same_place(a: Box, b: Box, reach: float) -> bool:
    diagonal = max(distance((box.x1, box.y1), (box.x2, box.y2)) for box in (a, b))
    return intersection_over_union(a, b) > 0 or distance(a.centre, b.centre) <= reach * diagonal


def is_stale(last_seen_at: datetime, now: datetime, policy: AlertPolicy = DEFAULT_POLICY) -> bool:
    """Whether the danger has not been seen for a while."""
    return now - last_seen_at > policy.stale_after


def is_over(last_seen_at: datetime, now: datetime, policy: AlertPolicy = DEFAULT_POLICY) -> bool:
    """Whether it has not been seen for so long that a new sighting is a new danger."""
    return now - last_seen_at >= policy.close_after


def seconds_left(last_seen_at: datetime, now: datetime, policy: AlertPolicy = DEFAULT_POLICY) -> float:
    """Until the alert closes by itself, 0 at least."""
    return max(0.0, (last_seen_at + policy.close_after - now).total_seconds())
