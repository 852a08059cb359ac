"""Single rows of a JPEG are what the whole of it shows there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from cameras.sources import encode_jpeg
from detection.detect import cut, read_part, read_picture
from detection.jpeg_rows import restart_interval, rows_of
from trafficmon.core.geometry import Box


def noisy(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def with_markers(picture: np.ndarray, every: int, *options: int) -> bytes:
    form = (cv2.IMWRITE_JPEG_QUALITY, 80, cv2.IMWRITE_JPEG_RST_INTERVAL, every, *options)
    return cv2.imencode(".jpg", picture, form)[1].tobytes()


@given(
    size=st.tuples(st.integers(1, 200), st.integers(1, 400)),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_rows_are_the_pixels_of_the_whole_picture(size: tuple[int, int], ends: tuple[float, float]) -> None:
    jpeg, height = encode_jpeg(noisy(*size)), size[1]
    top, bottom = sorted(int(each * (height - 1)) for each in ends)
    rows, first = rows_of(jpeg, top, bottom + 1)
    found = read_picture(rows)[top - first : bottom + 1 - first]
    assert np.array_equal(found, read_picture(jpeg)[top : bottom + 1])


def test_rows_are_no_more_than_needed() -> None:
    jpeg = encode_jpeg(noisy(640, 360))
    rows, first = rows_of(jpeg, 100, 120)
    assert (first, simplejpeg.decode_jpeg_header(rows)[0]) == (80, 64)
    assert len(rows) < 0.2 * len(jpeg)


@pytest.mark.parametrize(
    "jpeg",
    [
        simplejpeg.encode_jpeg(np.ascontiguousarray(noisy(64, 64))),
        with_markers(noisy(64, 64), 3),
        with_markers(noisy(64, 64), restart_interval(64), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        with_markers(noisy(64, 64)[:, :, :1], restart_interval(64)),
        with_markers(noisy(64, 64), restart_interval(64))[:200],
        b"\xff\xd8\xff",
        b"",
    ],
    ids=["no markers", "others", "progressive", "grey", "cut off", "no more than a beginning", "nothing"],
)
def test_what_cannot_be_parted_stays_whole(jpeg: bytes) -> None:
    assert rows_of(jpeg, 16, 32) == (jpeg, 0)


def test_a_part_is_cut_as_from_the_whole() -> None:
    jpeg = encode_jpeg(noisy(320, 180))
    place = Box(200, 333, 700, 481)
    assert np.array_equal(read_part(jpeg, place, of=(1280, 720)), cut(read_picture(jpeg), place, of=(1280, 720)))


def test_other_colour_sampling_is_parted_by_its_own_blocks() -> None:
    picture = noisy(128, 96)
    options = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    jpeg = with_markers(picture, restart_interval(128, 8), *options)
    rows, first = rows_of(jpeg, 40, 48)
    assert (first, simplejpeg.decode_jpeg_header(rows)[0]) == (32, 24)
    assert np.array_equal(read_picture(rows)[8:16], read_picture(jpeg)[40:48])
