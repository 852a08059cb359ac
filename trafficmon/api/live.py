"""The way to the live feed for front ends elsewhere."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext as _

from cameras.frames import connect_redis
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Scope
from trafficmon.api.answers import Answer, Refused, endpoint
from trafficmon.live.tickets import TICKET_SECONDS, issue_ticket


class Ticket(Answer):
    """Opens the WebSocket at `path`, once."""

    ticket: str
    path: str
    expires_in_seconds: int


@endpoint("POST", scope=Scope.LIVE)
def ticket(request: HttpRequest, _user: User) -> Ticket:
    """For an API token, a ticket that opens the WebSocket once."""
    caller = caller_of(request)
    if caller is None or caller.token is None:
        raise Refused(400, _("Tickets are for API tokens: a page that is signed in opens /ws without one."))
    issued = issue_ticket(connect_redis(), caller.token)
    return Ticket(ticket=issued, path=f"/ws?ticket={issued}", expires_in_seconds=TICKET_SECONDS)
