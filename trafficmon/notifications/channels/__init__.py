"""The ways to send a message, one module each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError

from assessment.models import Evidence

if TYPE_CHECKING:
    from trafficmon.notifications.models import Destination, Message


class UnableToSend(Exception):
    """The destination did not take the message; the text never has the address in it, which is a secret."""

    def __init__(self, told: str, *, retryable: bool = True) -> None:
        super().__init__(told)
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message as it goes to one destination; `number` is the same at each attempt."""

    number: str
    message: Message
    picture: bytes | None = None


def send(destination: Destination, message: Message, *, delivery_id: int | None = None) -> None:
    """Send it now; raises UnableToSend."""
    from trafficmon.notifications.channels import email, messaging, webhook
    from trafficmon.notifications.models import Kind

    ways = {Kind.WEBHOOK: webhook.send, Kind.EMAIL: email.send, Kind.SERVICE: messaging.send}
    number = f"trafficmon-{delivery_id}" if delivery_id else f"trafficmon-test-{message.created_at:%Y%m%d%H%M%S}"
    picture = _picture(message.evidence_id) if destination.with_picture else None
    try:
        ways[Kind(destination.kind)](destination, Parcel(number, message, picture))
    except ValidationError as error:
        # Its address may not be used any more, or its name server does not answer just now.
        raise UnableToSend(" ".join(error.messages)) from None


def _picture(evidence_id: int | None) -> bytes | None:
    """The JPEG; None where there is none, or it has been forgotten."""
    kept = Evidence.objects.filter(pk=evidence_id).first() if evidence_id else None
    if kept is None:
        return None
    try:
        with kept.picture.open("rb") as file:
            content: bytes = file.read()
            return content
    except OSError:
        return None
