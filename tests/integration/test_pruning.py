"""Old rows go a few at a time."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cameras.models import Camera
from tests.factories import make_camera
from trafficmon.pruning import prune

pytestmark = pytest.mark.django_db


def test_rows_are_deleted_in_batches_until_none_is_left() -> None:
    for _ in range(5):
        make_camera()
    kept = make_camera(name="Bridge")
    with CaptureQueriesContext(connection) as queries:
        assert prune(Camera.objects.exclude(name="Bridge"), at_once=2) == 5
    batches = [each["sql"] for each in queries if each["sql"].startswith('DELETE FROM "cameras_camera"')]
    assert len(batches) == 3
    assert list(Camera.objects.all()) == [kept]


def test_what_is_left_when_the_time_is_over_goes_next_time() -> None:
    for _ in range(3):
        make_camera()
    assert [prune(Camera.objects.all(), at_once=1, seconds=-1) for _round in range(4)] == [1, 1, 1, 0]
