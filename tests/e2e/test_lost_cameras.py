"""What the wall and the alert pages say of lost cameras."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from assessment.alerts import AlertChange
from assessment.camera_lost import close_found, open_lost
from assessment.models import Alert
from assessment.risk import RiskLevel, RiskType
from cameras.health import record_state
from cameras.models import Camera, CameraGroup, StreamState, Wanted
from tests.e2e.test_wall import connected, show_frame
from tests.factories import make_camera
from trafficmon.accounts.models import User
from trafficmon.core.clock import utc_now
from trafficmon.live import publish

pytestmark = pytest.mark.e2e

SignIn = Callable[[User], str]
GRACE = timedelta(seconds=30)
PICTURES = os.environ.get("TRAFFICMON_SCREENSHOTS")
"""A folder, where somebody wants to look at the pages."""


def keep_screenshot(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES, f"{name}.png"), full_page=True)


def lose(camera: Camera, *, seconds: float = 95, error: str = "The camera did not answer in time.") -> None:
    since = utc_now() - timedelta(seconds=seconds)
    seen = {"wanted": Wanted.RUNNING, "state": StreamState.OFFLINE, "state_since": since, "last_error": error}
    Camera.objects.filter(pk=camera.pk).update(**seen)
    publish.publish_camera_status(camera.pk)


def look() -> None:
    """What one sweep does about lost cameras."""
    tell([*close_found(now=utc_now()), *open_lost(now=utc_now(), grace=GRACE)])


def tell(changes: list[AlertChange]) -> None:
    for change in changes:
        publish.publish_alert(change.alert_id, change.change)


def cameras_of_the_streets(count: int) -> list[Camera]:
    group, _created = CameraGroup.objects.get_or_create(name="Streets")
    return [make_camera(name=f"Street {number:02}", group=group) for number in range(1, count + 1)]


def raise_danger(camera: Camera) -> None:
    now = utc_now()
    alert = Alert.objects.create(
        camera=camera,
        risk_type=RiskType.RED_LIGHT,
        risk_level=RiskLevel.HIGH,
        description="A car passes at red while people cross.",
        opened_at=now,
        last_seen_at=now,
    )
    publish.publish_alert(alert.pk, "opened")


def test_lost_camera_is_announced_acknowledged_and_gone_when_it_is_back(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    lose(camera)
    look()
    card = page.locator(".card")
    expect(card.locator(".level")).to_have_text("lost")
    expect(card.locator(".card-type")).to_have_text("Junction")
    expect(card.locator(".card-words")).to_have_text("The camera did not answer in time.")
    expect(page.locator("#announcer")).to_have_text("Camera lost: Junction. The camera did not answer in time.")
    expect(card.locator(".fuse")).to_be_hidden()
    keep_screenshot(page, "wall-one-lost")
    card.get_by_role("button", name="Acknowledge").click()
    expect(card.locator(".card-state")).to_have_text("seen by operator")
    record_state(camera.pk, StreamState.ONLINE, now=utc_now())
    look()
    expect(card).to_have_count(0)


def test_many_lost_cameras_share_one_card_behind_the_dangers(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    lost = cameras_of_the_streets(12)
    sign_in(operator)
    connected(page)
    show_frame(camera)
    raise_danger(camera)
    for each in lost:
        lose(each)
    look()
    cards = page.locator(".card")
    expect(cards).to_have_count(2)
    expect(page.locator("#alert-count")).to_have_text("13")
    expect(cards.nth(0).locator(".level")).to_have_text("high")
    expect(cards.nth(1).locator(".card-type")).to_have_text("12 cameras lost")
    names = ", ".join(f"Street {number:02}" for number in range(1, 7))
    expect(cards.nth(1).locator(".card-words")).to_have_text(f"{names} and 6 more")
    expect(cards.nth(1).locator(".card-state")).to_have_text("12 not acknowledged")
    keep_screenshot(page, "wall-many-lost")
    for each in lost[3:]:
        record_state(each.pk, StreamState.ONLINE, now=utc_now())
    look()
    expect(cards).to_have_count(4)


def test_card_of_many_lost_cameras_leads_to_their_list(page: Page, operator: User, sign_in: SignIn) -> None:
    for each in cameras_of_the_streets(5):
        lose(each)
    look()
    sign_in(operator)
    connected(page)
    page.locator(".card a").click()
    expect(page.get_by_label("Kind")).to_have_value("camera_lost")
    expect(page.locator(".row")).to_have_count(5)


def test_pages_say_how_long_a_camera_was_gone(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    [other] = cameras_of_the_streets(1)
    for each in (camera, other):
        lose(each)
    look()
    raise_danger(camera)
    record_state(other.pk, StreamState.ONLINE, now=utc_now())
    tell(close_found(now=Alert.objects.get(camera=other).opened_at + timedelta(seconds=95)))
    sign_in(operator)
    page.goto("/alerts/")
    back = page.locator(".row", has_text="Street 01")
    expect(back.locator(".row-words")).to_have_text("The camera did not answer in time. Back after 1 min 35 s.")
    keep_screenshot(page, "alerts")
    page.locator(".row", has_text="camera lost").filter(has_text="Junction").get_by_role("link").last.click()
    expect(page.locator("h1")).to_have_text("lost Junction")
    expect(page.get_by_text("that no danger is reported does not mean that there is none")).to_be_visible()
    keep_screenshot(page, "alert-lost")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("by operator at")).to_be_visible()
