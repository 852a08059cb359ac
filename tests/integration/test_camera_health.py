"""What is written of a camera, and what operators may want of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from cameras.control import UnknownCamera, start_camera, stop_camera
from cameras.health import forget_states, mark_stale, record_frame, record_state, silence_seconds
from cameras.models import Camera, StateChange, StreamState, Wanted
from cameras.sources.streams import back_off_seconds

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "rtsp://operator:geheim@93.184.215.14/live"


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def camera(name: str = "north", **fields: object) -> Camera:
    return Camera.objects.create(name=name, **{"source": SECRET, "wanted": Wanted.RUNNING, **fields})


def seen(camera_id: int) -> tuple[str, datetime | None, str]:
    now = Camera.objects.get(pk=camera_id)
    return now.state, now.state_since, now.last_error


def test_state_is_recorded_once_with_the_moment_it_began() -> None:
    number = camera().pk
    assert record_state(number, StreamState.ONLINE, now=NOON)
    assert not record_state(number, StreamState.ONLINE, now=after(5))
    assert seen(number) == (StreamState.ONLINE, NOON, "")


def test_new_reason_of_the_same_state_leaves_its_beginning() -> None:
    number = camera().pk
    assert record_state(number, StreamState.OFFLINE, error="first", now=NOON)
    assert not record_state(number, StreamState.OFFLINE, error="second", now=after(5))
    assert seen(number) == (StreamState.OFFLINE, NOON, "second")


def test_error_is_gone_when_the_camera_is_back() -> None:
    number = camera().pk
    record_state(number, StreamState.OFFLINE, error="gone", now=NOON)
    record_state(number, StreamState.ONLINE, now=after(5))
    assert seen(number) == (StreamState.ONLINE, after(5), "")


def test_long_error_is_cut_to_fit() -> None:
    number = camera().pk
    record_state(number, StreamState.OFFLINE, error="x" * 1000, now=NOON)
    assert seen(number)[2] == "x" * 300


@pytest.mark.parametrize("state", [StreamState.ONLINE, StreamState.OFFLINE, StreamState.CONNECTING])
def test_late_report_of_a_stopped_camera_changes_nothing(state: StreamState) -> None:
    number = camera(wanted=Wanted.STOPPED, state=StreamState.STOPPED, state_since=NOON).pk
    assert not record_state(number, state, error="late", now=after(5))
    assert seen(number) == (StreamState.STOPPED, NOON, "")


def test_late_stop_of_a_started_camera_changes_nothing() -> None:
    number = camera(state=StreamState.ONLINE, state_since=NOON).pk
    assert not record_state(number, StreamState.STOPPED, now=after(5))
    assert seen(number) == (StreamState.ONLINE, NOON, "")


def test_report_of_a_deleted_camera_changes_nothing() -> None:
    assert not record_state(0, StreamState.ONLINE, now=NOON)


def test_last_picture_is_written_at_most_every_five_seconds() -> None:
    number = camera().pk
    for seconds in (0, 1.8, 4.9):
        record_frame(number, at=after(seconds))
        assert Camera.objects.get(pk=number).last_frame_at == NOON
    record_frame(number, at=after(5))
    assert Camera.objects.get(pk=number).last_frame_at == after(5)


def test_older_picture_does_not_overwrite_a_newer_one() -> None:
    number = camera(last_frame_at=NOON).pk
    record_frame(number, at=after(-60))
    assert Camera.objects.get(pk=number).last_frame_at == NOON


@pytest.mark.parametrize(("interval", "borne"), [(0.04, 5.0), (1.8, 5.4), (60.0, 180.0)])
def test_silence_is_borne_for_three_intervals_and_five_seconds_at_least(interval: float, borne: float) -> None:
    assert silence_seconds(interval) == pytest.approx(borne)


def test_camera_whose_pictures_stopped_is_marked_stale_once() -> None:
    online = {"state": StreamState.ONLINE, "state_since": NOON, "frame_interval": 2.0}
    silent = camera("silent", last_frame_at=after(60), **online)
    camera("lively", last_frame_at=after(70), **online)
    camera("slow", last_frame_at=after(60), **{**online, "frame_interval": 30.0})
    camera("just begun", last_frame_at=after(-3600), **{**online, "state_since": after(70)})
    assert mark_stale(after(75.9)) == []
    assert mark_stale(after(76.1)) == [silent.pk]
    assert mark_stale(after(76.2)) == []
    assert seen(silent.pk) == (StreamState.STALE, after(76.1), "No new picture comes.")


@pytest.mark.parametrize("state", [StreamState.CONNECTING, StreamState.ONLINE, StreamState.STALE])
def test_camera_stopped_while_capture_is_dead_becomes_stopped(state: StreamState) -> None:
    number = camera(state=state, state_since=NOON, last_frame_at=after(60), wanted=Wanted.STOPPED, last_error="x").pk
    assert mark_stale(after(75)) == []
    assert seen(number) == (state, NOON, "x")
    assert mark_stale(after(76)) == [number]
    assert mark_stale(after(77)) == []
    assert seen(number) == (StreamState.STOPPED, after(76), "")


def test_mark_stale_writes_nothing_while_all_is_well(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    camera(state=StreamState.ONLINE, state_since=NOON, last_frame_at=NOON)
    with django_assert_num_queries(1):
        assert mark_stale(after(1)) == []


def test_camera_is_started_and_stopped() -> None:
    number = camera(wanted=Wanted.STOPPED).pk
    assert start_camera(number).wanted == Wanted.RUNNING
    assert Camera.objects.get(pk=number).wanted == Wanted.RUNNING
    assert stop_camera(number).wanted == Wanted.STOPPED
    assert Camera.objects.get(pk=number).source == SECRET


def test_camera_is_started_from_another_source() -> None:
    started = start_camera(camera().pk, source="rtsp://93.184.215.15/live")
    assert started.source == "rtsp://93.184.215.15/live"


def test_camera_that_is_taken_elsewhere_loses_its_stream_for_detection() -> None:
    moved = camera(detection_source="street://avenue")
    start_camera(moved.pk, source="street://highway?seed=2")
    moved.refresh_from_db()
    assert (moved.source, moved.detection_source) == ("street://highway?seed=2", "")


def test_camera_is_started_from_its_own_source_shown_masked() -> None:
    kept = camera()
    assert start_camera(kept.pk, source=kept.masked_source).source == SECRET


def test_camera_is_not_started_from_a_forbidden_source(settings: Settings) -> None:
    number = camera(wanted=Wanted.STOPPED).pk
    with pytest.raises(ValidationError, match="ALGO_CAMERA_NETWORKS"):
        start_camera(number, source="rtsp://10.0.0.1/live")
    assert Camera.objects.get(pk=number).wanted == Wanted.STOPPED


@pytest.mark.parametrize("act", [start_camera, stop_camera, lambda number: start_camera(number, source="x.mp4")])
def test_unknown_camera_is_named(act: object) -> None:
    with pytest.raises(UnknownCamera, match=r"^There is no camera 77\.$"):
        act(77)  # type: ignore[operator]  # one of the three above


def test_waiting_grows_to_a_minute_and_differs_between_cameras() -> None:
    assert [back_off_seconds(failures, jitter=1.0) for failures in (1, 2, 3, 6, 500)] == [2, 4, 8, 60, 60]
    assert [back_off_seconds(failures, jitter=0.0) for failures in (1, 2, 3, 6, 500)] == [1.5, 2.5, 4.5, 30.5, 30.5]


def history(camera_id: int) -> list[tuple[str, str]]:
    return [(each.state, each.error) for each in StateChange.objects.filter(camera=camera_id)]


def test_each_change_of_state_is_kept_once_with_its_reason() -> None:
    number = camera().pk
    record_state(number, StreamState.ONLINE, now=NOON)
    record_state(number, StreamState.ONLINE, now=after(5))
    record_state(number, StreamState.STALE, error="quiet", now=after(10))
    record_state(number, StreamState.OFFLINE, error="refused", now=after(20))
    record_state(number, StreamState.OFFLINE, error="refused again", now=after(25))
    assert history(number) == [("offline", "refused"), ("stale", "quiet"), ("online", "")]


def test_camera_that_the_sweep_calls_stale_has_that_in_its_history() -> None:
    number = camera(state=StreamState.ONLINE, state_since=NOON, last_frame_at=NOON).pk
    assert mark_stale(after(60)) == [number]
    assert [state for state, _error in history(number)] == ["stale"]


def test_old_changes_of_state_are_forgotten() -> None:
    number = camera().pk
    record_state(number, StreamState.ONLINE, now=NOON)
    record_state(number, StreamState.OFFLINE, now=after(60))
    assert forget_states(before=after(60)) == 1
    assert history(number) == [("offline", "")]
