"""The page of one camera in a real browser: live, switches, and zones drawn by mouse, touch and keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from assessment.risk import RiskLevel
from cameras.models import Camera, CountingLine, Zone
from tests.e2e.conftest import Server, make_user
from tests.e2e.test_wall import SignIn, judge, show_frame
from trafficmon.accounts.models import AuditEntry, User
from trafficmon.accounts.roles import Role

pytestmark = pytest.mark.e2e

SQUARE = [[0.2, 0.2], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]]


@pytest.fixture
def administrator(sign_in: SignIn) -> User:
    user = make_user(Role.ADMINISTRATOR)
    sign_in(user)
    return user


def opened(page: Page, camera: Camera) -> None:
    page.goto(f"/cameras/{camera.pk}/")
    expect(page.locator("#link")).to_have_text("Connected")


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a place of the picture, in shares, is on the screen."""
    box = page.locator("#stage").bounding_box()
    assert box
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def click(page: Page, *places: tuple[float, float]) -> None:
    for place in places:
        page.mouse.click(*at(page, *place))


def draw(page: Page, tool: str, *places: tuple[float, float]) -> None:
    page.get_by_role("button", name=tool).click()
    page.locator("#stage").scroll_into_view_if_needed()
    click(page, *places)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def saved(page: Page) -> None:
    save(page)
    expect(page.locator("#editor-said")).to_have_text("Saved.")
    expect(page.locator("#unsaved")).to_be_hidden()


def rounded(points: list[list[float]]) -> list[list[float]]:
    return [[round(each, 2) for each in point] for point in points]


