"""A POST of each event, signed as notifications' webhooks are (standardwebhooks.com)."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.core.exceptions import ValidationError

from trafficmon.exports.models import Event
from trafficmon.exports.sinks import Refusal, Sent
from trafficmon.notifications.addresses import Receiver, allow_webhook
from trafficmon.notifications.channels import UnableToSend, webhook

_POISON = {400, 413, 415, 422}
"""What says that this very event will never be taken."""
_SICK = {408, 425, 429, 502, 503, 504, 401, 403, 404, 405, 407, 410}
"""What says that nothing at all is taken just now: the receiver is busy, away, or does not know us."""


def send(events: Sequence[Event]) -> Sent:
    """Send one after the other until the receiver does not take any; the address is checked each time."""
    environment = settings.ENVIRONMENT
    delivered: set[int] = set()
    refused: dict[int, Refusal] = {}
    for event in events:
        try:
            receiver = allow_webhook(environment.export_webhook_url)
            status = _post(receiver, event, environment.export_webhook_secret.get_secret_value())
        except ValidationError as error:
            return Sent(frozenset(delivered), refused, " ".join(error.messages))
        except UnableToSend as error:
            return Sent(frozenset(delivered), refused, str(error))
        if 200 <= status < 300:
            delivered.add(event.pk)
        elif status in _SICK:
            return Sent(frozenset(delivered), refused, f"The receiver answered with HTTP {status}.")
        else:
            refused[event.pk] = Refusal(f"The receiver answered with HTTP {status}.", for_good=status in _POISON)
    return Sent(frozenset(delivered), refused)


def _post(receiver: Receiver, event: Event, secret: str) -> int:
    body = event.body.encode()
    return webhook.post(receiver, body, webhook.headers(receiver, event.event_id, secret, body))
