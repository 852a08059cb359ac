"""Average precision against cases worked out by hand."""

import pytest

from detection.sample.precision import Found, Wanted, average_precision, average_precisions, judge
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

CAR, BUS = ObjectClass.CAR, ObjectClass.BUS
HERE, THERE, NOWHERE = Box(0, 0, 10, 10), Box(100, 0, 110, 10), Box(500, 0, 510, 10)


def found(box: Box, confidence: float = 0.9, object_class: ObjectClass = CAR) -> Found:
    return Found(object_class, confidence, box)


def wanted(box: Box, *, required: bool = True, object_class: ObjectClass = CAR) -> Wanted:
    return Wanted(object_class, box, required)


def test_second_detection_of_one_object_is_wrong() -> None:
    assert judge([found(HERE, 0.5), found(HERE, 0.9)], [wanted(HERE)]) == [(0.9, True), (0.5, False)]


def test_detection_of_an_object_that_need_not_be_found_counts_neither_way() -> None:
    assert judge([found(HERE)], [wanted(HERE, required=False)]) == []


def test_overlap_of_less_than_half_is_wrong() -> None:
    assert judge([found(Box(0, 0, 10, 10))], [wanted(Box(0, 5.1, 10, 15.1))]) == [(0.9, False)]


@pytest.mark.parametrize(
    ("judged", "required", "expected"),
    [
        ([], 3, 0.0),
        ([(0.9, True)], 1, 1.0),
        ([(0.9, False), (0.8, True)], 1, 0.5),
        ([(0.9, True), (0.8, False)], 1, 1.0),
        ([(0.9, True)], 2, 51 / 101),
    ],
)
def test_average_precision_of_known_cases(judged: list[tuple[float, bool]], required: int, expected: float) -> None:
    assert average_precision(judged, required) == pytest.approx(expected)


def test_classes_that_no_picture_requires_are_left_out() -> None:
    pictures = [([found(HERE), found(NOWHERE, 0.1)], [wanted(HERE), wanted(THERE, object_class=BUS)])]
    assert average_precisions(pictures) == {CAR: 1.0, BUS: 0.0}