def test_live_picture_and_its_verdict_are_shown_as_on_the_wall(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    page.goto("/")
    page.get_by_role("link", name="Junction").click()
    expect(page.locator("#link")).to_have_text("Connected")
    row = show_frame(camera)
    expect(page.locator("canvas")).to_have_attribute("data-boxes", "2")
    judge(row, RiskLevel.MEDIUM, "The truck follows too closely.")
    expect(page.locator(".tile .risk")).to_have_text("Medium risk")
    expect(page.locator("#stage image")).to_have_count(1)


def test_other_cameras_are_not_sent(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    other = Camera.objects.create(name="Elsewhere", group=camera.group, source="street://junction?seed=9")
    sign_in(operator)
    received: list[str | bytes] = []

    def note(message: str | bytes) -> None:
        received.append(message)

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    opened(page, camera)
    show_frame(other)
    show_frame(camera)
    expect(page.locator("canvas")).to_have_attribute("data-boxes", "2")
    assert [each for each in received if isinstance(each, bytes) and f'"cameraId":{other.pk}'.encode() in each] == []


def test_zone_is_drawn_with_the_mouse(page: Page, administrator: User, camera: Camera) -> None:
    show_frame(camera)
    opened(page, camera)
    expect(page.locator("#stage image")).to_have_count(1)
    draw(page, "+ Lane", (0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6), (0.2, 0.2))
    page.get_by_label("Name").fill("Northbound")
    page.get_by_label("Direction, degrees").fill("270")
    page.get_by_label("car", exact=True).check()
    saved(page)
    zone = Zone.objects.get()
    assert (zone.name, zone.kind, zone.direction_degrees, zone.classes) == ("Northbound", "lane", 270, ["car"])
    assert rounded(zone.polygon) == SQUARE
    entry = AuditEntry.objects.get(action="camera.draw")
    assert (entry.actor_name, entry.detail["added"]) == ("administrator", ["Northbound"])


def test_zone_is_drawn_and_changed_with_the_keyboard_alone(page: Page, administrator: User, camera: Camera) -> None:
    opened(page, camera)
    page.get_by_role("button", name="+ Mask").focus()
    press(page, "Enter")
    press(page, "Space", *["Shift+ArrowRight"] * 4, "Space", *["Shift+ArrowDown"] * 4, "Space")
    press(page, "Shift+ArrowLeft", "Space", "Backspace", "Enter")
    expect(page.locator("#shapes button")).to_have_text(["Mask 1ignore here"])
    press(page, "Enter", "ArrowLeft", "ArrowLeft", "+", "Shift+ArrowUp", "Escape", "ArrowDown")
    page.keyboard.press("Control+z")
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("() => document.activeElement.dataset.do") == "save":
            break
    press(page, "Enter")
    expect(page.locator("#editor-said")).to_have_text("Saved.")
    zone = Zone.objects.get()
    assert (zone.name, zone.kind) == ("Mask 1", "ignore")
    assert zone.polygon == [[0.49, 0.5], [0.595, 0.45], [0.7, 0.5], [0.7, 0.7]]


def test_line_mask_and_calibration_are_drawn(page: Page, administrator: User, camera: Camera) -> None:
    opened(page, camera)
    draw(page, "+ Counting line", (0.2, 0.8), (0.8, 0.8))
    page.get_by_role("button", name="Turn round").click()
    draw(page, "+ Calibration", (0.2, 0.9), (0.8, 0.9), (0.6, 0.3), (0.4, 0.3))
    for place, metres in enumerate([0, 0, 7, 0, 7, 40, 0, 40]):
        page.locator("[name=road]").nth(place).fill(str(metres))
    saved(page)
    assert rounded(CountingLine.objects.get().ends) == [[0.8, 0.8], [0.2, 0.8]]
    camera.refresh_from_db()
    assert camera.calibration is not None
    assert rounded(camera.calibration["picture"]) == [[0.2, 0.9], [0.8, 0.9], [0.6, 0.3], [0.4, 0.3]]
    assert camera.calibration["road"] == [[0, 0], [7, 0], [7, 40], [0, 40]]


@pytest.fixture
def zone(camera: Camera) -> Zone:
    return Zone.objects.create(camera=camera, name="North", kind="lane", polygon=SQUARE, direction_degrees=0)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    page.mouse.move(*at(page, *end))
    page.mouse.up()


def test_corner_shape_and_direction_are_dragged_and_each_drag_undone(
    page: Page, administrator: User, camera: Camera, zone: Zone
) -> None:
    opened(page, camera)
    page.locator("#stage").scroll_into_view_if_needed()
    click(page, (0.3, 0.5))
    drag(page, (0.2, 0.2), (0.1, 0.1))
    drag(page, (0.6, 0.4), (0.7, 0.4))
    drag(page, (0.3, 0.55), (0.35, 0.55))
    corners = [[0.15, 0.1], [0.65, 0.2], [0.75, 0.4], [0.65, 0.6], [0.25, 0.6]]
    saved(page)
    zone.refresh_from_db()
    assert rounded(zone.polygon) == corners
    for _ in range(3):
        page.get_by_role("button", name="Undo").click()
    saved(page)
    zone.refresh_from_db()
    assert zone.polygon == SQUARE


def test_direction_is_turned_with_the_keyboard(page: Page, administrator: User, camera: Camera, zone: Zone) -> None:
    opened(page, camera)
    page.locator("#shapes button").click()
    page.get_by_role("slider", name="Direction of North").focus()
    press(page, "ArrowRight", "Shift+ArrowRight", "Control+ArrowLeft")
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuenow", "49")
    saved(page)
    zone.refresh_from_db()
    assert zone.direction_degrees == 49


def test_deleted_zone_comes_back_with_undo(page: Page, administrator: User, camera: Camera, zone: Zone) -> None:
    opened(page, camera)
    page.locator("#stage [data-focus^='shape:']").focus()
    press(page, "Delete")
    expect(page.locator("#shapes button")).to_have_count(0)
    press(page, "Control+z")
    expect(page.locator("#shapes button")).to_have_count(1)
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()


def expected(complaints: list[str], status: int) -> None:
    """Chromium reports every refusal on its console."""
    wanted = [each for each in complaints if f"status of {status}" in each]
    assert len(wanted) == 1
    complaints.remove(wanted[0])


def test_refused_drawing_says_why_and_loses_nothing(
    page: Page, administrator: User, camera: Camera, zone: Zone, complaints: list[str]
) -> None:
    opened(page, camera)
    draw(page, "+ Zone", (0.7, 0.7), (0.9, 0.7), (0.9, 0.9), (0.7, 0.7))
    page.get_by_label("Name").fill("North")
    save(page)
    expect(page.locator("#refusal")).to_contain_text("Nothing is saved yet: please mend what is marked.")
    expect(page.locator("#shape-form .problem")).to_have_text("Another one has this name, too.")
    expect(page.get_by_label("Name")).to_be_focused()
    expected(complaints, 422)
    page.get_by_label("Name").fill("South")
    saved(page)
    expect(page.locator("#refusal")).to_be_hidden()
    assert [each.name for each in Zone.objects.order_by("name")] == ["North", "South"]


def test_change_of_somebody_else_is_not_overwritten(
    page: Page, administrator: User, camera: Camera, zone: Zone, complaints: list[str]
) -> None:
    opened(page, camera)
    page.locator("#shapes button").click()
    page.get_by_label("Name").fill("Mine")
    Zone.objects.filter(pk=zone.pk).update(name="Theirs")
    save(page)
    expect(page.locator("#refusal")).to_contain_text("Somebody has changed this drawing since you began.")
    assert Zone.objects.get().name == "Theirs"
    expected(complaints, 409)
    page.get_by_role("button", name="Show their drawing").click()
    expect(page.locator("#shapes button")).to_have_text(["Theirslane with a direction"])
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#shapes button")).to_have_text(["Minelane with a direction"])
    saved(page)
    assert [(each.pk, each.name) for each in Zone.objects.all()] == [(zone.pk, "Mine")]


def test_drawing_outlives_the_page(page: Page, administrator: User, camera: Camera, zone: Zone) -> None:
    opened(page, camera)
    page.locator("#shapes button").click()
    page.get_by_label("Name").fill("Not saved")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("#shapes button")).to_have_text(["Not savedlane with a direction"])
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#shapes button")).to_have_text(["Northlane with a direction"])
    expect(page.locator("#unsaved")).to_be_hidden()


def test_supervisor_switches_assessment_and_cannot_draw(
    page: Page, camera: Camera, zone: Zone, sign_in: SignIn
) -> None:
    sign_in(make_user(Role.SUPERVISOR))
    opened(page, camera)
    switch = page.get_by_role("switch", name="Assessment")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    camera.refresh_from_db()
    assert (camera.assessment_enabled, camera.detection_enabled) == (False, True)
    assert AuditEntry.objects.get(action="camera.switch").detail == {"assessment": False}
    expect(page.locator("#stage .shape")).to_have_count(1)
    expect(page.locator("[data-do=save], [data-add]")).to_have_count(0)


@pytest.fixture
def phone(chromium: Browser, server: Server) -> Iterator[BrowserContext]:
    screen: Any = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "locale": "en-GB"}
    with chromium.new_context(base_url=server.address, **screen) as made:
        yield made


def test_zone_is_drawn_with_a_finger(phone: BrowserContext, server: Server, camera: Camera) -> None:
    client = Client()
    client.force_login(make_user(Role.ADMINISTRATOR))
    phone.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": server.address}])
    page = phone.new_page()
    said: list[str] = []
    page.on("console", lambda each: said.append(each.text) if each.type in {"error", "warning"} else None)
    opened(page, camera)
    page.get_by_role("button", name="+ Zone").tap()
    page.locator("#stage").scroll_into_view_if_needed()
    for place in ((0.2, 0.2), (0.7, 0.2), (0.7, 0.8), (0.2, 0.8), (0.2, 0.2)):
        page.touchscreen.tap(*at(page, *place))
    expect(page.locator("#shapes button")).to_have_count(1)
    page.get_by_role("button", name="Save", exact=True).tap()
    expect(page.locator("#editor-said")).to_have_text("Saved.")
    assert rounded(Zone.objects.get().polygon) == [[0.2, 0.2], [0.7, 0.2], [0.7, 0.8], [0.2, 0.8]]
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert said == []
    page.close()
