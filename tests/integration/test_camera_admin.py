"""The cameras' pages in the admin, as an administrator uses them."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from cameras.drawings import Drawing, replace_drawing
from cameras.load import note_skipped
from cameras.models import Camera, CameraGroup, StreamState, Wanted, Zone
from tests.clips import write_clip
from trafficmon.accounts.models import User
from trafficmon.core.clock import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

SECRET = "rtsp://operator:geheim@93.184.215.14/live"
LIST = "/admin/cameras/camera/"
ACTION = "_selected_action"


@pytest.fixture(autouse=True)
def plain_static(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "videos").mkdir()


@pytest.fixture
def desk(client: Client) -> Client:
    """A browser in which an administrator is signed in."""
    client.force_login(User.objects.create(username="chief", is_staff=True, is_superuser=True))
    return client


def camera(name: str = "north gate", **fields: object) -> Camera:
    return Camera.objects.create(name=name, **{"source": SECRET, **fields})


def form(**changes: object) -> dict[str, object]:
    """What a browser sends for a camera without zones and counting lines."""
    return {
        "name": "north gate",
        "group": "",
        "source": "street://junction?seed=1",
        "sampling": "burst",
        "frame_interval": "",
        "detection_enabled": "on",
        "assessment_enabled": "on",
        "wanted": "stopped",
        "zones-TOTAL_FORMS": "0",
        "zones-INITIAL_FORMS": "0",
        "lines-TOTAL_FORMS": "0",
        "lines-INITIAL_FORMS": "0",
        "_continue": "Save",
        **changes,
    }


def page(desk: Client, url: str) -> str:
    answer = desk.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def errors(desk: Client, url: str, data: dict[str, object]) -> dict[str, list[str]]:
    answer = desk.post(url, data)
    assert answer.status_code == 200
    return dict(answer.context["adminform"].form.errors)


def test_page_of_a_camera_says_what_it_skipped_and_why(desk: Client, redis_client: redis.Redis) -> None:
    number = camera().pk
    url = f"{LIST}{number}/change/"
    assert re.search(r"since \d\d:\d\d: none", page(desk, url))
    for reason in ("stale", "lost", "late", "stale", "behind"):
        note_skipped(redis_client, number, reason)
    reasons = "capture cannot keep up: 1, its stream lags: 1, picture gone from Redis: 1, too old when its turn came: 2"
    expected = rf"since \d\d:\d\d: {reasons}"
    assert re.search(expected, page(desk, url))


def test_camera_is_added(desk: Client) -> None:
    answer = desk.post(f"{LIST}add/", form(source="rtsp://u:p@93.184.215.14/live", wanted="running"))
    assert answer.status_code == 302
    added = Camera.objects.get()
    assert (added.source, added.wanted) == ("rtsp://u:p@93.184.215.14/live", Wanted.RUNNING)


def test_camera_that_must_not_be_opened_is_refused(desk: Client) -> None:
    assert errors(desk, f"{LIST}add/", form(source="rtsp://10.0.0.1/live")) == {
        "source": [
            "10.0.0.1 (10.0.0.1) is in a private network. Name that network in ALGO_CAMERA_NETWORKS to allow it."
        ]
    }
    assert not Camera.objects.exists()


def test_second_stream_of_a_simulated_street_is_refused(desk: Client) -> None:
    both = form(source="street://junction?seed=1", detection_source="rtsp://u:p@93.184.215.14/small")
    assert errors(desk, f"{LIST}add/", both) == {"detection_source": ["A simulated street has one stream only."]}
    assert not Camera.objects.exists()


def test_second_stream_of_a_camera_is_kept(desk: Client) -> None:
    both = form(source="rtsp://u:p@93.184.215.14/live", detection_source="rtsp://u:p@93.184.215.14/small")
    assert desk.post(f"{LIST}add/", both).status_code == 302
    assert Camera.objects.get().detection_source == "rtsp://u:p@93.184.215.14/small"


def test_form_shows_no_password(desk: Client) -> None:
    text = page(desk, f"{LIST}{camera().pk}/change/")
    assert "geheim" not in text
    assert 'value="rtsp://***@93.184.215.14/live"' in text


def test_page_of_a_camera_names_nothing_that_there_is_not(desk: Client) -> None:
    row = camera(decoded_per_sample=0.0, decode_load=0.0, key_frame_seconds=None)
    text = page(desk, f"{LIST}{row.pk}/change/")
    calibration = re.search(r'<textarea name="calibration"[^>]*>(.*?)</textarea>', text, re.DOTALL)
    assert calibration
    assert calibration[1].strip() == ""
    assert "key frame every" not in text


def test_untouched_source_keeps_its_password(desk: Client) -> None:
    kept = camera()
    answer = desk.post(f"{LIST}{kept.pk}/change/", form(name="south gate", source=kept.masked_source))
    assert answer.status_code == 302
    kept.refresh_from_db()
    assert (kept.name, kept.source) == ("south gate", SECRET)


def test_untouched_source_is_not_checked_again(desk: Client) -> None:
    kept = camera(source="rtsp://u:p@no-such-host.invalid/live")
    assert desk.post(f"{LIST}{kept.pk}/change/", form(source=kept.masked_source)).status_code == 302


def test_masked_password_goes_to_no_other_host(desk: Client) -> None:
    kept = camera()
    assert errors(desk, f"{LIST}{kept.pk}/change/", form(source="rtsp://***@93.184.215.15/live")) == {
        "source": ["The password in this address is masked: write it out again."]
    }


def test_changed_source_is_kept(desk: Client) -> None:
    kept = camera()
    desk.post(f"{LIST}{kept.pk}/change/", form(source="street://junction?seed=9"))
    kept.refresh_from_db()
    assert kept.source == "street://junction?seed=9"


def drawn_zone(kept: Camera, **changes: object) -> dict[str, object]:
    """What a browser sends for a camera with one zone."""
    zone: dict[str, object] = {
        "zones-TOTAL_FORMS": "1",
        "zones-0-name": "crossing",
        "zones-0-kind": "crossing",
        "zones-0-polygon": "[[0, 0], [1, 0], [1, 1]]",
        "zones-0-minimum_seconds": "2.5",
        "zones-0-classes": "[]",
        "zones-0-camera": str(kept.pk),
    }
    return form(source=kept.masked_source, **zone, **changes)


def test_zone_is_drawn_with_its_camera(desk: Client) -> None:
    kept = camera()
    assert desk.post(f"{LIST}{kept.pk}/change/", drawn_zone(kept)).status_code == 302
    zone = Zone.objects.get()
    assert (zone.polygon, zone.minimum_seconds) == ([[0, 0], [1, 0], [1, 1]], 2.5)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"zones-0-kind": "ignore"}, "What is watched or ignored has no least stay: leave it at 0."),
        ({"zones-0-kind": "include"}, "What is watched or ignored has no least stay: leave it at 0."),
        ({"zones-0-minimum_seconds": "-1"}, "Ensure this value is greater than or equal to 0."),
    ],
)
def test_least_stay_without_a_meaning_is_refused(desk: Client, changes: dict[str, object], complaint: str) -> None:
    kept = camera()
    answer = desk.post(f"{LIST}{kept.pk}/change/", {**drawn_zone(kept), **changes})
    [zones] = [each for each in answer.context["inline_admin_formsets"] if each.opts.model is Zone]
    found = [message for errors in zones.formset.errors for messages in errors.values() for message in messages]
    assert complaint in found
    assert not Zone.objects.exists()


def opened(desk: Client, kept: Camera) -> str:
    """The version of the drawing that the opened page holds."""
    found = re.search(r'name="drawing_version" value="(\w+)"', page(desk, f"{LIST}{kept.pk}/change/"))
    assert found is not None
    return found[1]


def test_page_writes_over_nothing_that_was_drawn_since_it_was_opened(desk: Client) -> None:
    kept = camera()
    zone = Zone.objects.create(camera=kept, name="crossing", kind="crossing", polygon=[[0, 0], [1, 0], [1, 1]])
    stale = opened(desk, kept)
    drawn = replace_drawing(kept.pk, Drawing(), known=stale)
    assert drawn.deleted == ("crossing",)
    sent = form(name="south gate", source=kept.masked_source, drawing_version=stale)
    assert errors(desk, f"{LIST}{kept.pk}/change/", sent) == {
        "__all__": [
            "What is drawn on this camera was changed after you opened this page. Nothing was saved: open the page "
            "again and repeat your change."
        ]
    }
    kept.refresh_from_db()
    assert (kept.name, Zone.objects.filter(pk=zone.pk).exists()) == ("north gate", False)
    again = {**sent, "drawing_version": opened(desk, kept)}
    assert desk.post(f"{LIST}{kept.pk}/change/", again).status_code == 302


def test_counting_line_is_drawn_with_its_camera(desk: Client) -> None:
    kept = camera()
    line = {
        "lines-TOTAL_FORMS": "1",
        "lines-0-name": "gate",
        "lines-0-ends": "[[0, 0.5], [1, 0.5]]",
        "lines-0-classes": '["bus"]',
        "lines-0-camera": str(kept.pk),
    }
    assert desk.post(f"{LIST}{kept.pk}/change/", form(source=kept.masked_source, **line)).status_code == 302
    assert list(kept.lines.values_list("name", "ends", "classes")) == [("gate", [[0, 0.5], [1, 0.5]], ["bus"])]


@pytest.mark.parametrize(
    ("action", "field", "before", "after"),
    [
        ("start", "wanted", Wanted.STOPPED, Wanted.RUNNING),
        ("stop", "wanted", Wanted.RUNNING, Wanted.STOPPED),
        ("detection_on", "detection_enabled", False, True),
        ("detection_off", "detection_enabled", True, False),
    ],
)
def test_action_changes_the_selected_cameras(
    desk: Client, action: str, field: str, before: object, after: object
) -> None:
    chosen = [camera("a", **{field: before}), camera("b", **{field: before})]
    other = camera("c", **{field: before})
    answer = desk.post(LIST, {"action": action, ACTION: [each.pk for each in chosen]}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["2 cameras changed."]
    assert list(Camera.objects.order_by("name").values_list(field, flat=True)) == [after, after, before]
    assert getattr(other, field) == before


def test_action_on_one_camera_says_so(desk: Client) -> None:
    answer = desk.post(LIST, {"action": "start", ACTION: [camera().pk]}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["1 camera changed."]


def test_list_shows_state_since_when_and_why(desk: Client) -> None:
    camera(
        state=StreamState.OFFLINE,
        state_since=utc_now() - timedelta(hours=2, seconds=5),
        last_error="Nothing listens at this address and port.",
        last_frame_at=utc_now() - timedelta(hours=1, seconds=5),
    )
    text = page(desk, LIST)
    badge = '<span class="stream-state stream-offline">offline</span>'
    reason = '<div class="stream-error">Nothing listens at this address and port.</div>'
    assert re.findall(r'<td class="field-state_and_error">(.*?)</td>', text) == [badge + reason]
    assert re.findall(r"<time [^>]*>([^<]*)</time>", text) == ["2\xa0hours", "1\xa0hour"]
    assert "geheim" not in text


def test_list_is_searched_by_name_and_filtered_by_state(desk: Client) -> None:
    camera("north gate", state=StreamState.ONLINE)
    camera("south gate")
    assert desk.get(LIST, {"q": "north"}).context["cl"].result_count == 1
    assert desk.get(LIST, {"state__exact": "online"}).context["cl"].result_count == 1


@pytest.mark.parametrize("rows", [1, 3])
def test_camera_list_takes_the_same_queries_for_any_number_of_rows(
    desk: Client, rows: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(rows):
        group = CameraGroup.objects.create(name=f"group {number}")
        camera(f"camera {number}", group=group, state_since=utc_now(), last_frame_at=utc_now())
    with django_assert_num_queries(8):
        page(desk, LIST)


@pytest.mark.parametrize("rows", [1, 3])
def test_group_list_takes_the_same_queries_for_any_number_of_rows(
    desk: Client, rows: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(rows):
        group = CameraGroup.objects.create(name=f"group {number}")
        group.viewers.add(User.objects.create(username=f"viewer {number}"))
        camera(f"camera {number}", group=group)
    with django_assert_num_queries(4):
        page(desk, "/admin/cameras/cameragroup/")


def test_pages_hold_no_inline_script_or_style(desk: Client) -> None:
    kept = camera()
    for url in (LIST, f"{LIST}add/", f"{LIST}{kept.pk}/change/"):
        text = page(desk, url)
        assert re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", text) == []
        assert re.findall(r"<style|\sstyle=|\son[a-z]+=", text) == []


def test_connection_test_shows_the_picture(desk: Client, tmp_path: Path) -> None:
    write_clip(tmp_path / "videos" / "road.mp4")
    answer = desk.post(reverse("admin:cameras_camera_test_new"), {"source": "road.mp4"})
    text = answer.content.decode()
    assert answer.status_code == 200
    assert re.search(r'<img src="data:image/jpeg;base64,/9j/[A-Za-z0-9+/=]+"\s+width="320"\s+height="240"', text)
    assert re.search(r"It works: 320 × 240, h264, first picture after \d+ ms\.", text)


def test_connection_test_shows_the_pictures_of_both_streams(desk: Client, tmp_path: Path) -> None:
    write_clip(tmp_path / "videos" / "main.mp4", width=640, height=480)
    write_clip(tmp_path / "videos" / "small.mp4")
    both = {"source": "main.mp4", "detection_source": "small.mp4"}
    answer = desk.post(reverse("admin:cameras_camera_test_new"), both)
    text = answer.content.decode()
    assert re.findall(r"<h2>(Source.*)</h2>", text) == ["Source", "Source for detection"]
    assert re.findall(r"It works: (\d+ × \d+), h264", text) == ["640 × 480", "320 × 240"]
    assert len(re.findall(r'<img src="data:image/jpeg;base64,/9j/', text)) == 2


def test_connection_test_says_which_of_two_streams_failed_and_shows_the_other(desk: Client, tmp_path: Path) -> None:
    write_clip(tmp_path / "videos" / "main.mp4")
    kept = camera(source="main.mp4", detection_source="rtsp://operator:geheim@10.0.0.1/small")
    url = reverse("admin:cameras_camera_test", args=[kept.pk])
    answer = desk.post(url, {"source": "main.mp4", "detection_source": "rtsp://***@10.0.0.1/small"})
    assert [(trial.source, trial.found is not None, trial.failure) for trial in answer.context["trials"]] == [
        ("main.mp4", True, ""),
        (
            "rtsp://***@10.0.0.1/small",
            False,
            "10.0.0.1 (10.0.0.1) is in a private network. Name that network in ALGO_CAMERA_NETWORKS to allow it.",
        ),
    ]
    assert "geheim" not in answer.content.decode()


def test_connection_test_takes_the_kept_passwords_for_masked_sources(desk: Client, tmp_path: Path) -> None:
    for name in ("password=road.mp4", "token=small.mp4"):
        write_clip(tmp_path / "videos" / name)
    kept = camera(source="password=road.mp4", detection_source="token=small.mp4")
    url = reverse("admin:cameras_camera_test", args=[kept.pk])
    answer = desk.post(url, {"source": "password=***", "detection_source": "token=***"})
    assert [(trial.source, trial.failure) for trial in answer.context["trials"]] == [
        ("password=***", ""),
        ("token=***", ""),
    ]


def test_connection_test_says_why_it_failed_without_the_password(desk: Client) -> None:
    kept = camera(source="rtsp://operator:geheim@10.0.0.1/live")
    answer = desk.post(reverse("admin:cameras_camera_test", args=[kept.pk]), {"source": kept.masked_source})
    assert answer.status_code == 200
    assert [trial.failure for trial in answer.context["trials"]] == [
        "10.0.0.1 (10.0.0.1) is in a private network. Name that network in ALGO_CAMERA_NETWORKS to allow it."
    ]
    assert "geheim" not in answer.content.decode()


def test_connection_test_needs_a_post_with_its_token(desk: Client) -> None:
    url = reverse("admin:cameras_camera_test_new")
    assert desk.get(url).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = desk.cookies
    assert strict.post(url, {"source": "street://junction"}).status_code == 403


def test_connection_test_is_for_those_who_may_edit(client: Client) -> None:
    client.force_login(User.objects.create(username="staff", is_staff=True))
    assert client.post(reverse("admin:cameras_camera_test_new"), {"source": "x"}).status_code == 403
    assert client.post(reverse("admin:cameras_camera_test", args=[camera().pk])).status_code == 403


def test_form_offers_the_connection_test(desk: Client) -> None:
    kept = camera()
    assert f'formaction="{LIST}{kept.pk}/test/"' in page(desk, f"{LIST}{kept.pk}/change/")
    assert f'formaction="{LIST}test/"' in page(desk, f"{LIST}add/")


def test_list_and_form_lead_to_the_page_of_the_camera(desk: Client) -> None:
    number = camera().pk
    for url in (LIST, f"{LIST}{number}/change/"):
        assert f'href="/cameras/{number}/"' in page(desk, url)
