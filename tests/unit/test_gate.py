"""What of a frame is worth asking about, and why the rest is not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.gate import Circumstances, Gated, GateRules, Guess, Question, candidates_of, gate, is_urgent
from assessment.ladder import LadderLevel
from assessment.priors import PriorReason
from assessment.repeats import JudgedGroup
from assessment.risk import RiskLevel, RiskType, RiskVerdict, SkipReason
from detection.detections import DetectedFrame, Detection, ZoneRef
from tests.factories import detect, make_frame
from trafficmon.core.objects import ObjectClass

CAR, PERSON, LIGHT = ObjectClass.CAR, ObjectClass.PERSON, ObjectClass.TRAFFIC_LIGHT
LANE, SHOULDER = ZoneRef("1", "lane"), ZoneRef("edge", "emergency_lane")
AGAINST = replace(detect(600, 400), against_lane=True)


def frame_of(*detections: Detection) -> DetectedFrame:
    """Without traffic groups."""
    return replace(make_frame(1, groups=0), detections=detections)


def beside(frame: DetectedFrame, *alone: Detection) -> DetectedFrame:
    return replace(frame, detections=(*frame.detections, *alone))


def always(
    *,
    due: bool = True,
    room: bool = True,
    rolls: Sequence[float] = (1.0,),
    judged: Sequence[JudgedGroup] = (),
    take: Callable[[], bool] | None = None,
) -> Circumstances:
    left = itertools.cycle(rolls)
    return Circumstances(
        is_due=lambda: due,
        take_turn=take or (lambda: due),
        judged_lately=lambda: judged,
        has_room=lambda: room,
        roll=lambda: next(left),
    )


def never() -> bool:
    raise AssertionError("nobody was to ask this")


def outcome(gated: Gated) -> tuple[list[int], list[tuple[int, SkipReason]]]:
    return [each.group_index for each in gated.questions], [(each.group_index, each.reason) for each in gated.skipped]


def asked(frame: DetectedFrame) -> list[tuple[int, bool]]:
    return [(each.group_index, each.urgent) for each in candidates_of(frame)]


def test_each_group_is_a_candidate() -> None:
    assert asked(make_frame(1, groups=2)) == [(1, False), (2, False)]


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ((), []),
        ((detect(0, 0),), []),
        ((detect(0, 0), detect(9, 9, LIGHT)), []),
        ((detect(0, 0), detect(900, 0)), [(0, False)]),
        ((detect(0, 0), detect(900, 0, PERSON)), [(0, True)]),
    ],
)
def test_frame_without_groups_is_looked_at_as_a_whole_from_two_road_users_on(
    detections: tuple[Detection, ...], expected: list[tuple[int, bool]]
) -> None:
    assert asked(frame_of(*detections)) == expected


@pytest.mark.parametrize(
    ("alone", "urgent", "reason"),
    [
        (AGAINST, True, PriorReason.AGAINST_LANE),
        (replace(detect(600, 400), zones=(LANE,), stopped=True), False, PriorReason.STOPPED_IN_LANE),
        (replace(detect(600, 400, PERSON), zones=(SHOULDER,)), True, PriorReason.ON_EMERGENCY_LANE),
        (replace(detect(600, 400, PERSON), zones=(LANE,)), True, PriorReason.PERSON_ON_LANE),
    ],
)
def test_one_by_itself_raises_a_question_where_it_stands_out(
    alone: Detection, urgent: bool, reason: PriorReason
) -> None:
    for frame, place in ((frame_of(alone), 0), (beside(make_frame(1, groups=1), alone), 2)):
        whole = gate(frame, GateRules(ask_from=0.3), always()).questions[0]
        assert (whole.group_index, whole.urgent, whole.prior.reason, whole.prior.places) == (
            0,
            urgent,
            reason,
            (place,),
        )


def test_first_in_a_lane_at_a_light_raises_no_question_until_it_stands_for_too_long() -> None:
    red = replace(detect(600, 400), zones=(LANE,), stopped=True, waiting=True)
    assert asked(frame_of(red)) == asked(frame_of(red, detect(900, 0, LIGHT))) == []
    assert gate(frame_of(red), GateRules(), always()).questions == ()
    assert asked(frame_of(replace(red, waiting=False))) == [(0, False)]


def test_one_by_itself_that_only_drives_raises_none_beside_groups() -> None:
    frame = beside(make_frame(1, groups=1), replace(detect(600, 400), zones=(LANE,)), detect(900, 600, PERSON))
    assert asked(frame) == [(1, False)]


@pytest.mark.parametrize(
    ("classes", "urgent"),
    [([CAR, CAR], False), ([PERSON, PERSON], False), ([PERSON, CAR], True), ([PERSON, ObjectClass.BICYCLE], True)],
)
def test_person_with_a_vehicle_is_urgent(classes: list[ObjectClass], urgent: bool) -> None:
    assert is_urgent([detect(0, 0, each) for each in classes]) == urgent


def test_parked_vehicle_raises_no_question_by_itself_or_with_one_person() -> None:
    parked, person = replace(detect(0, 0), parked=True), detect(900, 0, PERSON)
    assert asked(frame_of(parked, parked)) == []
    assert asked(frame_of(parked, person)) == []
    assert asked(frame_of(parked, person, detect(400, 0))) == [(0, True)]
    assert asked(frame_of(parked, person, detect(400, 0, PERSON))) == [(0, False)]


def test_frame_with_only_parked_vehicles_says_so() -> None:
    frame = frame_of(*(replace(detect(0, 0), parked=True),) * 3)
    too_few = Gated((), "fewer than two road users that are not parked")
    assert gate(frame, GateRules(), always(take=never)) == too_few


def test_who_goes_against_a_lane_is_urgent() -> None:
    assert is_urgent([detect(0, 0), AGAINST])


def test_group_that_does_not_look_dangerous_is_left_out_and_says_so() -> None:
    conflict = make_frame(1, groups=2)
    person = replace(conflict.detections[3], object_class=PERSON)
    conflict = replace(conflict, detections=(*conflict.detections[:3], person))
    gated = gate(conflict, GateRules(ask_from=0.5), always())
    assert outcome(gated) == ([2], [(1, SkipReason.LOW_PRIOR)])
    assert (gated.reason, gated.is_partial) == ("", False)
    calm = gate(make_frame(1, groups=1), GateRules(ask_from=0.5), always(take=never))
    assert outcome(calm) == ([], [(1, SkipReason.LOW_PRIOR)])
    assert calm.reason == "nothing looks dangerous enough to ask"


def test_turn_is_taken_only_when_there_is_something_to_ask() -> None:
    frame, empty = make_frame(1, groups=1), make_frame(1, groups=0)
    off = gate(frame, GateRules(enabled=False), always(take=never))
    assert (outcome(off), off.reason) == (([], [(1, SkipReason.SWITCHED_OFF)]), "assessment is switched off")
    assert gate(empty, GateRules(), always(take=never)) == Gated((), "fewer than two road users")
    assert outcome(gate(frame, GateRules(), always())) == ([1], [])


@pytest.mark.parametrize("circumstances", [always(due=False), always(take=lambda: False)], ids=["known", "raced"])
def test_nobody_gets_through_the_cooldown(circumstances: Circumstances) -> None:
    too_soon = gate(beside(make_frame(1, groups=1), AGAINST), GateRules(), circumstances)
    assert outcome(too_soon) == ([], [(0, SkipReason.COOLDOWN), (1, SkipReason.COOLDOWN)])
    assert too_soon.reason == "the camera's cooldown has not passed"


def test_only_the_urgent_are_asked_about_where_the_ladder_says_so_and_the_frame_is_then_partial() -> None:
    rules = GateRules(level=LadderLevel.URGENT_ONLY)
    gated = gate(beside(make_frame(1, groups=1), AGAINST), rules, always())
    assert (outcome(gated), gated.is_partial) == (([0], [(1, SkipReason.URGENT_ONLY)]), True)
    none = gate(make_frame(1, groups=1), rules, always(take=never))
    assert none.reason == "assessment is reduced: only urgent groups are asked about"


def test_geometry_guesses_medium_at_the_most_and_never_that_all_is_well() -> None:
    rules = GateRules(level=LadderLevel.GEOMETRY_ONLY, ask_from=0.1, medium_from=0.6)
    gated = gate(beside(make_frame(1, groups=1), AGAINST), rules, always())
    assert [(each.group_index, each.level) for each in gated.guesses] == [(0, RiskLevel.MEDIUM), (1, RiskLevel.LOW)]
    assert (gated.questions, gated.skipped) == ((), ())
    low = gate(make_frame(1, groups=1), replace(rules, ask_from=0.5), always())
    assert (low.guesses, outcome(low)) == ((), ([], [(1, SkipReason.LOW_PRIOR)]))


def test_nothing_is_judged_where_only_detection_is_left() -> None:
    frame = beside(make_frame(1, groups=1), AGAINST)
    gated = gate(frame, GateRules(level=LadderLevel.DETECTION_ONLY), always(take=never))
    assert (outcome(gated), gated.reason) == (
        ([], [(1, SkipReason.NO_MODEL)]),
        "assessment is reduced: no model is asked",
    )


def test_few_of_those_left_out_are_asked_about_all_the_same_without_a_turn() -> None:
    frame, rules = make_frame(1, groups=2), GateRules(ask_from=0.9, sample_share=0.1)
    gated = gate(frame, rules, always(due=False, take=never, rolls=[0.05, 0.5]))
    assert outcome(gated) == ([1], [(2, SkipReason.LOW_PRIOR)])
    assert (gated.questions[0].sampled_from, gated.questions[0].urgent) == (SkipReason.LOW_PRIOR, False)


@pytest.mark.parametrize("level", [each for each in LadderLevel if each is not LadderLevel.ALL])
def test_nothing_is_sampled_where_assessment_is_reduced(level: LadderLevel) -> None:
    rules = GateRules(ask_from=0.9, medium_from=0.95, sample_share=1.0, level=level)
    assert gate(make_frame(1, groups=2), rules, always(rolls=[0.0])).questions == ()


def test_nothing_is_sampled_where_no_key_has_room() -> None:
    rules = GateRules(ask_from=0.9, sample_share=1.0)
    assert gate(make_frame(1, groups=2), rules, always(rolls=[0.0], room=False)).questions == ()


@pytest.mark.parametrize("level", [LadderLevel.ALL, LadderLevel.URGENT_ONLY])
def test_only_what_is_held_to_be_calm_or_known_is_sampled(level: LadderLevel) -> None:
    rules = GateRules(sample_share=1.0, level=level)
    gated = gate(make_frame(1, groups=1), rules, always(due=level is not LadderLevel.ALL, rolls=[0.0]))
    reason = SkipReason.COOLDOWN if level is LadderLevel.ALL else SkipReason.URGENT_ONLY
    assert outcome(gated) == ([], [(1, reason)])


def judged(frame: DetectedFrame, level: RiskLevel, group_index: int = 1) -> JudgedGroup:
    [one] = [each for each in candidates_of(frame) if each.group_index == group_index]
    verdict = RiskVerdict(group_index, level, RiskType.OTHER, "as before", 0.9, (), 1, (one.members[0] + 1,))
    return JudgedGroup(7, {each: frame.detections[each] for each in one.members}, one.prior.score, verdict)


def test_group_that_looks_as_before_keeps_its_verdict_and_takes_no_turn() -> None:
    frame = make_frame(1, groups=1)
    gated = gate(frame, GateRules(reuse_overlap=0.8), always(judged=[judged(frame, RiskLevel.LOW)], take=never))
    [repeat] = gated.repeats
    assert outcome(gated) == ([], [])
    assert (repeat.group_index, repeat.assessment_id, repeat.verdict.trigger_object_ids) == (1, 7, (1,))


def test_others_of_the_frame_are_asked_about_beside_those_that_look_as_before() -> None:
    frame = make_frame(1, groups=2)
    gated = gate(frame, GateRules(reuse_overlap=0.8), always(judged=[judged(frame, RiskLevel.NONE)]))
    assert (outcome(gated), [each.group_index for each in gated.repeats]) == (([2], []), [1])


def test_sampled_repeat_is_asked_about() -> None:
    frame = make_frame(1, groups=1)
    rules = GateRules(reuse_overlap=0.8, sample_share=0.1)
    gated = gate(frame, rules, always(judged=[judged(frame, RiskLevel.NONE)], rolls=[0.0], take=never))
    assert (gated.repeats, [each.sampled_from for each in gated.questions]) == ((), [SkipReason.DUPLICATE])


def test_geometry_guesses_carry_the_prior() -> None:
    rules = GateRules(level=LadderLevel.GEOMETRY_ONLY, medium_from=0.6)
    [guess] = gate(frame_of(AGAINST), rules, always()).guesses
    assert guess == Guess(0, RiskLevel.MEDIUM, guess.prior)
    assert guess.prior.reason is PriorReason.AGAINST_LANE


members = st.builds(
    lambda x, y, kind, against, parked: replace(
        detect(x, y, kind), against_lane=against, parked=parked and kind is CAR and not against
    ),
    st.integers(0, 1000),
    st.integers(0, 600),
    st.sampled_from([CAR, PERSON, LIGHT]),
    st.booleans(),
    st.booleans(),
)


@given(
    st.integers(0, 3),
    st.lists(members, max_size=4),
    st.sampled_from(LadderLevel),
    st.floats(0, 0.99),
    st.booleans(),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_every_candidate_has_exactly_one_outcome(
    groups: int, alone: list[Detection], level: LadderLevel, ask_from: float, due: bool, rolls: list[float]
) -> None:
    frame = beside(make_frame(1, groups=groups), *alone)
    rules = GateRules(level=level, ask_from=ask_from, sample_share=0.3)
    gated = gate(frame, rules, always(due=due, rolls=rolls))
    found = [each.group_index for part in (gated.questions, gated.guesses, gated.skipped) for each in part]
    wanted = [each.group_index for each in candidates_of(frame)]
    if level is LadderLevel.DETECTION_ONLY:
        wanted = [each for each in wanted if each]
    assert sorted(found) == sorted(wanted)
    assert bool(gated.reason) != gated.is_judged


def test_question_of_a_test_needs_no_prior() -> None:
    assert Question(1, urgent=False).prior.score == 0
