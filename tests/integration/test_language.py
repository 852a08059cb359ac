"""In which language pages, their scripts and the live feed speak."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from tests.factories import make_camera
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.live.language import language_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CHINESE = b"zh-CN,zh;q=0.9"


def said(client: Client, path: str = "/login/", **asked: str) -> str:
    return client.get(path, headers=asked).content.decode()


def test_installations_language_is_spoken_whatever_the_browser_prefers(client: Client) -> None:
    assert '<html lang="en"' in said(client, **{"accept-language": "zh-CN"})


def test_installation_in_chinese_speaks_chinese(client: Client, settings: Settings) -> None:
    settings.LANGUAGE_CODE = "zh-hans"
    page = said(client, **{"accept-language": "en-GB"})
    assert '<html lang="zh-hans"' in page
    assert "实时交通摄像头与危险驾驶告警。" in page


def test_demo_follows_the_browser(client: Client, settings: Settings) -> None:
    settings.DEMO = True
    assert '<html lang="zh-hans"' in said(client, **{"accept-language": "zh-CN"})


def test_reader_chooses_and_it_is_remembered(client: Client) -> None:
    assert 'lang="zh-hans">简体中文</button>' in said(client)
    answer = client.post("/language/", {"language": "zh-hans", "next": "/login/?next=/alerts/"})
    assert answer.headers["Location"] == "/login/?next=/alerts/"
    assert answer.cookies["django_language"]["max-age"] == 31536000
    page = said(client)
    assert '<html lang="zh-hans"' in page
    assert 'lang="en">English</button>' in page


def test_language_that_is_not_there_is_not_taken(client: Client) -> None:
    client.cookies["django_language"] = "fr"
    assert '<html lang="en"' in said(client)


def test_choice_leads_to_no_other_host(client: Client) -> None:
    answer = client.post("/language/", {"language": "zh-hans", "next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == "/"


def test_scripts_are_given_the_same_language(client: Client) -> None:
    client.cookies["django_language"] = "zh-hans"
    texts = said(client, "/texts.js")
    assert '"High risk": "\\u9ad8\\u98ce\\u9669"' in texts
    client.cookies["django_language"] = "en"
    assert '"High risk"' not in said(client, "/texts.js")


def test_wall_and_admin_are_in_chinese(client: Client) -> None:
    make_camera(name="Junction")
    client.force_login(User.objects.create_user("boss", password="a long password", role=Role.ADMINISTRATOR))
    client.cookies["django_language"] = "zh-hans"
    wall = said(client, "/")
    assert "实时监控墙" in wall
    assert "目前没有危险报告。" in wall
    admin = said(client, "/admin/cameras/camera/")
    assert "启动所选摄像头" in admin
    assert "<title>选择 摄像头" in admin


@pytest.mark.parametrize(
    ("demo", "cookies", "language"),
    [
        (False, {}, "en"),
        (False, {"django_language": "zh-hans"}, "zh-hans"),
        (True, {}, "zh-hans"),
        (True, {"django_language": "en"}, "en"),
    ],
)
def test_feed_speaks_the_language_of_the_page(
    demo: bool, cookies: dict[str, str], language: str, settings: Settings
) -> None:
    settings.DEMO = demo
    scope = {"headers": [(b"accept-language", CHINESE)], "cookies": cookies}
    assert language_of(scope) == language
