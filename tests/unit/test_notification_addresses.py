"""Which addresses notifications may go to."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from trafficmon.notifications.addresses import allow_webhook, check_mail, check_service, check_webhook
from trafficmon.settings.environment import Environment


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "https://100.100.100.200/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://127.0.0.1:6379/",
        "http://10.0.0.7/",
        "http://[::1]/",
        "ftp://8.8.8.8/",
        "file:///etc/passwd",
        "https://user:hush@8.8.8.8/",
        "https:///path",
        "https://8.8.8.8:0/",
        "https://8.8.8.8/a b",
        "nonsense",
    ],
)
def test_webhook_goes_to_no_such_address(address: str) -> None:
    with pytest.raises(ValidationError):
        check_webhook(address)


def test_private_network_is_allowed_where_it_is_named_and_metadata_never(settings: Any) -> None:
    settings.ENVIRONMENT = Environment.model_validate({"notification_networks": "10.0.0.0/8,169.254.0.0/16"})
    assert str(allow_webhook("http://10.0.0.7:8080/hook?a=1").address) == "10.0.0.7"
    for address in ("http://169.254.169.254/", "http://192.168.0.1/"):
        with pytest.raises(ValidationError):
            check_webhook(address)


def test_networks_of_cameras_are_not_those_of_notifications(settings: Any) -> None:
    settings.ENVIRONMENT = Environment.model_validate({"camera_networks": "10.0.0.0/8"})
    with pytest.raises(ValidationError, match="ALGO_NOTIFICATION_NETWORKS"):
        check_webhook("http://10.0.0.7/")


@pytest.mark.parametrize("address", ["", "nobody", "a@example.org, b", "a@example.org\nBcc: b@example.org"])
def test_what_is_no_mail_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        check_mail(address)


def test_several_mail_addresses_are_fine() -> None:
    check_mail("desk@example.org, night@example.org")


@pytest.mark.parametrize(
    "address",
    [
        "json://8.8.8.8/",
        "syslog://",
        "mailto://user:pass@example.org",
        "dbus://",
        "file:///etc/passwd",
        "gotify://127.0.0.1/token12345",
        "gotify://169.254.169.254/token12345",
        "ntfy://10.0.0.7/topic",
        "workflows://10.0.0.7/abcdefghij/0123456789abcdef",
        "zulip://botname@10.0.0.7/a1b2c3d4e5f6g7h8i9j0a1b2c3d4e5f6",
        "zulip://botname@x.y%4010.0.0.7/a1b2c3d4e5f6g7h8i9j0a1b2c3d4e5f6",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?template=http://10.0.0.7/",
        "discord://1234567/abcdefghijkl?template=/etc/passwd",
        "tgram://",
    ],
)
def test_service_that_is_not_listed_or_at_a_forbidden_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        check_service(address)


@pytest.mark.parametrize(
    "address",
    [
        "tgram://123456789:abcdefghijklmnopqrstuvwxyz012345678/12315544/",
        "gotify://8.8.8.8/token12345",
        "ntfy://topic",
        "workflows://8.8.8.8/abcdefghij/0123456789abcdef",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "whatsapp://template:tokentokentoken@12345678901/15551234567",
    ],
)
def test_listed_service_is_allowed(address: str) -> None:
    check_service(address)
