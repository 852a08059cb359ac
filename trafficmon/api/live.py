"""The way to the live feed for front ends elsewhere."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _

from cameras.frames import connect_redis
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Scope
from trafficmon.api.answers import Refused, endpoint, envelope
from trafficmon.live.tickets import TICKET_SECONDS, issue_ticket


@endpoint("POST", scope=Scope.LIVE)
def ticket(request: HttpRequest, _user: User) -> JsonResponse:
    """For an API token, a ticket that opens the WebSocket once."""
    caller = caller_of(request)
    if caller is None or caller.token is None:
        raise Refused(400, _("Tickets are for API tokens: a page that is signed in opens /ws without one."))
    issued = issue_ticket(connect_redis(), caller.token)
    return envelope({"ticket": issued, "path": f"/ws?ticket={issued}", "expiresInSeconds": TICKET_SECONDS})
