"""Geometry, the clock, secrets in logs, encryption."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficmon.core.clock import read_moment, spell
from trafficmon.core.cores import usable_cores
from trafficmon.core.encryption import UnreadableSecretError, decrypt, encrypt
from trafficmon.core.geometry import (
    Box,
    box_from,
    distance_to_segment,
    intersection_over_union,
    polygon_contains,
    union_box,
)
from trafficmon.core.logging import mask_secrets
from trafficmon.core.spreadsheet import csv_line

numbers = st.floats(0, 1000)
boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), numbers, numbers, numbers, numbers)


@given(boxes, boxes)
def test_overlap_is_symmetric_and_a_share(a: Box, b: Box) -> None:
    assert 0 <= intersection_over_union(a, b) <= 1 + 1e-9
    assert intersection_over_union(a, b) == pytest.approx(intersection_over_union(b, a))


@given(st.lists(boxes, min_size=1))
def test_union_holds_every_box_and_touches_one_on_each_side(some: list[Box]) -> None:
    union = union_box(some)
    assert union.x1 == min(box.x1 for box in some)
    assert union.y2 == max(box.y2 for box in some)
    assert all(union.x1 <= box.x1 and box.x2 <= union.x2 and union.y1 <= box.y1 and box.y2 <= union.y2 for box in some)


@given(boxes, st.floats(0, 200))
def test_grown_box_clipped_to_the_picture_lies_in_it(box: Box, margin_px: float) -> None:
    clipped = box.grown(margin_px).clipped(640, 480)
    assert 0 <= clipped.x1 <= clipped.x2 <= 640
    assert 0 <= clipped.y1 <= clipped.y2 <= 480


def test_overlap_of_known_boxes() -> None:
    assert intersection_over_union(Box(0, 0, 2, 2), Box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert intersection_over_union(Box(0, 0, 1, 1), Box(1, 0, 2, 1)) == 0


@pytest.mark.parametrize(("point", "inside"), [((5, 5), True), ((15, 5), False), ((5, -1), False), ((9.9, 9.9), True)])
def test_polygon_knows_what_it_contains(point: tuple[float, float], inside: bool) -> None:
    assert polygon_contains([(0, 0), (10, 0), (10, 10), (0, 10)], point) == inside
    assert polygon_contains([(0, 0), (10, 0)], point) is False


@pytest.mark.parametrize(("point", "far"), [((5, 3), 3), ((5, -3), 3), ((-3, 4), 5), ((13, 4), 5), ((10, 0), 0)])
def test_distance_to_a_segment_is_that_to_its_nearest_place(point: tuple[float, float], far: float) -> None:
    assert distance_to_segment(point, (0, 0), (10, 0)) == far
    assert distance_to_segment(point, (10, 0), (0, 0)) == far
    assert distance_to_segment(point, (5, 3), (5, 3)) == pytest.approx(
        ((point[0] - 5) ** 2 + (point[1] - 3) ** 2) ** 0.5
    )


def test_line_for_a_spreadsheet_quotes_and_holds_no_formula() -> None:
    assert csv_line(["a, b", "=SUM(A1)", ["x", "y"], 3, None]) == '"a, b",\'=SUM(A1),x; y,3,\r\n'


def test_box_needs_four_numbers() -> None:
    assert box_from([1, 2, 3, 4]) == Box(1, 2, 3, 4)
    with pytest.raises(ValueError, match="unpack"):
        box_from([1, 2, 3])


def test_moment_is_spelled_in_utc_with_milliseconds() -> None:
    moment = datetime(2026, 5, 4, 20, 0, 1, 234567, tzinfo=timezone(timedelta(hours=8)))
    assert spell(moment) == "2026-05-04T12:00:01.234Z"
    assert read_moment(spell(moment)) == datetime(2026, 5, 4, 12, 0, 1, 234000, tzinfo=UTC)


def test_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        read_moment("2026-05-04T12:00:00")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("open rtsp://admin:p%40ss@10.0.0.5/ch1 failed", "open rtsp://***@10.0.0.5/ch1 failed"),
        ("open rtsp://admin:p@ss:w@rd@10.0.0.5/ch1 failed", "open rtsp://***@10.0.0.5/ch1 failed"),
        ("open rtsp://p@ss@10.0.0.5:554/ch1?a=b@c", "open rtsp://***@10.0.0.5:554/ch1?a=b@c"),
        (
            "from rtsp://a:b@10.0.0.5/1 to rtsp://c:d@e@10.0.0.6/2",
            "from rtsp://***@10.0.0.5/1 to rtsp://***@10.0.0.6/2",
        ),
        (
            "GET http://10.0.0.5/v.cgi?user=admin&pwd=geheim&ch=1 failed",
            "GET http://10.0.0.5/v.cgi?user=***&pwd=***&ch=1 failed",
        ),
        ("http://10.0.0.5/a?Password=x#b token=y, ok", "http://10.0.0.5/a?Password=***#b token=*** ok"),
        ("http://10.0.0.5/a?secret=x&key=y&access_token=z", "http://10.0.0.5/a?secret=***&key=***&access_token=***"),
        ("rtsp://10.0.0.5/user=admin/password=geheim/ch1", "rtsp://10.0.0.5/user=***/password=***/ch1"),
        ("http://10.0.0.5/a?monkey=1&frame_key=2", "http://10.0.0.5/a?monkey=1&frame_key=2"),
        ("key sk-0123456789abcdef refused", "key sk-*** refused"),
        ("data:image/jpeg;base64,/9j/4AAQSkZJRg== end", "data:image/*** end"),
        ("http://example.org/plain", "http://example.org/plain"),
    ],
)
def test_secrets_and_pictures_never_reach_a_log(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


@given(st.text())
def test_encrypted_text_is_read_back_under_its_key_only(plain: str) -> None:
    token = encrypt(plain, key="right")
    assert decrypt(token, key="right") == plain
    with pytest.raises(UnreadableSecretError, match="ALGO_FIELD_KEY"):
        decrypt(token, key="wrong")


def test_usable_cores_are_those_this_process_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {3, 5}, raising=False)
    assert usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == 64
