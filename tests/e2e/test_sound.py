"""The sound of an alert: none before the reader's first click or key, none for who has muted it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from assessment.risk import RiskLevel
from cameras.models import Camera
from tests.e2e.conftest import make_user
from tests.e2e.test_wall import connected, judge, show_frame
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role

pytestmark = pytest.mark.e2e

SignIn = Callable[[User], str]


def sound_of(page: Page) -> Locator:
    return page.get_by_role("button", name="Alert sound")


def test_alert_is_heard_once_the_reader_has_clicked_and_not_when_muted(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    connected(page)
    sound = sound_of(page)
    expect(sound).to_have_attribute("data-state", "waiting")
    expect(sound).to_have_attribute("aria-pressed", "true")
    page.locator("h1, #main").first.click(force=True)
    expect(sound).to_have_attribute("data-state", "on")
    judge(show_frame(camera), RiskLevel.HIGH, "The car passes at red.")
    expect(sound).to_have_attribute("data-played", "1")
    expect(page.locator("#announcer")).to_have_text("High risk at Junction: The car passes at red.")
    sound.click()
    expect(sound).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#sound-said")).to_have_text("Alert sound is muted.")
    judge(show_frame(make_other(camera)), RiskLevel.HIGH, "A pedestrian is nearly hit.")
    expect(page.locator(".card")).to_have_count(2)
    expect(sound).to_have_attribute("data-played", "1")


def make_other(camera: Camera) -> Camera:
    return Camera.objects.create(name="Bridge", source="street://junction?seed=2", group=camera.group)


def test_each_reader_of_a_browser_mutes_for_themselves(page: Page, operator: User, sign_in: SignIn) -> None:
    sign_in(operator)
    connected(page)
    sound_of(page).focus()
    page.keyboard.press("Space")
    expect(sound_of(page)).to_have_attribute("data-state", "muted")
    page.reload()
    expect(sound_of(page)).to_have_attribute("data-state", "muted")
    sign_in(make_user(Role.SUPERVISOR))
    connected(page)
    expect(sound_of(page)).to_have_attribute("aria-pressed", "true")
