"""What the model is shown: real JPEGs, looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from assessment.evidence import Pictures
from assessment.judge import facts_of
from assessment.prompt import build_question
from assessment.showing import LEAST_PX, MEMBER_COLOUR, MOST_PX, OTHER_COLOUR, WIDE_WIDTH_PX, Colour, show, sizes_shown
from assessment.tokens import estimate_tokens, expect_tokens
from cameras.sources import encode_jpeg
from detection.detect import read_picture
from detection.detections import DetectedFrame, Detection, TrafficGroup
from detection.detector import Picture
from tests.factories import make_frame
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

PLACE = Box(600, 300, 800, 420)
PAIR = (Box(620, 330, 680, 390), Box(700, 340, 730, 400))
ASIDE = Box(770, 310, 795, 330)


def grey(shade: int, size: tuple[int, int] = (1280, 720)) -> bytes:
    return encode_jpeg(np.full((size[1], size[0], 3), shade, np.uint8))


def scene(place: Box = PLACE, boxes: Sequence[Box] = (*PAIR, ASIDE)) -> DetectedFrame:
    detections = tuple(Detection(box, ObjectClass.CAR, 0.9) for box in boxes)
    group = TrafficGroup(1, (0, 1), place, place, 0.9, (ObjectClass.CAR,))
    return replace(make_frame(7), width=1280, height=720, detections=detections, groups=(group,))


def pictures(place: Box | None = PLACE, *, earlier: tuple[bytes, ...] = ()) -> Pictures:
    return Pictures(grey(100), (1280, 720), place, earlier)


def has_colour(picture: Picture, colour: Colour) -> bool:
    """Whether some pixels are of it, as far as a JPEG keeps colours."""
    return bool((np.abs(picture.astype(int) - colour).sum(axis=2) < 60).sum() >= 8)


def test_crop_comes_after_the_whole_scene_and_the_earlier_crops() -> None:
    shown = show(scene(), 1, pictures(earlier=(grey(20, (640, 360)), grey(60, (640, 360)))))
    seen = [read_picture(each) for each in shown.pictures]
    assert (shown.has_wide, shown.region, len(seen)) == (True, PLACE, 4)
    assert [each.shape[:2] for each in seen] == [(252, WIDE_WIDTH_PX), *[(192, 320)] * 3]
    assert [round(each.mean()) for each in seen[1:3]] == [20, 60]


def test_ids_are_drawn_on_the_last_picture_alone() -> None:
    shown = show(scene(), 1, pictures(earlier=(grey(100),)))
    _wide, before, last = (read_picture(each) for each in shown.pictures)
    assert [has_colour(before, each) for each in (MEMBER_COLOUR, OTHER_COLOUR)] == [False, False]
    assert [has_colour(last, each) for each in (MEMBER_COLOUR, OTHER_COLOUR)] == [True, True]
    # Of three objects the box of the first begins 20 of 200 pixels from the left, here 32 of 320.
    blue, _green, red = (int(value) for value in last[140, 32])
    assert red - blue > 80


def test_whole_frame_is_shown_once_with_all_its_ids() -> None:
    shown = show(replace(scene(), groups=()), 0, pictures(None))
    [picture] = [read_picture(each) for each in shown.pictures]
    assert (shown.has_wide, shown.region, picture.shape[:2]) == (False, None, (432, MOST_PX))
    assert has_colour(picture, MEMBER_COLOUR)
    assert not has_colour(picture, OTHER_COLOUR)


@pytest.mark.parametrize(
    ("place", "size"),
    [
        (Box(0, 0, 1280, 720), (MOST_PX, 432)),
        (Box(100, 100, 600, 500), (500, 400)),
        (Box(100, 100, 260, 180), (LEAST_PX, 160)),
        (Box(100, 100, 140, 130), (120, 90)),
        (Box(1279.5, 719.5, 1280, 720), (3, 3)),
    ],
)
def test_crops_are_neither_too_small_nor_too_large(place: Box, size: tuple[int, int]) -> None:
    shown = show(scene(place), 1, pictures(place))
    assert read_picture(shown.pictures[-1]).shape[1::-1] == size


def test_crop_of_most_of_the_frame_needs_no_wider_picture() -> None:
    place = Box(0, 0, 1200, 700)
    shown = show(scene(place), 1, pictures(place))
    assert (shown.has_wide, shown.region, len(shown.pictures)) == (False, place, 1)


@pytest.mark.parametrize("boxes", [[Box(600, 300, 800, 420)] * 40, [Box(799, 419, 1280, 720)] * 3, []])
def test_crowded_and_empty_places_can_be_drawn(boxes: list[Box]) -> None:
    frame = replace(scene(boxes=boxes), groups=(replace(scene().groups[0], members=()),))
    assert len(show(frame, 1, pictures()).pictures) == 2


@pytest.mark.parametrize(
    "place", [PLACE, Box(0, 0, 1280, 700), Box(100, 200, 180, 290), Box(0, 0, 900, 300), None], ids=str
)
def test_sizes_are_known_before_the_pictures_are_made(place: Box | None) -> None:
    given = pictures(place, earlier=(grey(20, (640, 360)),))
    made = [read_picture(each).shape[1::-1] for each in show(scene(), 1, given).pictures]
    foreseen = sizes_shown(scene(), given)
    assert len(foreseen) == len(made)
    assert np.allclose(foreseen, made, atol=4)


def test_tokens_are_foreseen_before_the_question_is_made() -> None:
    given, frame = pictures(earlier=(grey(20, (640, 360)),)), scene()
    shown = show(frame, 1, given)
    question = build_question(
        facts_of(frame, 1, shown), shown.pictures, model="qwen-vl-plus", language="en", template="default-v3"
    )
    assert expect_tokens(frame, given) == pytest.approx(estimate_tokens(question), rel=0.15)


def test_picture_that_cannot_be_read_is_foreseen_to_cost_something() -> None:
    assert expect_tokens(scene(), Pictures(b"no picture", (1280, 720), PLACE)) > 1_000
