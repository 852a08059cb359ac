"""The operator's desk in a real browser: keys, the system, cameras from a file, and the order of the wall."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from assessment.clients import ModelTimedOut
from assessment.models import Account, ApiKey, DeadLetter
from cameras.frames import connect_redis
from cameras.models import Camera, CameraGroup, StreamState, Zone
from tests.e2e.conftest import Server, make_user
from tests.e2e.test_wall import connected, show_frame
from tests.factories import make_camera, seal
from tests.integration.test_dead_letters import give_up
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from workers.health import note_seen
from workers.queues import Queue

pytestmark = pytest.mark.e2e

SignIn = Callable[[User], str]
PATIENCE_MS = 30_000
"""What is fetched anew every few seconds, on a slow machine."""


@pytest.fixture
def chief(sign_in: SignIn) -> User:
    user = make_user(Role.ADMINISTRATOR)
    sign_in(user)
    return user


def test_administrator_takes_a_key_out_and_sees_it_come_back_by_itself(page: Page, chief: User) -> None:
    account = Account.objects.create(slug="acct-a", requests_per_second=5, requests_per_minute=200, daily_budget=10)
    for name in ("key-1", "key-2"):
        ApiKey.objects.create(slug=name, account=account, secret_encrypted=seal())
    page.goto("/keys/")
    row = page.locator("[data-key='key-1']")
    expect(row.locator(".key-state")).to_have_text("available", timeout=PATIENCE_MS)
    row.get_by_role("button", name="Take out").click()
    expect(page.locator("[data-key='key-1'] .key-state")).to_have_text("taken out")
    expect(page.get_by_text("key-1 is taken out of the pool.")).to_be_visible()
    assert ApiKey.objects.get(slug="key-1").disabled_at is not None
    ApiKey.objects.update(disabled_at=None, disabled_reason="")
    expect(page.locator("[data-key='key-1'] .key-state")).to_have_text("available", timeout=PATIENCE_MS)
    assert "sk-of-tests" not in page.content()


def test_supervisor_sends_questions_again_and_drops_others(page: Page, sign_in: SignIn) -> None:
    sign_in(make_user(Role.SUPERVISOR))
    for _number in range(3):
        give_up(ModelTimedOut("No whole answer."))
    page.goto("/keys/")
    rows = page.locator("#letters tbody tr")
    expect(rows).to_have_count(3)
    rows.first.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("1 question is put again.")).to_be_visible()
    page.get_by_label("All that are shown").check()
    page.locator(".bulk-row").get_by_role("button", name="Drop").click()
    expect(page.get_by_text("2 questions are dropped.")).to_be_visible()
    expect(page.get_by_text("None waits")).to_be_visible()
    assert sorted(DeadLetter.objects.values_list("state", flat=True)) == ["dropped", "dropped", "sent_again"]


def test_system_page_shows_a_worker_as_soon_as_it_is_there(page: Page, sign_in: SignIn) -> None:
    sign_in(make_user(Role.SUPERVISOR))
    page.goto("/system/")
    expect(page.get_by_text("Nothing runs but this web process.")).to_be_visible()
    expect(page.get_by_text("No worker has said within 15 seconds that it is there.")).to_be_visible()
    until = time.monotonic() + PATIENCE_MS / 1000
    while not page.get_by_text("detection-1@east").count() and time.monotonic() < until:
        note_seen(connect_redis(), [Queue.DETECT], node="detection-1@east")
        page.wait_for_timeout(500)
    expect(page.locator(".lights li[data-state=up]", has_text="Detection")).to_have_count(1)


def test_page_that_gets_no_answer_says_how_old_it_is(page: Page, chief: User, complaints: list[str]) -> None:
    page.goto("/system/")
    page.route("**/system/now/", lambda route: route.abort())
    expect(page.locator("[data-part=stale]")).to_contain_text("what you see is", timeout=PATIENCE_MS)
    page.unroute("**/system/now/")
    expect(page.locator("[data-part=stale]")).to_be_hidden(timeout=PATIENCE_MS)
    complaints[:] = [each for each in complaints if "ERR_FAILED" not in each]


def test_cameras_come_from_a_file_and_mistakes_are_told_by_line(page: Page, chief: User, tmp_path: Path) -> None:
    file = tmp_path / "cameras.csv"
    file.write_text("name,source\nEast,street://junction\nWest,street://nowhere\n")
    page.goto("/admin/cameras/camera/")
    page.get_by_role("link", name="Import", exact=True).click()
    page.locator("[name=file]").set_input_files(file)
    page.get_by_role("button", name="Import").click()
    expect(page.locator(".import-mistakes tbody tr")).to_contain_text("There is no street nowhere")
    assert not Camera.objects.exists()
    file.write_text("name,source\nEast,street://junction\nWest,street://junction\n")
    page.locator("[name=file]").set_input_files(file)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("2 cameras were added and 0 changed.")).to_be_visible()


def test_camera_list_shows_pictures_and_puts_cameras_into_a_group(page: Page, chief: User, camera: Camera) -> None:
    show_frame(camera)
    Camera.objects.update(last_frame_at=utc_now())
    other = CameraGroup.objects.create(name="Bridges")
    page.goto("/admin/cameras/camera/")
    loaded = "(picture) => picture.complete && picture.naturalWidth"
    picture = page.locator("img.thumbnail")
    expect(picture).to_have_count(1)
    page.wait_for_function("document.querySelector('img.thumbnail').naturalWidth > 0", timeout=PATIENCE_MS)
    assert picture.evaluate(loaded) == 256
    page.locator("input.action-select").check()
    page.locator("select[name=action]").select_option("set_group")
    page.locator(".actions select[name=group]").select_option("Bridges")
    page.get_by_role("button", name="Run the selected action").or_(page.get_by_role("button", name="Go")).first.click()
    expect(page.get_by_text("1 camera changed.")).to_be_visible()
    camera.refresh_from_db()
    assert camera.group == other


def test_camera_form_that_would_undo_a_drawing_is_refused(page: Page, chief: User, camera: Camera) -> None:
    page.goto(f"/admin/cameras/camera/{camera.pk}/change/")
    Zone.objects.create(camera=camera, name="A", kind="crossing", polygon=[[0, 0], [1, 0], [1, 1]])
    page.locator("[name=name]").fill("Renamed")
    page.locator("[name=_save]").click()
    expect(page.get_by_text("was changed after you opened this page")).to_be_visible()
    camera.refresh_from_db()
    assert camera.name == "Junction"


def shown(page: Page) -> list[str]:
    names: list[str] = page.locator(".tile [data-part=name]").all_inner_texts()
    return [each.strip() for each in names]


@pytest.fixture
def layout(page: Page, sign_in: SignIn) -> Page:
    """A wall of three cameras in one row, in a layout of the operator's own."""
    operator = make_user(Role.OPERATOR)
    sign_in(operator)
    group = CameraGroup.objects.get(name="Streets")
    for name in ("Alder", "Birch", "Cedar"):
        make_camera(name=name, group=group, state=StreamState.ONLINE, state_since=utc_now())
    connected(page)
    page.get_by_text("Arrange").click()
    page.get_by_label("Name", exact=True).fill("Mine")
    page.get_by_label("Columns").select_option("3")
    page.get_by_role("button", name="Keep this layout").click()
    expect(page.locator("#link")).to_have_text("Connected")
    return page


