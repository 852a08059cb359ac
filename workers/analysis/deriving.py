"""The alerts that operators would have seen, derived in the recording's own time by the fleet's policy. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from assessment.alert_policy import LiveAlert, Match, is_over, match_sightings, sighting_of
from assessment.risk import RiskLevel, RiskVerdict, highest
from workers.analysis.findings import AnalysedFrame, DerivedAlert


@dataclass(frozen=True, slots=True)
class _Trail:
    """An alert on its way: what the policy knows of it, and what the report will."""

    live: LiveAlert
    shown: DerivedAlert


def derive_alerts(frames: Iterable[AnalysedFrame]) -> tuple[DerivedAlert, ...]:
    """Alerts in the order in which they were opened; `frames` in the order of time."""
    trails: list[_Trail] = []
    for frame in frames:
        verdicts = {each.number: each.judgement.verdict for each in frame.assessed if each.judgement}
        sightings = [
            sighting_of(
                frame.frame, verdict.group_index, assessment_id=number, risk_type=verdict.type, level=verdict.level
            )
            for number, verdict in verdicts.items()
            if verdict.level != RiskLevel.NONE
        ]
        now = frame.frame.captured_at
        live = [trail.live for trail in trails if not is_over(trail.live.last_seen_at, now)]
        for match in match_sightings(live, sightings):
            _apply(trails, match, verdicts[match.sighting.assessment_id], frame)
    return tuple(trail.shown for trail in trails)


def _apply(trails: list[_Trail], match: Match, verdict: RiskVerdict, frame: AnalysedFrame) -> None:
    if match.alert is None:
        trails.append(_opened(len(trails) + 1, match, verdict, frame))
    else:
        place = match.alert.alert_id - 1
        trails[place] = _continued(trails[place], match, verdict, frame)


def _opened(number: int, match: Match, verdict: RiskVerdict, frame: AnalysedFrame) -> _Trail:
    seen = match.sighting
    live = LiveAlert(number, seen.risk_type, seen.level, seen.place, seen.track_ids, seen.seen_at)
    shown = DerivedAlert(
        number=number,
        risk_type=seen.risk_type,
        level=seen.level,
        description=verdict.description,
        risk_types=verdict.risk_types,
        opened_seconds=frame.seconds,
        last_seen_seconds=frame.seconds,
        times_seen=1,
        frame_numbers=(frame.number,),
    )
    return _Trail(live, shown)


def _continued(trail: _Trail, match: Match, verdict: RiskVerdict, frame: AnalysedFrame) -> _Trail:
    seen, level = match.sighting, highest([trail.live.level, match.sighting.level])
    return _Trail(
        replace(trail.live, level=level, place=seen.place, track_ids=seen.track_ids, last_seen_at=seen.seen_at),
        replace(
            trail.shown,
            level=level,
            description=verdict.description,
            risk_types=verdict.risk_types,
            last_seen_seconds=frame.seconds,
            times_seen=trail.shown.times_seen + 1,
            frame_numbers=(*trail.shown.frame_numbers, frame.number),
        ),
    )
