"""The live wall in a real browser, over the real WebSocket."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connections, transaction
from playwright.sync_api import Page, WebSocketRoute, expect

from assessment.alerts import apply_verdicts
from assessment.gate import Circumstances, Gated, GateRules, Question, Skipped, gate
from assessment.models import Alert, AlertState, FrameResult
from assessment.priors import Prior
from assessment.results import close_frames, record_frame
from assessment.risk import AssessmentStatus, RiskLevel, RiskType, SkipReason
from cameras.frames import connect_redis
from cameras.models import Camera, StreamState
from detection.detect import read_size
from detection.detections import DetectedFrame
from tests.e2e.conftest import Server, keep_picture, make_user
from tests.factories import make_camera, make_frame, record
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import spell, utc_now
from trafficmon.live import compose, publish
from trafficmon.live.topics import MessageReady

pytestmark = pytest.mark.e2e

SignIn = Callable[[User], str]

ON_THE_EDGE = """(canvas) => {
  const scale = Math.min(canvas.width / 1280, canvas.height / 720);
  const left = (canvas.width - 1280 * scale) / 2, top = (canvas.height - 720 * scale) / 2;
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const at = (x, y) => [...context.getImageData(left + x * scale, top + y * scale, 1, 1).data].slice(0, 3);
  return { edge: at(100, 215), inside: at(120, 207), outside: at(600, 600) };
}"""


def show_frame(camera: Camera, *, groups: int = 1, captured_at: datetime | None = None) -> FrameResult:
    row = record(camera, groups=groups, captured_at=captured_at or utc_now())
    keep_picture(row.frame_key)
    publish.publish_frame(row)
    return row


def judge(row: FrameResult, level: RiskLevel, words: str) -> None:
    row.assessments.update(
        status=AssessmentStatus.DONE,
        risk_level=level,
        risk_type=RiskType.RED_LIGHT,
        risk_types=["red light"],
        description=words,
        confidence=0.9,
    )
    assert close_frames([row.pk], now=utc_now())
    with transaction.atomic():
        changes = apply_verdicts(row)
    publish.publish_verdict(FrameResult.objects.get(pk=row.pk))
    for change in changes:
        publish.publish_alert(change.alert_id, change.change)


def connected(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#link")).to_have_text("Connected")


def test_operator_signs_in_and_sees_a_frame_with_its_boxes(page: Page, operator: User, camera: Camera) -> None:
    page.goto("/")
    page.get_by_label("User name").fill("operator")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#link")).to_have_text("Connected")
    tile = page.locator(f"[data-camera='{camera.pk}']")
    expect(tile).to_have_attribute("data-live", "waiting")
    show_frame(camera)
    canvas = tile.locator("canvas")
    expect(canvas).to_have_attribute("data-boxes", "2")
    expect(tile).to_have_attribute("data-live", "live")
    colours = canvas.evaluate(ON_THE_EDGE)
    assert colours["inside"] == colours["outside"] == [128, 128, 128]
    assert min(colours["edge"]) > 140


def test_page_that_opens_later_shows_the_last_frame_at_once(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    show_frame(camera)
    sign_in(operator)
    connected(page)
    expect(page.locator("canvas[data-boxes='2']")).to_have_count(1)


def test_verdict_is_shown_when_it_comes(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    sign_in(operator)
    connected(page)
    row = show_frame(camera)
    risk = page.locator(".tile .risk")
    expect(risk).to_have_text("Assessing…")
    judge(row, RiskLevel.MEDIUM, "The truck follows too closely.")
    expect(risk).to_have_text("Medium risk")
    expect(page.locator(".tile .words")).to_have_text("The truck follows too closely.")
    expect(page.locator(".tile")).to_have_attribute("data-risk", "medium")


def test_failed_assessment_is_never_shown_as_safe(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    sign_in(operator)
    connected(page)
    row = show_frame(camera)
    row.assessments.update(status=AssessmentStatus.FAILED)
    assert close_frames([row.pk], now=utc_now())
    publish.publish_verdict(FrameResult.objects.get(pk=row.pk))
    expect(page.locator(".tile .risk")).to_have_text("Assessment failed")
    expect(page.locator(".tile .words")).to_have_text("Not judged; this does not mean safe.")


def test_verdict_that_overtakes_its_frame_is_not_forgotten(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    row = record(camera, captured_at=utc_now())
    keep_picture(row.frame_key)
    failed = FrameResult.objects.get(pk=row.pk)
    failed.status = AssessmentStatus.FAILED
    verdict = compose.assessment_result(failed, [])
    event: MessageReady = {"type": "message.ready", "camera_id": camera.pk, "text": verdict.as_text()}
    publish.send(connect_redis(), camera.pk, event)
    publish.publish_frame(row)
    expect(page.locator(".tile .risk")).to_have_text("Assessment failed")


def close_partly(row: FrameResult, level: RiskLevel, status: AssessmentStatus) -> None:
    """One question answered with `level`, the other never."""
    first, last = row.assessments.order_by("group_index")
    done = {"status": AssessmentStatus.DONE, "risk_level": level, "risk_type": RiskType.OTHER}
    row.assessments.filter(pk=first.pk).update(**done, description="As the model said.")
    row.assessments.filter(pk=last.pk).update(status=AssessmentStatus.EXPIRED)
    FrameResult.objects.filter(pk=row.pk).update(status=status, partial=True, max_risk_level=level, closed_at=utc_now())
    publish.publish_verdict(FrameResult.objects.get(pk=row.pk))


@pytest.mark.parametrize("status", [AssessmentStatus.EXPIRED, AssessmentStatus.DONE])
def test_partly_assessed_frame_is_never_shown_as_safe(
    status: AssessmentStatus, page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    close_partly(show_frame(camera, groups=2), RiskLevel.NONE, status)
    risk = page.locator(".tile .risk")
    expect(risk).to_have_text("Not fully assessed")
    expect(risk).to_have_attribute("data-level", "failed")
    show_frame(camera)
    expect(page.locator("canvas")).to_have_attribute("data-boxes", "2")
    expect(risk).to_have_text("Not fully assessed")


def test_danger_of_a_partly_assessed_frame_is_shown_as_such(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    close_partly(show_frame(camera, groups=2), RiskLevel.MEDIUM, AssessmentStatus.DONE)
    expect(page.locator(".tile .risk")).to_have_text("Medium risk · partly assessed")
    expect(page.locator(".tile")).to_have_attribute("data-risk", "medium")


@pytest.mark.parametrize(
    ("groups", "said"),
    [(1, "Not asked: cooldown"), (0, "Nothing to assess")],
)
def test_frame_that_nothing_is_asked_of_says_why(
    groups: int, said: str, page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    frame = make_frame(camera.pk, groups=groups, captured_at=utc_now())
    show_unasked(frame, gate(frame, GateRules(), Circumstances(lambda: False, lambda: False)))
    sign_in(operator)
    connected(page)
    expect(page.locator(".tile .risk")).to_have_text(said)


def test_assessment_that_is_switched_off_says_so(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    frame = make_frame(camera.pk, captured_at=utc_now())
    show_unasked(frame, gate(frame, GateRules(enabled=False), Circumstances(lambda: True, lambda: True)))
    sign_in(operator)
    connected(page)
    expect(page.locator(".tile .risk")).to_have_text("Not asked: assessment is switched off")


EDGES = """(canvas) => {
  const scale = Math.min(canvas.width / 1280, canvas.height / 720);
  const left = (canvas.width - 1280 * scale) / 2, top = (canvas.height - 720 * scale) / 2, y = top + 200 * scale - 8;
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const brightest = (x1, x2) => Math.max(...context.getImageData(left + x1 * scale, y, (x2 - x1) * scale, 8).data
    .filter((value, place) => place % 4 === 0));
  return [brightest(110, 180), brightest(410, 480)];
}"""
"""How bright the upper edges of the first and the second group are at most; the picture itself is 128."""


def test_group_that_is_left_out_is_drawn_faintly_and_says_why(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    page.evaluate(LABELS)
    frame = make_frame(camera.pk, groups=3, captured_at=utc_now())
    left_out = (Skipped(2, SkipReason.COOLDOWN), Skipped(3, SkipReason.LOW_PRIOR, Prior(0.05)))
    show_unasked(frame, Gated((Question(1, urgent=False),), skipped=left_out))
    tile = page.locator(".tile")
    expect(tile.locator(".unasked")).to_have_text("Not asked: 1 × cooldown · 1 × does not look dangerous")
    expect(tile.locator(".risk")).to_have_text("Assessing…")
    asked, skipped = tile.locator("canvas").evaluate(EDGES)
    assert 128 < skipped < asked - 15
    assert [text for text in page.evaluate("() => window.labels") if not text.startswith("car")] == ["assessing…"]
    for place, said in ((115, "assessing…"), (415, "Not asked: cooldown"), (715, "Not asked: does not look dangerous")):
        point_at(page, place, 215)
        expect(tile.locator("canvas")).to_have_attribute("title", said)
    point_at(page, 600, 600)
    expect(tile.locator("canvas")).to_have_attribute("title", "")


def test_nothing_is_said_of_groups_left_out_where_there_are_none(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    show_frame(camera)
    expect(page.locator("canvas")).to_have_attribute("data-groups", "1")
    expect(page.locator(".unasked")).to_be_hidden()


def point_at(page: Page, x: float, y: float) -> None:
    """Move the mouse to a place of the picture, in pixels of the source."""
    area = page.locator("canvas").bounding_box()
    assert area
    page.mouse.move(area["x"] + x * area["width"] / 1280, area["y"] + y * area["height"] / 720)


def show_unasked(frame: DetectedFrame, gated: Gated) -> None:
    row = record_frame(frame, gated, now=utc_now(), patience=timedelta(seconds=60))
    assert row is not None
    keep_picture(row.frame_key)
    publish.publish_frame(row)


def raise_alert(camera: Camera, level: RiskLevel = RiskLevel.HIGH, **fields: object) -> Alert:
    now = utc_now()
    return Alert.objects.create(
        camera=camera,
        risk_type=RiskType.RED_LIGHT,
        risk_level=level,
        description="A car passes at red.",
        **{"opened_at": now, "last_seen_at": now, **fields},
    )


def test_escalated_alert_is_announced_and_comes_first(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    alert = raise_alert(camera, RiskLevel.LOW, state=AlertState.ACKNOWLEDGED)
    other = raise_alert(camera, RiskLevel.MEDIUM)
    sign_in(operator)
    connected(page)
    order = "(cards) => cards.map((card) => Number(card.dataset.alert))"
    expect(page.locator(".card")).to_have_count(2)
    assert page.locator(".card").evaluate_all(order) == [other.pk, alert.pk]
    Alert.objects.filter(pk=alert.pk).update(risk_level=RiskLevel.HIGH, state=AlertState.OPEN)
    publish.publish_alert(alert.pk, "escalated")
    expect(page.locator("#announcer")).to_have_text("Risk has risen to high at Junction: A car passes at red.")
    expect(page.locator(".card.news .level")).to_have_text("high")
    assert page.locator(".card").evaluate_all(order) == [alert.pk, other.pk]


def test_lost_news_of_an_alert_reach_an_open_wall(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    sign_in(operator)
    connected(page)
    alert = raise_alert(camera, RiskLevel.MEDIUM)
    card = page.locator(".card")
    expect(card.locator(".level")).to_have_text("medium")
    Alert.objects.filter(pk=alert.pk).update(risk_level=RiskLevel.HIGH)
    expect(card.locator(".level")).to_have_text("high")
    expect(page.locator("#announcer")).to_have_text("Risk has risen to high at Junction: A car passes at red.")
    Alert.objects.filter(pk=alert.pk).update(state=AlertState.CLOSED, closed_at=utc_now())
    expect(card).to_have_count(0)
    expect(page.get_by_text("No danger is being reported.")).to_be_visible()


def test_page_that_comes_back_tells_what_was_missed(
    page: Page, operator: User, camera: Camera, sign_in: SignIn, complaints: list[str]
) -> None:
    known = raise_alert(camera, RiskLevel.MEDIUM)
    sign_in(operator)
    connected(page)
    cards = page.locator(".card")
    expect(cards).to_have_count(1)
    expect(page.locator("#announcer")).to_be_empty()
    page.context.set_offline(True)
    page.evaluate("() => fetch('/').catch(() => null)")
    expect(page.locator("#lost")).to_be_visible()
    missed = raise_alert(camera)
    ended = {"state": AlertState.CLOSED, "closed_at": utc_now()}
    Alert.objects.filter(pk__in=[known.pk, missed.pk]).update(**ended)
    opened = raise_alert(camera)
    page.context.set_offline(False)
    expect(page.locator("#announcer")).to_have_text("High risk at Junction: A car passes at red.")
    expect(cards).to_have_count(1)
    expect(cards).to_have_attribute("data-alert", str(opened.pk))
    told = page.locator("#missed")
    expect(told.get_by_role("link")).to_have_text("1 alert came and ended while there was no connection.")
    told.get_by_role("button", name="Seen").click()
    expect(told).to_be_hidden()
    complaints.clear()


def said(kind: str, **data: object) -> str:
    return json.dumps({"type": kind, "data": data})


def acknowledged() -> str:
    return said("connection_ack", serverTime=spell(utc_now()), heartbeatSeconds=30)


def play(page: Page, *connections: list[str]) -> list[str]:
    """Say this over each connection of the wall and close it, over the last one again and again; what they ask for."""
    asked: list[str] = []

    def answer(socket: WebSocketRoute) -> None:
        asked.append(socket.url)
        for each in connections[min(len(asked), len(connections)) - 1]:
            socket.send(each)
        socket.close(code=4503)

    page.route_web_socket(re.compile("/ws"), answer)
    return asked


def test_refusals_do_not_move_the_moment_from_which_on_a_page_asks_for_what_it_missed(
    page: Page, operator: User, camera: Camera, sign_in: SignIn, complaints: list[str]
) -> None:
    refused = said("error", code="try_again_later", message="The service is busy; reconnect in a moment.")
    sign_in(operator)
    asked = play(page, [acknowledged(), said("alert_list", alerts=[])], [refused])
    page.goto("/")
    while len(asked) < 3:
        page.wait_for_timeout(100)
    first, second, third = [parse_qs(urlsplit(each).query).get("since") for each in asked[:3]]
    assert (first, third) == (None, second)
    assert second
    complaints.clear()


@pytest.mark.parametrize(("count", "words"), [(99, "99 alerts came"), (100, "100 alerts or more came")])
def test_page_that_missed_as_many_as_are_told_says_that_there_may_be_more(
    page: Page, operator: User, sign_in: SignIn, complaints: list[str], count: int, words: str
) -> None:
    ended = [said("alert", alertId=n, state="closed", change="closed", replayed=True) for n in range(count)]
    sign_in(operator)
    play(page, [acknowledged(), said("alert_list", alerts=[])], [acknowledged(), *ended, said("alert_list", alerts=[])])
    page.goto("/")
    told = f"{words} and ended while there was no connection."
    expect(page.locator("#missed").get_by_role("link")).to_have_text(told)
    complaints.clear()


def test_camera_of_which_frames_come_is_not_called_stopped(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    Camera.objects.filter(pk=camera.pk).update(state=StreamState.STOPPED, state_since=utc_now() - timedelta(minutes=1))
    sign_in(operator)
    connected(page)
    expect(page.locator(".tile .badge")).to_have_text("stopped")
    show_frame(camera)
    expect(page.locator(".tile .badge")).to_have_text("live")
    publish.publish_stream_stopped(camera.pk, "")
    expect(page.locator(".tile .badge")).to_have_text("stopped")


def test_kind_of_an_alert_is_said_in_the_pages_words(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    raise_alert(camera, risk_types=["the model's own words"])
    sign_in(operator)
    connected(page)
    expect(page.locator(".card-type")).to_have_text("running a red light")


TOPS = "(tiles) => tiles.map((tile) => Math.round(tile.getBoundingClientRect().top))"


@pytest.mark.parametrize(("cameras", "rows"), [(1, [1]), (4, [2, 2]), (5, [3, 2]), (8, [4, 4])])
def test_no_camera_is_left_alone_in_the_last_row(
    cameras: int, rows: list[int], page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    for number in range(cameras - 1):
        make_camera(name=f"Filler {number}", group=operator.camera_groups.get())
    sign_in(operator)
    page.set_viewport_size({"width": 1440, "height": 1080})
    connected(page)
    tops = page.locator(".tile").evaluate_all(TOPS)
    assert [tops.count(top) for top in sorted(set(tops))] == rows
    assert page.evaluate("() => document.documentElement.scrollHeight") == 1080
    page.set_viewport_size({"width": 390, "height": 844})
    assert len(set(page.locator(".tile").evaluate_all(TOPS))) == cameras


def test_browsers_find_the_icon_where_they_look_for_it(page: Page) -> None:
    answer = page.request.get("/favicon.ico")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")


def test_alert_appears_and_is_acknowledged(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    sign_in(operator)
    connected(page)
    expect(page.get_by_text("No danger is being reported.")).to_be_visible()
    judge(show_frame(camera), RiskLevel.HIGH, "A car passes at red.")
    card = page.locator(".card")
    expect(card.locator(".level")).to_have_text("high")
    expect(card.locator(".card-words")).to_have_text("A car passes at red.")
    expect(page.locator("#announcer")).to_have_text("High risk at Junction: A car passes at red.")
    card.get_by_role("button", name="Acknowledge").click()
    expect(card).to_have_attribute("data-state", "acknowledged")
    expect(card.locator(".card-state")).to_contain_text("seen by operator")
    assert Alert.objects.get().state == AlertState.ACKNOWLEDGED


def test_viewer_is_not_offered_to_acknowledge(page: Page, camera: Camera, sign_in: SignIn) -> None:
    sign_in(make_user(Role.VIEWER))
    connected(page)
    judge(show_frame(camera), RiskLevel.HIGH, "A car passes at red.")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)


def test_old_picture_is_never_shown_as_live(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    show_frame(camera, captured_at=utc_now() - timedelta(seconds=30))
    sign_in(operator)
    connected(page)
    tile = page.locator(".tile")
    expect(tile).to_have_attribute("data-live", "stale")
    expect(tile.locator(".badge")).to_contain_text("stale since")
    expect(tile.locator(".age")).to_have_text(re.compile(r"^[34]\d s ago$"))
    assert (
        tile.locator("canvas").evaluate("(canvas) => getComputedStyle(canvas).filter")
        == "grayscale(1) brightness(0.55)"
    )


def test_camera_that_goes_down_says_so(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    sign_in(operator)
    connected(page)
    Camera.objects.filter(pk=camera.pk).update(
        state=StreamState.OFFLINE, state_since=utc_now(), last_error="No route to the camera."
    )
    publish.publish_camera_status(camera.pk)
    expect(page.locator(".tile .badge")).to_contain_text("offline since")
    expect(page.locator(".tile .picture-note")).to_have_text("No route to the camera.")


def test_times_are_those_of_the_installation(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    since = utc_now() - timedelta(minutes=5)
    Camera.objects.filter(pk=camera.pk).update(state=StreamState.OFFLINE, state_since=since)
    sign_in(operator)
    connected(page)
    day = "" if since.date() == utc_now().date() else f"{since:%Y-%m-%d} "
    expect(page.locator(".tile .badge")).to_have_text(f"offline since {day}{since:%H:%M:%S}")


def test_camera_given_to_the_user_appears_without_reloading(page: Page, operator: User, sign_in: SignIn) -> None:
    sign_in(operator)
    connected(page)
    expect(page.get_by_text("No camera to show yet")).to_be_visible()
    make_camera(name="New bridge", group=operator.camera_groups.get())
    expect(page.locator(".tile-name")).to_have_text("New bridge")
    expect(page.get_by_text("No camera to show yet")).to_be_hidden()


def test_ended_session_leads_to_the_sign_in_page(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    sign_in(operator)
    connected(page)
    User.objects.filter(pk=operator.pk).update(is_active=False)
    expect(page).to_have_url(re.compile(r"/login/\?next=%2F$"))


def test_lost_connection_is_said_and_comes_back(
    page: Page, operator: User, camera: Camera, sign_in: SignIn, server: Server, complaints: list[str]
) -> None:
    sign_in(operator)
    connected(page)
    show_frame(camera)
    expect(page.locator(".tile")).to_have_attribute("data-live", "live")
    page.context.set_offline(True)
    page.evaluate("() => fetch('/').catch(() => null)")
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator(".tile .badge")).to_have_text("not connected")
    page.context.set_offline(False)
    expect(page.locator("#link")).to_have_text("Connected")
    expect(page.locator("#lost")).to_be_hidden()
    complaints.clear()


def test_tile_out_of_sight_is_drawn_when_it_is_scrolled_to(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    group = operator.camera_groups.get()
    for number in range(20):
        make_camera(name=f"Filler {number:02}", group=group)
    last = make_camera(name="Zebra crossing", group=group)
    sign_in(operator)
    connected(page)
    canvas = page.locator(f"[data-camera='{last.pk}'] canvas")
    show_frame(camera)
    show_frame(last)
    expect(page.locator(f"[data-camera='{last.pk}']")).to_have_attribute("data-live", "live")
    expect(canvas).not_to_have_attribute("data-boxes", "2")
    canvas.scroll_into_view_if_needed()
    expect(canvas).to_have_attribute("data-boxes", "2")


def test_tiles_and_alerts_are_reached_by_keyboard(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    sign_in(operator)
    connected(page)
    judge(show_frame(camera), RiskLevel.HIGH, "A car passes at red.")
    expect(page.locator(".card")).to_have_count(1)
    reached = []
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.textContent.trim().slice(0, 20)"))
    assert {"Skip to the content", "Wall", "Alerts", "Sign out", "Acknowledge", "Enlarge"} <= set(reached)


def test_arrow_keys_go_from_camera_to_camera_enter_opens_and_escape_comes_back(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    group = operator.camera_groups.get()
    for name in ("K", "L", "M"):
        make_camera(name=name, group=group)
    sign_in(operator)
    connected(page)

    def reached(key: str) -> str:
        page.keyboard.press(key)
        return str(page.evaluate("() => document.activeElement.textContent.trim()"))

    until = time.monotonic() + 60  # the keys are listened to a moment after the connection is there
    while reached("ArrowDown") != "Junction" and time.monotonic() < until:
        page.wait_for_timeout(50)
    keys = ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp")
    assert [reached(key) for key in keys] == ["K", "M", "L", "Junction", "Junction"]
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/cameras/{camera.pk}/$"))
    expect(page.locator("#link")).to_have_text("Connected")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"[0-9]/$"))


FULL_SCREENS = """() => {
  window.filled = 0;
  Element.prototype.requestFullscreen = async () => { window.filled += 1; };
}"""


def test_letters_are_keys_only_where_the_wall_or_the_picture_has_the_focus(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    page.evaluate(FULL_SCREENS)
    page.get_by_role("link", name="Alerts", exact=True).focus()
    page.keyboard.press("f")
    page.locator(".tile-name a").focus()
    page.keyboard.press("f")
    assert page.evaluate("() => window.filled") == 1
    page.goto(f"/cameras/{camera.pk}/")
    expect(page.locator("#link")).to_have_text("Connected")
    page.evaluate(FULL_SCREENS)
    page.keyboard.press("f")
    page.locator("#full-screen").focus()
    page.keyboard.press("f")
    page.keyboard.press("Escape")
    page.locator("#live .picture").click()
    page.keyboard.press("f")
    assert page.evaluate("() => window.filled") == 1
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"[0-9]/$"))


def test_layout_shows_its_cameras_and_the_alerts_of_all(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    other = make_camera(name="Tunnel", group=operator.camera_groups.get())
    sign_in(operator)
    connected(page)
    page.get_by_text("Arrange").click()
    page.get_by_label("Name", exact=True).fill("Night")
    page.get_by_label("Columns").select_option("3")
    page.get_by_role("checkbox", name="Tunnel").uncheck()
    page.get_by_role("button", name="Keep this layout").click()
    expect(page.get_by_role("link", name="Night")).to_have_attribute("aria-current", "true")
    expect(page.locator("#link")).to_have_text("Connected")
    expect(page.locator(".tile")).to_have_count(1)
    judge(show_frame(other), RiskLevel.HIGH, "A car passes at red.")
    expect(page.locator(".card")).to_contain_text("Tunnel")
    show_frame(camera)
    expect(page.locator("canvas")).to_have_attribute("data-boxes", "2")


HIDE = """(state) => {
  Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_hidden_page_is_sent_no_frames_and_has_the_newest_when_it_is_seen_again(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    received: list[str | bytes] = []

    def note(message: str | bytes) -> None:
        received.append(message)

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    connected(page)
    page.evaluate(HIDE, "hidden")
    # What was sent before is on its way.
    page.wait_for_timeout(1_500)
    received.clear()
    show_frame(camera)
    page.wait_for_timeout(1_500)
    assert [
        each for each in received if b"detection_result" in (each if isinstance(each, bytes) else each.encode())
    ] == []
    page.evaluate(HIDE, "visible")
    expect(page.locator("canvas")).to_have_attribute("data-boxes", "2")


def test_publishing_from_many_threads_reaches_the_browser(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    rows = [record(camera, captured_at=utc_now() + timedelta(milliseconds=n)) for n in range(8)]
    for row in rows:
        keep_picture(row.frame_key)

    def publish_one(row: FrameResult) -> None:
        publish.publish_frame(row)
        connections.close_all()

    threads = [threading.Thread(target=publish_one, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = rows[-1].captured_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    expect(page.locator("canvas")).to_have_attribute("data-frame", newest)


LABELS = """() => {
  window.labels = [];
  const fill = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    window.labels.push(text);
    return fill.call(this, text, ...rest);
  };
}"""


def labels_of_next_frame(page: Page, camera: Camera) -> list[str]:
    """What is written over the picture of a frame that has no verdict of its own yet."""
    page.evaluate("() => { window.labels = []; }")
    row = show_frame(camera)
    moment = row.captured_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    expect(page.locator("canvas")).to_have_attribute("data-frame", moment)
    written: list[str] = page.evaluate("() => window.labels")
    return [text for text in written if not text.startswith("car")]


def test_danger_stays_marked_on_newer_frames_until_judged_otherwise(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    page.evaluate(LABELS)
    assert labels_of_next_frame(page, camera) == ["assessing…"]
    judge(FrameResult.objects.latest("captured_at"), RiskLevel.HIGH, "A car passes at red.")
    expect(page.locator(".tile")).to_have_attribute("data-risk", "high")
    assert labels_of_next_frame(page, camera) == ["High risk · red light"]
    judge(FrameResult.objects.latest("captured_at"), RiskLevel.NONE, "Nothing.")
    expect(page.locator(".tile")).to_have_attribute("data-risk", "none")
    assert labels_of_next_frame(page, camera) == ["assessing…"]


def test_wall_is_sent_small_pictures_and_who_enlarges_a_camera_its_own(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    widths: list[int] = []

    def note(message: str | bytes) -> None:
        if isinstance(message, bytes):
            widths.append(read_size(message[4 + int.from_bytes(message[:4], "big") :])[0])

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    make_camera(name="Bridge", group=camera.group)
    sign_in(operator)
    connected(page)
    show_frame(camera)
    expect(page.locator("canvas[data-boxes='2']")).to_have_count(1)
    assert set(widths) == {640}
    page.locator(f"[data-camera='{camera.pk}'] .enlarge").click()
    for _look in range(100):
        if 1280 in widths:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"no picture came as it was captured: {widths}")