def kept(page: Page) -> list[str]:
    page.reload()
    expect(page.locator("#link")).to_have_text("Connected")
    return shown(page)


def test_cameras_are_put_in_order_by_the_mouse(layout: Page, server: Server) -> None:
    with layout.expect_response(re.compile("/order/$")):
        drag(layout, "Cedar", "Alder")
    assert shown(layout) == ["Cedar", "Alder", "Birch"]
    with layout.expect_response(re.compile("/order/$")):
        drag(layout, "Cedar", "Birch")
    assert shown(layout) == ["Alder", "Birch", "Cedar"]
    with layout.expect_response(re.compile("/order/$")):
        drag(layout, "Birch", "Alder")
    assert (shown(layout), kept(layout)) == (["Birch", "Alder", "Cedar"], ["Birch", "Alder", "Cedar"])


def drag(page: Page, name: str, onto: str) -> None:
    page.locator(".tile", has_text=name).locator(".move").hover()
    page.mouse.down()
    page.locator(".tile", has_text=onto).locator("canvas").hover(force=True)
    page.mouse.up()


def test_cameras_are_put_in_order_by_keys(layout: Page) -> None:
    handle = layout.locator(".tile", has_text="Alder").locator(".move")
    handle.focus()
    with layout.expect_response(re.compile("/order/$")):
        layout.keyboard.press("ArrowRight")
        expect(layout.locator("#place")).to_have_text("Alder: place 2 of 3")
        layout.keyboard.press("ArrowRight")
    expect(handle).to_be_focused()
    assert (shown(layout), kept(layout)) == (["Birch", "Cedar", "Alder"], ["Birch", "Cedar", "Alder"])


def test_layout_is_shown_first_when_its_user_wants_so(layout: Page) -> None:
    layout.get_by_text("Arrange").click()
    layout.get_by_role("button", name="first").click()
    layout.goto("/")
    expect(layout.locator("nav [aria-current]", has_text="Mine")).to_have_count(1)
    layout.get_by_role("link", name="All", exact=True).click()
    expect(layout.locator("#wall")).not_to_have_attribute("data-order", re.compile(".*"))
