"""When a group looks as it did when it was judged a moment ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.priors import Prior, PriorReason
from assessment.repeats import JudgedGroup, Repeat, find_repeat
from assessment.risk import RiskLevel, RiskType, RiskVerdict
from detection.detections import DetectedFrame, Detection, ZoneRef
from tests.factories import detect, make_frame
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

PAIR = (detect(100, 100, track_id=1), detect(160, 100, ObjectClass.PERSON, track_id=2))
PRIOR = Prior(0.4, PriorReason.NEAR_PERSON, (0, 1))


def frame_of(*detections: Detection) -> DetectedFrame:
    return replace(make_frame(1, groups=0), detections=detections)


def judge(
    *members: Detection, level: RiskLevel = RiskLevel.NONE, prior: float = 0.4, number: int = 1, caused_by: int = 1
) -> JudgedGroup:
    verdict = RiskVerdict(3, level, RiskType.OTHER, "calm", 0.9, (), 1, (caused_by,))
    return JudgedGroup(number, dict(enumerate(members)), prior, verdict)


def repeat(now: Sequence[Detection], *judged: JudgedGroup, prior: Prior = PRIOR) -> Repeat | None:
    return find_repeat(frame_of(*now), 1, range(len(now)), prior, judged, overlap=0.8)


def moved(seen: Detection, x: float) -> Detection:
    return replace(seen, box=Box(seen.box.x1 + x, seen.box.y1, seen.box.x2 + x, seen.box.y2))


@pytest.mark.parametrize("level", [RiskLevel.NONE, RiskLevel.LOW])
def test_calm_verdict_holds_for_what_looks_the_same(level: RiskLevel) -> None:
    found = repeat(PAIR, judge(*PAIR, level=level))
    assert found
    assert (found.group_index, found.assessment_id, found.prior) == (1, 1, PRIOR)
    assert (found.verdict.level, found.verdict.group_index) == (level, 1)


def test_objects_are_named_as_in_their_own_frame() -> None:
    found = repeat(PAIR[::-1], judge(*PAIR, caused_by=1))
    assert found
    assert found.verdict.trigger_object_ids == (2,)


@pytest.mark.parametrize(
    "now",
    [
        (PAIR[0], moved(PAIR[1], 12)),
        PAIR[:1],
        (*PAIR, detect(220, 100)),
        (replace(PAIR[0], object_class=ObjectClass.BUS), PAIR[1]),
        (replace(PAIR[0], track_id=7), PAIR[1]),
        (replace(PAIR[0], against_lane=True), PAIR[1]),
        (replace(PAIR[0], speed_kmh=30.0, speed_deviation_kmh=2.0), PAIR[1]),
        (PAIR[0], replace(PAIR[1], zones=(ZoneRef("1", "lane"),))),
    ],
    ids=["moved", "one gone", "one more", "another class", "somebody else", "turned", "drives", "in a lane"],
)
def test_nothing_holds_for_what_looks_otherwise(now: Sequence[Detection]) -> None:
    assert repeat(now, judge(*PAIR)) is None


def test_who_is_not_known_may_be_the_same() -> None:
    assert repeat([replace(each, track_id=None) for each in PAIR], judge(*PAIR))


def test_nothing_holds_where_it_looks_more_dangerous() -> None:
    assert repeat(PAIR, judge(*PAIR, prior=0.3)) is None
    assert repeat(PAIR, judge(*PAIR, prior=0.36))
    assert repeat(PAIR, judge(*PAIR, prior=0.9))


@pytest.mark.parametrize("level", [RiskLevel.MEDIUM, RiskLevel.HIGH])
def test_danger_is_never_taken_for_granted_nor_for_over(level: RiskLevel) -> None:
    assert repeat(PAIR, judge(*PAIR, level=level)) is None
    beside = judge(moved(PAIR[0], 10), level=level)
    assert repeat(PAIR, beside, judge(*PAIR)) is None
    assert repeat(PAIR, judge(*PAIR), beside)
    elsewhere = judge(moved(PAIR[0], 500), level=level)
    assert repeat(PAIR, elsewhere, judge(*PAIR))


def test_newest_verdict_of_those_that_look_the_same_holds() -> None:
    found = repeat(PAIR, judge(*PAIR, number=9), judge(*PAIR, number=8))
    assert found
    assert found.assessment_id == 9


users = st.builds(
    detect,
    st.integers(0, 900),
    st.integers(0, 600),
    st.sampled_from([ObjectClass.CAR, ObjectClass.PERSON]),
    st.none() | st.integers(1, 3),
)


@given(st.lists(users, min_size=1, max_size=5))
def test_what_has_not_changed_at_all_looks_the_same_in_any_order(members: list[Detection]) -> None:
    # Of several that fill one place any may be taken for any; with identities that can go wrong, and then it is asked.
    crowded = len({each.box for each in members}) < len(members)
    assert repeat(members[::-1], judge(*members)) or crowded
