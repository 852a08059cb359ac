"""Tickets for the WebSocket: browsers cannot send an API token with it, and an address is no place for one.

A ticket is good once and for half a minute, so that it may stand in an address, and in the log of a proxy.
"""

from __future__ import annotations

import redis

from trafficmon.accounts.models import ApiToken
from trafficmon.core.ids import new_token

TICKET_SECONDS = 30


def issue_ticket(client: redis.Redis, token: ApiToken) -> str:
    """A ticket that opens the live feed in the token's name."""
    ticket = new_token()
    client.set(ticket_key(ticket), token.pk, ex=TICKET_SECONDS)
    return ticket


def ticket_key(ticket: str) -> str:
    """Where Redis keeps the number of the token that the ticket was given for."""
    return f"live:ticket:{ticket}"
