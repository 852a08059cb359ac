"""A POST of JSON, signed as Standard Webhooks (standardwebhooks.com) says, for which receivers find libraries."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import ssl
from typing import TYPE_CHECKING

import urllib3
from django.utils.translation import gettext as _

from trafficmon.core.clock import spell, utc_now
from trafficmon.notifications.addresses import Receiver, allow_webhook
from trafficmon.notifications.channels import Parcel, UnableToSend

if TYPE_CHECKING:
    from trafficmon.notifications.models import Destination

SECONDS = urllib3.Timeout(connect=5, read=10)
_PREFIX = "whsec_"
_FOR_GOOD = {400, 410, 413, 422}
"""What a receiver says that will say the same next time; 401 to 405 a proxy says too, while its service is deployed."""


def send(destination: Destination, parcel: Parcel) -> None:
    """Raises UnableToSend, or ValidationError where the address may not be used."""
    receiver = allow_webhook(destination.address)
    body = json.dumps(_told(parcel), ensure_ascii=False).encode()
    status = post(receiver, body, headers(receiver, parcel.number, destination.secret, body))
    if not 200 <= status < 300:
        message = _("The receiver answered with HTTP %(status)s.") % {"status": status}
        raise UnableToSend(message, retryable=status not in _FOR_GOOD)


def headers(receiver: Receiver, number: str, secret: str, body: bytes) -> dict[str, str]:
    """Those of a request made now; `number` is the same at each attempt."""
    moment = str(int(utc_now().timestamp()))
    return {
        "Host": _host(receiver),
        "Content-Type": "application/json",
        "User-Agent": "trafficmon",
        "webhook-id": number,
        "webhook-timestamp": moment,
        "webhook-signature": sign(secret, number, moment, body),
    }


def sign(secret: str, number: str, moment: str, body: bytes) -> str:
    """The header's value: HMAC-SHA256 over id, time and body."""
    signed = f"{number}.{moment}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()}"


def _key(secret: str) -> bytes:
    """A secret may be any text, or `whsec_` and base64 as that standard has it."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _told(parcel: Parcel) -> dict[str, object]:
    message = parcel.message
    picture = base64.b64encode(parcel.picture).decode() if parcel.picture else None
    return {
        "type": "alert.unacknowledged" if message.escalation else "alert" if message.alerts else "test",
        "timestamp": spell(message.created_at),
        "data": {
            "title": message.title,
            "text": message.text,
            "alerts": message.alerts,
            "picture": f"data:image/jpeg;base64,{picture}" if picture else None,
        },
    }


def _host(receiver: Receiver) -> str:
    host = f"[{receiver.host}]" if ":" in receiver.host else receiver.host
    return host if receiver.port == (443 if receiver.tls else 80) else f"{host}:{receiver.port}"


def post(receiver: Receiver, body: bytes, headers: dict[str, str]) -> int:
    """The status that was answered by the very address that was checked. No redirect is followed, no proxy asked."""
    pool: urllib3.HTTPConnectionPool
    address = str(receiver.address)
    if receiver.tls:
        context = ssl.create_default_context()
        pool = urllib3.HTTPSConnectionPool(
            address,
            receiver.port,
            timeout=SECONDS,
            ssl_context=context,
            server_hostname=receiver.host,
            assert_hostname=receiver.host,
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, receiver.port, timeout=SECONDS)
    try:
        with pool:
            answer = pool.urlopen(
                "POST", receiver.path, body, headers, retries=False, redirect=False, preload_content=False
            )
            answer.close()
            return answer.status
    except (urllib3.exceptions.HTTPError, OSError) as error:
        message = _("The receiver was not reached: %(error)s.") % {"error": type(error).__name__}
        raise UnableToSend(message) from None
