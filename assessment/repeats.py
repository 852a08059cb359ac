"""Whether a traffic group looks as it did when a model judged it a moment ago, so that its verdict still holds. Pure.

Only what was found calm (none or low) is ever reused. A danger is looked at each time: an alert must not be kept alive
by a verdict that nobody gave. Nor is anything reused where a danger was seen at the same place meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from assessment.priors import Prior
from assessment.risk import RiskLevel, RiskVerdict
from detection.detections import DetectedFrame, Detection, ZoneKind
from trafficmon.core.geometry import Box, intersection_over_union, union_box
from trafficmon.core.objects import ObjectClass

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
        if each.verdict.level in CALM:
            partners = _partners(each.members, seen, overlap)
            if partners is not None:
                told = Repeat(group_index, prior, each.assessment_id, _told(each, group_index, partners))
                return told if prior.score <= each.prior + PRIOR_RISE else None
        elif intersection_over_union(place_now, _place_of(each)) > 0:
            return None
    return None


def _place_of(judged: JudgedGroup) -> Box:
    return union_box(member.box for member in judged.members.values())


def _partners(before: Mapping[int, Detection], now: Mapping[int, Detection], overlap: float) -> dict[int, int] | None:
    """Which place each of `before` has now, where all of them are still there and nobody else is."""
    if len(before) != len(now):
        return None
    partners: dict[int, int] = {}
    for _share, place, there in sorted(_matches(before, now, overlap), reverse=True):
        if place not in partners and there not in partners.values():
            partners[place] = there
    return partners if len(partners) == len(before) else None


def _matches(
    before: Mapping[int, Detection], now: Mapping[int, Detection], overlap: float
) -> Iterator[tuple[float, int, int]]:
    """How much two overlap that may be the same, and their places then and now."""
    for (place, one), (there, other) in product(before.items(), now.items()):
        share = intersection_over_union(one.box, other.box)
        if share >= overlap and _is_alike(one, other):
            yield share, place, there


def _is_alike(before: Detection, now: Detection) -> bool:
    """Of one class, not known to be another one, and doing the same."""
    is_another = None not in (before.track_id, now.track_id) and before.track_id != now.track_id
    return not is_another and _conduct(before) == _conduct(now) and _is_as_fast(before, now)


def _conduct(one: Detection) -> tuple[ObjectClass, bool, frozenset[ZoneKind]]:
    return one.object_class, one.against_lane, frozenset(zone.kind for zone in one.zones)


def _is_as_fast(before: Detection, now: Detection) -> bool:
    return abs((before.speed_kmh or 0.0) - (now.speed_kmh or 0.0)) <= SAME_SPEED_KMH


def _told(judged: JudgedGroup, group_index: int, partners: Mapping[int, int]) -> RiskVerdict:
    """The verdict with this frame's ids, which count from 1, in place of those of the frame that was judged."""
    ids = tuple(partners[each - 1] + 1 for each in judged.verdict.trigger_object_ids if each - 1 in partners)
    return replace(judged.verdict, group_index=group_index, trigger_object_ids=ids)
