"""Every page in every look, by axe-core; and the way of an operator who has a keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from assessment.clients import ModelTimedOut
from assessment.models import Account, Alert, ApiKey, CameraHour, FrameResult, Truth
from assessment.review import judge_alert, usual_opinion
from assessment.risk import RiskLevel
from cameras.models import Camera, Zone
from tests.e2e.accessibility import find_barriers
from tests.e2e.conftest import Server, make_user
from tests.e2e.test_alert_desk import raise_alert
from tests.e2e.test_wall import connected, judge, show_frame
from tests.factories import record, seal
from tests.integration.test_dead_letters import give_up
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now

pytestmark = pytest.mark.e2e

SignIn = Callable[[User], str]


def test_sign_in_page_can_be_read_by_everybody(page: Page) -> None:
    page.goto("/login/?next=/alerts/")
    assert find_barriers(page) == []
    page.get_by_label("User name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert find_barriers(page) == []


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_wall_can_be_read_by_everybody(
    language: str, page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    sign_in(operator)
    page.goto("/")
    if language != "en":
        page.get_by_role("button", name="简体中文").click()
    expect(page.locator("#link")).to_have_attribute("data-state", "connected")
    judge(show_frame(camera), RiskLevel.HIGH, "The car passes at red.")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".tile")).to_have_attribute("data-risk", "high")
    assert find_barriers(page) == []
    page.locator(".arrange summary").click()
    assert find_barriers(page) == []
    page.goto("/?group=0")
    expect(page.locator("#empty")).to_be_visible()
    assert find_barriers(page) == []


def test_alerts_can_be_read_by_everybody(page: Page, camera: Camera, sign_in: SignIn) -> None:
    for level in ("high", "medium", "low"):
        raise_alert(camera, level=level)
    alert = raise_alert(camera, evidence=True)
    lost = raise_alert(camera, level="low")
    Alert.objects.filter(pk=lost.pk).update(kind="camera_lost", assessment=None)
    row = record(camera)
    FrameResult.objects.filter(pk=row.pk).update(skipped_groups=[[1, "low_prior", 0.05, "near_vehicle"]])
    sign_in(make_user(Role.SUPERVISOR))
    page.goto("/alerts/")
    page.locator(".choose input").first.click()
    assert find_barriers(page) == []
    for path in (f"/alerts/{alert.pk}/", f"/alerts/{lost.pk}/", "/groups/", "/groups/?kind=left_out"):
        page.goto(path)
        assert find_barriers(page) == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMINISTRATOR])
def test_camera_can_be_read_by_everybody(role: Role, page: Page, camera: Camera, sign_in: SignIn) -> None:
    square = [[0.2, 0.2], [0.5, 0.2], [0.5, 0.5], [0.2, 0.5]]
    Zone.objects.create(camera=camera, name="Lane 1", kind="lane", polygon=square)
    raise_alert(camera, evidence=True)
    show_frame(camera, captured_at=utc_now() - timedelta(seconds=1))
    sign_in(make_user(role))
    page.goto(f"/cameras/{camera.pk}/")
    expect(page.locator("#link")).to_have_text("Connected")
    page.locator("#shapes button").first.click()
    assert find_barriers(page) == []


def test_figures_can_be_read_by_everybody(page: Page, camera: Camera, sign_in: SignIn) -> None:
    chief = make_user(Role.SUPERVISOR)
    for truth in Truth:
        alert = raise_alert(camera)
        judge_alert(alert, usual_opinion(truth, alert), by=chief, now=utc_now())
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    CameraHour.objects.create(camera=camera, hour=hour, answered=40, failed=2, timed=40, steps={"60": 38, "90": 2})
    sign_in(chief)
    page.goto("/judging/?period=today")
    expect(page.locator("#latency [data-part=canvas]")).to_be_visible()
    page.locator("#cameras summary").click()
    assert find_barriers(page) == []
    page.goto("/judging/?first=2026-05-06&last=2026-05-04")
    expect(page.get_by_role("alert")).to_be_visible()
    assert find_barriers(page) == []


def test_keys_and_system_can_be_read_by_everybody(page: Page, camera: Camera, sign_in: SignIn) -> None:
    account = Account.objects.create(slug="first", requests_per_second=5, daily_budget=10)
    for name, gone in (("one", None), ("two", utc_now())):
        ApiKey.objects.create(
            slug=name, account=account, secret_encrypted=seal(), disabled_at=gone, disabled_reason="leaked"
        )
    give_up(ModelTimedOut("No whole answer."))
    sign_in(make_user(Role.ADMINISTRATOR))
    for path in ("/keys/", "/system/"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for summary in page.locator("main details:not([open]) > summary").all():
            summary.click()
        assert find_barriers(page) == []


ADMIN = ["", "cameras/camera/", "cameras/camera/add/", "assessment/alert/", "accounts/user/", "accounts/apitoken/"]
ADMIN += ["notifications/rule/add/", "notifications/destination/add/", "assessment/linecount/"]


@pytest.mark.parametrize("path", ADMIN)
def test_administration_can_be_read_by_everybody(path: str, page: Page, camera: Camera, sign_in: SignIn) -> None:
    raise_alert(camera)
    sign_in(make_user(Role.ADMINISTRATOR))
    page.goto(f"/admin/{path}")
    assert find_barriers(page) == []


def is_seen(page: Page) -> bool:
    """Whether what has the focus shows that it has.

    The page itself need not, nor a field of which the browser marks the part that has it.
    """
    outline = str(page.evaluate("getComputedStyle(document.activeElement).outline"))
    need_not = page.evaluate("document.activeElement.matches('body, input[type=datetime-local], input[type=date]')")
    return bool(need_not) or ("none" not in outline and not outline.endswith(" 0px"))


def tab_to(page: Page, words: str, *, most: int = 60) -> None:
    """Press Tab until what is so called has the focus, which is seen all the way."""
    passed = []
    for _press in range(most):
        page.keyboard.press("Tab")
        passed.append(str(page.evaluate("document.activeElement.textContent.trim()"))[:60])
        assert is_seen(page), page.evaluate("document.activeElement.outerHTML")
        if passed[-1] == words:
            return
    pytest.fail(f"{words!r} is not reached by Tab, but {passed}")


def test_operator_goes_from_the_wall_to_an_acknowledged_alert_by_keyboard(
    page: Page, server: Server, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    alert = raise_alert(camera, evidence=True)
    sign_in(operator)
    connected(page)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    tab_to(page, "Junction")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/cameras/{camera.pk}/")
    # Keys work once the scripts do.
    expect(page.locator("#link")).to_have_text("Connected")
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{server.address}/")
    expect(page.locator("#link")).to_have_text("Connected")
    tab_to(page, "Alerts")
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/")
    tab_to(page, str(alert.name))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/alerts/{alert.pk}/")
    tab_to(page, "Acknowledge")
    page.keyboard.press("Enter")
    expect(page.locator(".facts .state")).to_have_text("acknowledged")
    assert Alert.objects.get(pk=alert.pk).acknowledged_by == operator
