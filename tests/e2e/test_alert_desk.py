"""The alert list, the page of one alert and the groups without one, in a real browser."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from assessment.evidence import Pictures, keep_evidence
from assessment.models import Alert, AlertEvent, AlertJudgement, Assessment, EventKind, FrameResult
from assessment.risk import RiskType
from cameras.models import Camera
from tests.e2e.conftest import make_user
from tests.factories import record
from trafficmon.accounts.models import AuditEntry, User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.core.geometry import Box

pytestmark = pytest.mark.e2e

SignIn = Callable[[User], str]


def picture(shade: int, *, width: int = 1280) -> bytes:
    """A plain picture with a car where the factories put one, some pixels further left the darker it is."""
    canvas = np.full((720, 1280, 3), shade, np.uint8)
    cv2.rectangle(canvas, (shade, 200), (shade + 90, 230), (40, 40, 200), cv2.FILLED)
    return cv2.imencode(".jpg", cv2.resize(canvas, (width, width * 720 // 1280)))[1].tobytes()


def raise_alert(camera: Camera, *, level: str = "high", minutes_ago: float = 1, evidence: bool = False) -> Alert:
    at = utc_now() - timedelta(minutes=minutes_ago)
    row = record(camera, captured_at=at)
    asked = Assessment.objects.get(frame_result=row)
    verdict = {"risk_type": "red_light", "risk_level": level, "description": "The silver car passes at red."}
    told = {"llm_model": "qwen-vl-plus", "prompt_version": "default-v3/en", "llm_seconds": 1.42, "confidence": 0.91}
    how = {
        "prior": 0.62,
        "prior_reason": "near_vehicle",
        "trigger_object_ids": [1],
        "raw_text": '{"riskLevel": "high"}',
    }
    Assessment.objects.filter(pk=asked.pk).update(
        status="done", ended_at=at + timedelta(seconds=2.1), risk_types=["red light"], **verdict, **told, **how
    )
    if evidence:
        crop = Box(88, 188, 202, 242)
        keep_evidence(
            asked.pk, Pictures(picture(100), (1280, 720), crop, (picture(60, width=640), picture(80, width=640)))
        )
    alert = Alert.objects.create(
        camera=camera,
        assessment=asked,
        opened_at=at,
        last_seen_at=at,
        risk_types=["red light"],
        place=[100, 200, 190, 230],
        risk_type=RiskType.RED_LIGHT,
        risk_level=level,
        description=verdict["description"],
    )
    AlertEvent.objects.create(alert=alert, kind=EventKind.OPENED, at=at, assessment=asked, risk_level=level)
    return alert


def shown(page: Page) -> Any:
    return page.locator(".alerts > .row")


def scroll_until_shown(page: Page, count: int) -> None:
    """Scroll as long as there is more to come."""
    for _turn in range(200):
        if shown(page).count() >= count:
            break
        page.mouse.wheel(0, 9000)
        page.wait_for_timeout(150)
    expect(shown(page)).to_have_count(count)


def test_list_grows_as_it_is_scrolled_and_keeps_its_filters(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    for number in range(60):
        raise_alert(camera, minutes_ago=number)
    raise_alert(camera, level="medium", minutes_ago=30.5)
    sign_in(operator)
    page.goto("/alerts/")
    page.get_by_label("Level").select_option("high")
    page.wait_for_url("**/alerts/?level=high")
    scroll_until_shown(page, 60)
    expect(page.locator("[data-part=more]")).to_have_count(0)
    assert page.locator(".row .level").all_inner_texts().count("MEDIUM") == 0
    page.reload()
    expect(page.get_by_label("Level")).to_have_value("high")
    page.locator(".row-link").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".row-link").nth(1)).to_be_focused()


def test_bar_of_the_timeline_shows_its_hour(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    raise_alert(camera, minutes_ago=1)
    raise_alert(camera, minutes_ago=300)
    sign_in(operator)
    page.goto("/alerts/")
    expect(page.locator(".timeline a")).to_have_count(2)
    page.locator(".timeline a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/?since=*")
    expect(shown(page)).to_have_count(1)


def test_operator_acknowledges_and_assigns_many_at_once(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    alerts = [raise_alert(camera, minutes_ago=number) for number in range(5)]
    sign_in(operator)
    page.goto("/alerts/")
    bulk = page.locator("#bulk")
    expect(bulk.get_by_role("button", name="Acknowledge")).to_be_hidden()
    boxes = page.locator(".choose input")
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(bulk).to_contain_text("With 3 selected:")
    bulk.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status").first).to_have_text("Done with 3 alerts.")
    page.get_by_label("Select all that are shown").click()
    bulk.get_by_role("button", name="Assign").click()
    expect(page.get_by_role("status").first).to_have_text("Done with 5 alerts.")
    assert Alert.objects.filter(assigned_to=operator).count() == 5
    assert set(Alert.objects.filter(state="acknowledged")) == set(alerts[:3])
    expect(bulk.get_by_role("button", name="Export as ZIP")).to_have_count(0)


def test_one_is_acknowledged_without_leaving_the_place(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    alerts = [raise_alert(camera, minutes_ago=number) for number in range(30)]
    sign_in(operator)
    page.goto("/alerts/")
    scroll_until_shown(page, 30)
    row = page.locator(f"#alert-{alerts[28].pk}")
    row.get_by_role("button", name="Acknowledge").click()
    expect(row.locator(".row-state")).to_contain_text("acknowledged by operator")
    expect(row.get_by_role("button")).to_have_count(0)
    expect(shown(page)).to_have_count(30)
    assert Alert.objects.get(state="acknowledged") == alerts[28]


def test_alert_is_explained_and_its_burst_plays(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    alert = raise_alert(camera, evidence=True)
    sign_in(operator)
    page.goto(f"/alerts/{alert.pk}/")
    expect(page.locator("[data-part=which]")).to_have_text("Picture 1 of 3")
    expect(page.locator("[data-part=which]")).to_have_text("Picture 3 of 3")
    zoom = page.locator("[data-part=zoom]")
    expect(zoom).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.locator("[data-part=marks]")).to_be_visible()
    middle = zoom.evaluate("(canvas) => [...canvas.getContext('2d').getImageData(320, 80, 1, 1).data].slice(0, 3)")
    assert middle[0] > 150
    assert middle[1] < 90
    for words in (
        "The silver car passes at red.",
        "default-v3/en",
        "1.42 s",
        "2.10 s",
        "vehicles are close to each other",
    ):
        expect(page.locator("main")).to_contain_text(words)


def test_who_wants_less_motion_gets_a_burst_at_rest(
    page: Page, operator: User, camera: Camera, sign_in: SignIn
) -> None:
    page.emulate_media(reduced_motion="reduce")
    alert = raise_alert(camera, evidence=True)
    sign_in(operator)
    page.goto(f"/alerts/{alert.pk}/")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.locator("[data-part=which]")).to_have_text("Picture 3 of 3")


def test_operator_comments_and_may_not_judge(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    alert = raise_alert(camera)
    sign_in(operator)
    page.goto(f"/alerts/{alert.pk}/")
    page.get_by_label("Comment").fill("Police are told.")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".events q")).to_have_text("Police are told.")
    expect(page.get_by_role("heading", name="Was it right?")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)


def test_supervisor_judges_by_keyboard_with_levels_that_fit(page: Page, camera: Camera, sign_in: SignIn) -> None:
    alert = raise_alert(camera)
    sign_in(make_user(Role.SUPERVISOR))
    page.goto(f"/alerts/{alert.pk}/")
    page.get_by_role("radio", name="false").focus()
    page.keyboard.press("Space")
    levels = page.get_by_label("Right level")
    expect(levels.locator("option[value=high]")).to_be_disabled()
    levels.select_option("low")
    page.get_by_role("button", name="Judge", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".judgement .judged-as")).to_have_text("false")
    assert list(AlertJudgement.objects.values_list("truth", "right_level")) == [("false", "low")]
    assert AuditEntry.objects.filter(action="alert.judge", object_id=str(alert.pk)).count() == 1


def test_supervisor_exports_a_selection(
    page: Page, camera: Camera, sign_in: SignIn, tmp_path: Path, context: BrowserContext
) -> None:
    kept = [raise_alert(camera, minutes_ago=number) for number in range(3)]
    sign_in(make_user(Role.SUPERVISOR))
    page.goto("/alerts/")
    page.locator(".choose input").nth(0).click()
    page.locator(".choose input").nth(1).click()
    with page.expect_download() as begun:
        page.get_by_role("button", name="Export as ZIP").click()
    begun.value.save_as(tmp_path / "alerts.zip")
    names = zipfile.ZipFile(tmp_path / "alerts.zip").namelist()
    assert sorted(names) == sorted(f"alert-{alert.pk}/alert.json" for alert in kept[:2])


def test_viewer_sees_all_and_can_change_nothing(page: Page, camera: Camera, sign_in: SignIn) -> None:
    alert = raise_alert(camera)
    sign_in(make_user(Role.VIEWER))
    for path in ("/alerts/", f"/alerts/{alert.pk}/", "/groups/"):
        page.goto(path)
        expect(page.locator("main form[method=post]")).to_have_count(0)
        expect(page.locator(".choose")).to_have_count(0)


def test_groups_without_an_alert_say_why(page: Page, operator: User, camera: Camera, sign_in: SignIn) -> None:
    record(camera).assessments.update(status="failed", reason="timeout")
    for number in range(70):
        row = record(camera, captured_at=utc_now() - timedelta(seconds=number))
        row.assessments.all().delete()
    FrameResult.objects.filter(assessments=None).update(skipped_groups=[[1, "low_prior", 0.05, "near_vehicle"]])
    sign_in(operator)
    page.goto("/")
    page.get_by_role("link", name="Not alerted").click()
    expect(shown(page)).to_contain_text("failed: the model took too long")
    page.get_by_role("link", name="Not asked about").click()
    expect(shown(page).first).to_contain_text("it does not look dangerous enough")
    scroll_until_shown(page, 70)


@pytest.mark.parametrize("path", ["/alerts/", "/alerts/?level=high", "/groups/?kind=left_out", "one"])
def test_pages_fit_a_phone(page: Page, camera: Camera, sign_in: SignIn, path: str) -> None:
    alert = raise_alert(camera, evidence=True)
    row = record(camera)
    FrameResult.objects.filter(pk=row.pk).update(skipped_groups=[[1, "low_prior", 0.05, "near_vehicle"]])
    sign_in(make_user(Role.SUPERVISOR))
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"/alerts/{alert.pk}/" if path == "one" else path)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
