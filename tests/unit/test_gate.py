"""What of a frame is worth asking about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assessment.gate import Gated, Question, gate, is_urgent, questions_of
from detection.detections import Detection
from tests.factories import detect, make_frame
from trafficmon.core.objects import ObjectClass

CAR, PERSON, LIGHT = ObjectClass.CAR, ObjectClass.PERSON, ObjectClass.TRAFFIC_LIGHT


def test_each_group_is_a_question() -> None:
    assert questions_of(make_frame(1, groups=2)) == (Question(1, urgent=False), Question(2, urgent=False))


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ((), ()),
        ((detect(0, 0),), ()),
        ((detect(0, 0), detect(9, 9, LIGHT)), ()),
        ((detect(0, 0), detect(900, 0)), (Question(0, urgent=False),)),
        ((detect(0, 0), detect(900, 0, PERSON)), (Question(0, urgent=True),)),
    ],
)
def test_frame_without_groups_is_asked_about_as_a_whole_from_two_road_users_on(
    detections: tuple[Detection, ...], expected: tuple[Question, ...]
) -> None:
    frame = replace(make_frame(1, groups=0), detections=detections)
    assert questions_of(frame) == expected


@pytest.mark.parametrize(
    ("classes", "urgent"),
    [([CAR, CAR], False), ([PERSON, PERSON], False), ([PERSON, CAR], True), ([PERSON, ObjectClass.BICYCLE], True)],
)
def test_person_with_a_vehicle_is_urgent(classes: list[ObjectClass], urgent: bool) -> None:
    assert is_urgent([detect(0, 0, each) for each in classes]) == urgent


def test_parked_vehicle_raises_no_question_by_itself_or_with_one_person() -> None:
    parked, person = replace(detect(0, 0), parked=True), detect(900, 0, PERSON)

    def asked(*detections: Detection) -> tuple[Question, ...]:
        return questions_of(replace(make_frame(1, groups=0), detections=detections))

    assert asked(parked, parked) == ()
    assert asked(parked, person) == ()
    assert asked(parked, person, detect(400, 0)) == (Question(0, urgent=True),)
    assert asked(parked, person, detect(400, 0, PERSON)) == (Question(0, urgent=False),)


def test_frame_with_only_parked_vehicles_says_so() -> None:
    frame = replace(make_frame(1, groups=0), detections=(replace(detect(0, 0), parked=True),) * 3)
    too_few = Gated((), "fewer than two road users that are not parked")
    assert gate(frame, enabled=True, take_turn=lambda: True) == too_few


def test_who_goes_against_a_lane_is_urgent() -> None:
    assert is_urgent([detect(0, 0), replace(detect(50, 0), against_lane=True)])


def test_gate_takes_a_turn_only_when_there_is_something_to_ask() -> None:
    turns = iter([True, False])
    frame, empty = make_frame(1, groups=1), make_frame(1, groups=0)

    assert gate(frame, enabled=False, take_turn=lambda: next(turns)) == Gated((), "assessment is switched off")
    assert gate(empty, enabled=True, take_turn=lambda: next(turns)) == Gated((), "fewer than two road users")
    assert gate(frame, enabled=True, take_turn=lambda: next(turns)) == Gated((Question(1, urgent=False),))
    too_soon = Gated((), "the camera's cooldown has not passed")
    assert gate(frame, enabled=True, take_turn=lambda: next(turns)) == too_soon
