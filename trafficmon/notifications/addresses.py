"""Which addresses notifications may go to: each is a request that our servers make for a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from cameras.addresses import Address, Networks, check_address, resolve_host

if TYPE_CHECKING:
    from apprise import NotifyBase

HOSTED = frozenset(
    {
        *("slack", "discord", "tgram", "gchat", "webex", "pover", "pbul", "join", "signl4"),
        *("dingtalk", "feishu", "lark", "wecombot", "wxpusher", "schan", "pushplus", "line"),
        *("pagerduty", "opsgenie", "splunk", "twilio", "sendgrid", "mailgun", "vonage", "whatsapp"),
    }
)
"""Apprise's services at hosts of their own, which the address does not name."""
OWN = frozenset(
    {
        *("gotify", "gotifys", "mmost", "mmosts", "rocket", "rockets", "ntfy", "ntfys", "bark", "barks"),
        *("workflows", "zulip"),
    }
)
"""Those at the host that the address names."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A webhook's server as it was checked: the connection is made to `address`, whatever its name means later."""

    address: Address
    port: int
    host: str
    tls: bool
    path: str


def check_webhook(address: str) -> None:
    """Raise ValidationError unless a webhook may be there."""
    allow_webhook(address)


def allow_webhook(address: str) -> Receiver:
    """Where to connect to now; raises ValidationError otherwise. Call it right before every request."""
    parts = _split(address)
    if parts.scheme not in {"http", "https"} or parts.username or parts.password:
        raise ValidationError(_("A webhook's address begins with https:// or http:// and has no password in it."))
    host, tls = parts.hostname or "", parts.scheme == "https"
    found = _checked(host)
    return Receiver(found[0], parts.port or (443 if tls else 80), host, tls, _path(parts))


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        valid = bool(parts.hostname) and parts.port != 0 and address.isprintable() and " " not in address
    except ValueError:
        parts, valid = SplitResult("", "", "", "", ""), False
    if not valid:
        raise ValidationError(_("This address has no valid host or port."))
    return parts


def _checked(host: str) -> tuple[Address, ...]:
    """Every address of a host, all of which notifications may go to; raises ValidationError otherwise."""
    networks = Networks(settings.ENVIRONMENT.notification_networks, "ALGO_NOTIFICATION_NETWORKS")
    addresses = resolve_host(host)
    for each in addresses:
        check_address(each, host=host, networks=networks)
    return addresses


def check_mail(addresses: str) -> None:
    """Raise ValidationError unless these are e-mail addresses, separated by commas."""
    listed = split_mail(addresses)
    if not listed:
        raise ValidationError(_("Give one e-mail address or more, separated by commas."))
    for each in listed:
        validate_email(each)


def split_mail(addresses: str) -> list[str]:
    return [each.strip() for each in addresses.split(",") if each.strip()]


def check_service(address: str) -> None:
    """Raise ValidationError unless this is an address of a service that Apprise may be asked to reach."""
    allow_service(address)


def allow_service(address: str) -> NotifyBase:
    """The service to notify now, which follows no redirect; raises ValidationError where it may not be reached."""
    from apprise import Apprise  # it reads a hundred plugins

    scheme = address.partition("://")[0].lower()
    if scheme not in HOSTED | OWN:
        known = ", ".join(sorted(HOSTED | OWN))
        raise ValidationError(_("Use one of these services: %(known)s."), params={"known": known})
    service = Apprise.instantiate(address, suppress_exceptions=True)
    if service is None:
        raise ValidationError(_("This address lacks something that the service needs: see Apprise's page of it."))
    if getattr(getattr(service, "template", None), "attachments", None):
        raise ValidationError(_("A template is read from a file or an address of its own: leave it out."))
    if scheme in OWN and getattr(service, "mode", "") != "cloud":
        _checked(_host(service))
    service.redirects = False
    return service


def _host(service: Any) -> str:
    """Where a plugin of Apprise connects to; Zulip's makes its host of two parts."""
    if hasattr(service, "organization"):
        return f"{service.organization}.{service.hostname}"
    return str(getattr(service, "host", "") or "")
