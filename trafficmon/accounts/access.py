"""Who asks, and what they may: for pages, the API, pictures and the WebSocket alike.

Rights are the user's (`User.may`, `User.sees_every_camera`; which cameras those are, `Camera.objects.visible_to` says).
An API token has those of its owner, as far as its scopes go.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import cast

from django.conf import settings
from django.http import HttpRequest

from trafficmon.accounts import tokens
from trafficmon.accounts.models import ApiToken, User
from trafficmon.accounts.roles import SCOPE_OF, Role, Scope

BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in user or an API token of one, and from where it asks."""

    user: User
    token: ApiToken | None = None
    address: str | None = None

    def holds(self, scope: Scope) -> bool:
        """Somebody signed in holds every scope; what they may is a matter of their role."""
        return self.token is None or self.token.holds(scope)

    def may(self, role: Role) -> bool:
        """Whether the caller may change what needs this role."""
        return self.user.may(role) and self.holds(SCOPE_OF[role])


def caller_of(request: HttpRequest) -> Caller | None:
    """Who asks; looked up once. A token that is no good is nobody, also in the browser of somebody signed in."""
    known = vars(request)
    if "caller" not in known:
        known["caller"] = _find_caller(request)
    return cast("Caller | None", known["caller"])


def names_a_token(request: HttpRequest) -> bool:
    """Whether the request says that it comes by an API token, good or not."""
    return request.headers.get("Authorization", "").startswith(BEARER)


def _find_caller(request: HttpRequest) -> Caller | None:
    if names_a_token(request):
        token = tokens.find(request.headers["Authorization"].removeprefix(BEARER).strip())
        return Caller(token.owner, token, address_of(request)) if token else None
    user = getattr(request, "user", None)
    return Caller(user, address=address_of(request)) if isinstance(user, User) and user.is_active else None


def address_of(request: HttpRequest) -> str | None:
    """The client's address, or None where it is not known."""
    return client_address(request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", ""))


def client_address(peer: str, forwarded_for: str) -> str | None:
    """Behind our proxy the last address of X-Forwarded-For, which the proxy added; the others anybody can invent."""
    forwarded = forwarded_for.rpartition(",")[2].strip() if settings.ENVIRONMENT.behind_tls else ""
    return _spelled(forwarded) or _spelled(peer)


def _spelled(address: str) -> str | None:
    try:
        return str(ip_address(address.partition("%")[0]))
    except ValueError:
        return None
