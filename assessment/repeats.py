"""Whether a traffic group looks as it did when a model judged it a moment ago, so that its verdict still holds. Pure.

Only what was found calm (none or low) is ever reused. A danger is looked at each time: an alert must not be kept alive
by a verdict that nobody gave. Nor is anything reused where a danger was seen at the same place meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from assessment.priors import Prior
from assessment.risk import RiskLevel, RiskVerdict
from detection.detections import DetectedFrame, Detection
from trafficmon.core.geometry import intersection_over_union, union_box

CALM = frozenset({RiskLevel.NONE, RiskLevel.LOW})
PRIOR_RISE = 0.05
"""By which a prior may be higher than that of what was judged: as much as boxes that tremble make of it."""
SAME_SPEED_KMH = 5.0


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    """What a model said of road users together: their places in its frame, their prior then, and the verdict."""

    assessment_id: int
    members: Mapping[int, Detection]
    prior: float
    verdict: RiskVerdict


@dataclass(frozen=True, slots=True)
class Repeat:
    """A group that keeps an earlier assessment's verdict, which names the objects of the group's own frame."""

    group_index: int
    prior: Prior
    assessment_id: int
    verdict: RiskVerdict


def find_repeat(
    frame: DetectedFrame,
    group_index: int,
    members: Sequence[int],
    prior: Prior,
    judged: Sequence[JudgedGroup],
    *,
    overlap: float,
) -> Repeat | None:
    """The newest of `judged` (newest first) that looks the same, with its verdict; None where none holds any more."""
    seen = {place: frame.detections[place] for place in members}
    place_now = union_box(each.box for each in seen.values())
    for each in judged:
        place_then = union_box(member.box for member in each.members.values())
        if each.verdict.level not in CALM:
            if intersection_over_union(place_now, place_then) > 0:
                return None
            continue
        partners = _partners(each.members, seen, overlap)
        if partners is not None:
            is_calm = prior.score <= each.prior + PRIOR_RISE
            return (
                Repeat(group_index, prior, each.assessment_id, _told(each, group_index, partners)) if is_calm else None
            )
    return None


def _partners(before: Mapping[int, Detection], now: Mapping[int, Detection], overlap: float) -> dict[int, int] | None:
    """Which place each of `before` has now, where all of them are still there and nobody else is."""
    if len(before) != len(now):
        return None
    pairs = sorted(
        (
            (intersection_over_union(one.box, other.box), place, other_place)
            for place, one in before.items()
            for other_place, other in now.items()
            if _is_alike(one, other)
        ),
        reverse=True,
    )
    partners: dict[int, int] = {}
    for share, place, other_place in pairs:
        if share >= overlap and place not in partners and other_place not in partners.values():
            partners[place] = other_place
    return partners if len(partners) == len(before) else None


def _is_alike(before: Detection, now: Detection) -> bool:
    """Of one class, not known to be another one, and doing the same."""
    if before.object_class is not now.object_class or before.against_lane != now.against_lane:
        return False
    if None not in (before.track_id, now.track_id) and before.track_id != now.track_id:
        return False
    if {zone.kind for zone in before.zones} != {zone.kind for zone in now.zones}:
        return False
    return abs((before.speed_kmh or 0.0) - (now.speed_kmh or 0.0)) <= SAME_SPEED_KMH


def _told(judged: JudgedGroup, group_index: int, partners: Mapping[int, int]) -> RiskVerdict:
    """The verdict with this frame's ids, which count from 1, in place of those of the frame that was judged."""
    ids = tuple(partners[each - 1] + 1 for each in judged.verdict.trigger_object_ids if each - 1 in partners)
    return replace(judged.verdict, group_index=group_index, trigger_object_ids=ids)
