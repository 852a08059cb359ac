"""When two sightings are one danger."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.alert_policy import AlertPolicy, LiveAlert, Sighting, is_over, is_stale, match_sightings, seconds_left
from assessment.risk import RiskLevel, RiskType
from tests.factories import NOON
from trafficmon.core.geometry import Box

HERE = Box(100, 100, 200, 160)
FAR = Box(900, 500, 1000, 560)


def sight(
    *,
    number: int = 1,
    risk_type: RiskType = RiskType.RED_LIGHT,
    level: RiskLevel = RiskLevel.HIGH,
    place: Box = HERE,
    tracks: frozenset[int] = frozenset(),
    seen_at: datetime = NOON,
) -> Sighting:
    return Sighting(number, risk_type, level, place, tracks, seen_at)


def alert(
    *, risk_type: RiskType = RiskType.RED_LIGHT, place: Box = HERE, tracks: frozenset[int] = frozenset()
) -> LiveAlert:
    return LiveAlert(7, risk_type, RiskLevel.MEDIUM, place, tracks, NOON)


def test_sighting_at_the_same_place_continues_the_alert() -> None:
    [match] = match_sightings([alert()], [sight(place=Box(130, 110, 230, 170))])
    assert match.alert == alert()


def test_sighting_far_away_opens_another_alert() -> None:
    [match] = match_sightings([alert()], [sight(place=FAR)])
    assert match.alert is None


def test_sighting_far_away_of_the_same_track_continues_the_alert() -> None:
    live = alert(tracks=frozenset({3, 4}))
    [match] = match_sightings([live], [sight(place=FAR, tracks=frozenset({4}))])
    assert match.alert == live


def test_sighting_of_another_kind_opens_another_alert() -> None:
    [match] = match_sightings([alert()], [sight(risk_type=RiskType.WRONG_WAY)])
    assert match.alert is None


@pytest.mark.parametrize(("seconds", "continues"), [(59, True), (60, False)])
def test_alert_is_over_after_a_minute_unseen(seconds: int, continues: bool) -> None:
    [match] = match_sightings([alert()], [sight(seen_at=NOON + timedelta(seconds=seconds))])
    assert (match.alert is not None) == continues


@pytest.mark.parametrize("level", [RiskLevel.NONE, RiskLevel.LOW])
def test_slight_risk_raises_no_alert(level: RiskLevel) -> None:
    assert match_sightings([alert()], [sight(level=level)]) == ()


def test_two_sightings_of_one_frame_are_never_one_alert() -> None:
    first, second = match_sightings([alert()], [sight(number=1, level=RiskLevel.MEDIUM), sight(number=2)])
    assert (first.sighting.assessment_id, first.alert) == (2, alert())
    assert (second.sighting.assessment_id, second.alert) == (1, None)


def test_alert_goes_stale_then_counts_down_to_its_end() -> None:
    policy = AlertPolicy()
    assert [is_stale(NOON, NOON + timedelta(seconds=s), policy) for s in (0, 10, 11)] == [False, False, True]
    assert [is_over(NOON, NOON + timedelta(seconds=s), policy) for s in (0, 59.9, 60)] == [False, False, True]
    assert [seconds_left(NOON, NOON + timedelta(seconds=s), policy) for s in (0, 45, 90)] == [60.0, 15.0, 0.0]


@pytest.mark.parametrize(("frame_seconds", "stale", "over"), [(1.8, 7.8, 60.0), (30.0, 36.0, 144.0)])
def test_alert_outlasts_the_rhythm_of_its_camera(frame_seconds: float, stale: float, over: float) -> None:
    policy = AlertPolicy.for_rhythm(frame_seconds=frame_seconds, cooldown_seconds=3, display_seconds=3)
    assert (policy.stale_after.total_seconds(), policy.close_after.total_seconds()) == (stale, over)


def test_neighbouring_alerts_keep_their_own_tracks() -> None:
    left = LiveAlert(1, RiskType.RED_LIGHT, RiskLevel.HIGH, HERE, frozenset({3, 4}), NOON)
    right = LiveAlert(2, RiskType.RED_LIGHT, RiskLevel.HIGH, HERE, frozenset({1, 2}), NOON)
    matches = match_sightings(
        [left, right], [sight(number=1, tracks=frozenset({1, 2})), sight(number=2, tracks=frozenset({3, 4}))]
    )
    assert [match.alert for match in matches] == [right, left]


sightings = st.builds(
    sight,
    number=st.integers(1, 1000),
    risk_type=st.sampled_from([RiskType.RED_LIGHT, RiskType.WRONG_WAY]),
    level=st.sampled_from(RiskLevel),
    place=st.sampled_from([HERE, FAR]),
    tracks=st.frozensets(st.integers(1, 4), max_size=2),
)


@given(st.lists(sightings, max_size=6, unique_by=lambda each: each.assessment_id))
def test_matching_keeps_every_alerting_sighting_once_whatever_their_order(seen: list[Sighting]) -> None:
    live = [alert(), LiveAlert(8, RiskType.WRONG_WAY, RiskLevel.HIGH, FAR, frozenset({1}), NOON)]
    matches = match_sightings(live, seen)
    alerting = {each.assessment_id for each in seen if each.level in {RiskLevel.MEDIUM, RiskLevel.HIGH}}
    assert sorted(match.sighting.assessment_id for match in matches) == sorted(alerting)
    continued = [match.alert.alert_id for match in matches if match.alert]
    assert len(continued) == len(set(continued))
    assert match_sightings(live, seen[::-1]) == matches
