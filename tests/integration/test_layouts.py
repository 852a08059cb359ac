"""Layouts of the wall: whose they are, what they hold, and what the wall shows of them."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from cameras.models import Camera
from tests.factories import make_camera
from tests.integration.test_pages import browser, camera_of, make_user
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.dashboard.models import WallLayout

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


@pytest.fixture
def user() -> User:
    return make_user(Role.VIEWER)


@pytest.fixture
def desk(user: User) -> Client:
    return browser(user)


def keep(desk: Client, *cameras: Camera, name: str = "Night", columns: int = 2) -> str:
    """Where the browser is sent to."""
    data = {"name": name, "columns": columns, "cameras": [each.pk for each in cameras]}
    answer = desk.post("/layouts/", data)
    assert answer.status_code == 302
    return str(answer["Location"])


def shown(desk: Client, address: str) -> list[int]:
    page = desk.get(address).content.decode()
    return [int(number) for number in re.findall(r'data-camera="([0-9]+)"', page)]


def test_layout_is_kept_and_shown(desk: Client, user: User) -> None:
    north, south, east = (camera_of(user, name=name) for name in ("north", "south", "east"))
    address = keep(desk, north, south)
    assert address == f"/?layout={WallLayout.objects.get(user=user, name='Night', columns=2).pk}"
    assert shown(desk, address) == [north.pk, south.pk]
    assert shown(desk, "/") == [east.pk, north.pk, south.pk]
    page = desk.get(address).content.decode()
    assert ('data-columns="2"' in page, f'data-chosen="[{north.pk}, {south.pk}]"' in page) == (True, True)


def test_layout_of_the_same_name_is_replaced(desk: Client, user: User) -> None:
    north, south = camera_of(user), camera_of(user)
    first = keep(desk, north, south)
    assert keep(desk, south, columns=5) == first
    assert (shown(desk, first), WallLayout.objects.get().columns) == ([south.pk], 5)


def test_group_is_shown_by_its_address(desk: Client, user: User) -> None:
    camera = camera_of(user)
    assert camera.group
    assert shown(desk, f"/?group={camera.group.pk}") == [camera.pk]
    assert shown(desk, "/?group=99999") == []


def test_layout_is_its_users_own(desk: Client, user: User) -> None:
    address = keep(desk, camera_of(user))
    other = browser(make_user(Role.OPERATOR))
    assert "Night" not in other.get(address).content.decode()
    number = WallLayout.objects.get().pk
    assert other.post(f"/layouts/{number}/forget/").status_code == 404
    assert desk.post(f"/layouts/{number}/forget/")["Location"] == "/"
    assert not WallLayout.objects.exists()


def test_camera_that_one_may_not_see_is_in_no_layout(desk: Client, user: User) -> None:
    mine, theirs = camera_of(user), make_camera()
    keep(desk, mine, theirs)
    assert not WallLayout.objects.exists()
    address = keep(desk, mine)
    mine.group = None
    mine.save()
    assert shown(desk, address) == []


def test_layout_with_too_many_cameras_or_none_is_refused_in_words(desk: Client, user: User) -> None:
    keep(desk, *(camera_of(user) for _ in range(65)))
    assert "A wall shows at most 64 cameras." in desk.get("/").content.decode()
    keep(desk)
    assert "This field is required." in desk.get("/").content.decode()
    assert not WallLayout.objects.exists()


def order(desk: Client, number: int, *cameras: Camera) -> int:
    data = {"cameras": [each.pk for each in cameras]}
    status: int = desk.post(f"/layouts/{number}/order/", data).status_code
    return status


def test_cameras_are_shown_in_the_layouts_own_order(desk: Client, user: User) -> None:
    north, south, east = (camera_of(user, name=name) for name in ("north", "south", "east"))
    address = keep(desk, north, south, east)
    number = WallLayout.objects.get().pk
    assert order(desk, number, south, make_camera(), east, south) == 204
    assert shown(desk, address) == [south.pk, east.pk, north.pk]
    assert f'data-chosen="[{south.pk}, {east.pk}, {north.pk}]"' in desk.get(address).content.decode()
    assert WallLayout.objects.get().order == [south.pk, east.pk]
    keep(desk, south, north)
    assert shown(desk, address) == [south.pk, north.pk]
    assert shown(desk, "/") == [east.pk, north.pk, south.pk]


def test_order_is_changed_by_its_user_alone(desk: Client, user: User) -> None:
    north, south = camera_of(user, name="north"), camera_of(user, name="south")
    keep(desk, north, south)
    number = WallLayout.objects.get().pk
    assert order(browser(make_user(Role.OPERATOR)), number, south, north) == 404
    assert WallLayout.objects.get().order == []


def test_one_layout_is_shown_first_where_the_address_names_nothing(desk: Client, user: User) -> None:
    north, south = camera_of(user, name="north"), camera_of(user, name="south")
    keep(desk, north, name="Night")
    keep(desk, south, name="Day")
    night, day = WallLayout.objects.get(name="Night").pk, WallLayout.objects.get(name="Day").pk
    for number in (night, day):
        assert desk.post(f"/layouts/{number}/prefer/", {"on": "yes"})["Location"] == f"/?layout={number}"
    assert list(WallLayout.objects.filter(is_default=True).values_list("pk", flat=True)) == [day]
    assert (shown(desk, "/"), shown(desk, "/?all=yes")) == ([south.pk], [north.pk, south.pk])
    assert north.group
    assert shown(desk, f"/?group={north.group.pk}") == [north.pk, south.pk]
    desk.post(f"/layouts/{day}/prefer/", {"on": "no"})
    assert shown(desk, "/") == [north.pk, south.pk]
    other = browser(make_user(Role.OPERATOR))
    assert other.post(f"/layouts/{day}/prefer/", {"on": "yes"}).status_code == 404
