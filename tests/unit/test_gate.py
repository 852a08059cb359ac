"""What of a frame is worth asking about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assessment.gate import Question, is_urgent, questions_of
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
