"""How well it judges, in a real browser: charts are drawn under the page's own policy, and the table says the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from assessment.miss_rate import wilson_interval
from assessment.models import CameraHour, Truth
from assessment.review import judge_alert, usual_opinion
from cameras.models import Camera
from tests.e2e.conftest import make_user
from tests.e2e.test_alert_desk import raise_alert
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now

pytestmark = pytest.mark.e2e

DRAWN = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value > 0);
}"""


def test_supervisor_reads_how_well_a_camera_was_judged(
    page: Page, camera: Camera, sign_in: Callable[[User], str]
) -> None:
    chief = make_user(Role.SUPERVISOR)
    for number, truth in enumerate(("true", "true", "true", "false")):
        alert = raise_alert(camera, minutes_ago=number / 10)
        judge_alert(alert, usual_opinion(Truth(truth), alert), by=chief, now=utc_now())
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    CameraHour.objects.create(camera=camera, hour=hour, answered=40, failed=2, timed=40, steps={"60": 38, "90": 2})
    sign_in(chief)
    page.set_default_timeout(60_000)
    page.goto("/")
    page.get_by_role("link", name="Judging").click()
    page.get_by_role("link", name="30 days").click()
    page.get_by_label("Camera", exact=True).select_option("Junction")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(f"**/judging/?period=month&*camera={camera.pk}*")
    by_camera = page.locator("#cameras")
    expect(by_camera.get_by_role("img", name="Precision by camera")).to_be_visible()
    expect(page.locator(".card-figure").first).to_have_text("75.0 %")
    assert [page.locator(f"#{key} canvas").evaluate(DRAWN) for key in ("cameras", "latency", "outcomes")] == [True] * 3
    by_camera.get_by_text("Table").click()
    expect(by_camera.get_by_role("row", name="Junction")).to_contain_text("75.0 % 30.1 % 95.4 % 3 1 0")
    with page.expect_download() as download:
        by_camera.get_by_role("link", name="CSV").click()
    low, high = wilson_interval(3, 4)
    assert Path(download.value.path()).read_text().splitlines()[1] == f"Junction,0.75,{low},{high},3,1,0"


def test_charts_follow_the_reader_from_dark_to_light(
    page: Page, camera: Camera, sign_in: Callable[[User], str]
) -> None:
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    CameraHour.objects.create(camera=camera, hour=hour, answered=40)
    sign_in(make_user(Role.SUPERVISOR))
    pictures: list[str] = []
    schemes: tuple[Literal["dark", "light"], ...] = ("dark", "light")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        page.goto("/judging/?period=today") if not pictures else None
        canvas = page.locator("#outcomes canvas")
        expect(canvas).to_be_visible()
        pictures.append(canvas.evaluate("canvas => canvas.toDataURL()"))
    assert pictures[0] != pictures[1]
