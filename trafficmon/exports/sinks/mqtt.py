"""MQTT 5: a topic of each kind and camera, each event acknowledged by the broker (QoS 1)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from trafficmon.core.ids import new_token
from trafficmon.exports.models import Event
from trafficmon.exports.sinks import Refusal, Sent, SinkUnavailable

ANSWER_SECONDS = 20.0
_NO_SUBSCRIBER = 0x10
_POISON = {0x90, 0x95, 0x99}
"""Topic name invalid, packet too large, payload format invalid: this very event will never be taken."""
_ENVELOPE_BYTES = 300
"""What a packet has beside its payload, at the most."""


@dataclass(slots=True)
class _Session:
    """What the broker said, as its thread hears it."""

    client: Any
    connected: threading.Event = field(default_factory=threading.Event)
    refused_because: str = ""
    is_lost: bool = False
    largest: int | None = None
    answers: dict[int, ReasonCode] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: ReasonCode, properties: Any) -> None:
        if reason.is_failure:
            self.refused_because = str(reason)
        self.largest = getattr(properties, "MaximumPacketSize", None)
        self.connected.set()

    def on_disconnect(self, *_: Any) -> None:
        with self.changed:
            self.is_lost = True
            self.changed.notify_all()

    def on_publish(self, _client: Any, _userdata: Any, number: int, reason: ReasonCode, _properties: Any) -> None:
        with self.changed:
            self.answers[number] = reason
            self.changed.notify_all()

    def wait_for(self, numbers: set[int]) -> None:
        """Until each was answered, the connection is lost, or it takes too long."""
        until = time.monotonic() + ANSWER_SECONDS
        with self.changed:
            while not (self.is_lost or numbers <= self.answers.keys()) and (left := until - time.monotonic()) > 0:
                self.changed.wait(left)


def send(events: Sequence[Event]) -> Sent:
    """Send them in one connection; raises SinkUnavailable where the broker cannot be reached or refuses us."""
    refused: dict[int, Refusal] = {}
    with _connected() as session:
        numbers: dict[int, int] = {}
        for event in events:
            if session.largest and len(event.body.encode()) + _ENVELOPE_BYTES > session.largest:
                refused[event.pk] = Refusal(f"The broker takes {session.largest} bytes at most.", for_good=True)
                continue
            info = session.client.publish(_topic(event), event.body.encode(), qos=1, properties=_properties(event))
            if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                numbers[info.mid] = event.pk
        session.wait_for(set(numbers))
        answers = dict(session.answers)
    return _told(numbers, answers, refused, asked=len(events))


def _told(numbers: dict[int, int], answers: dict[int, ReasonCode], refused: dict[int, Refusal], *, asked: int) -> Sent:
    delivered, trouble = set(), ""
    for number, event in numbers.items():
        reason = answers.get(number)
        if reason is None:
            continue
        if not reason.is_failure or reason.value == _NO_SUBSCRIBER:
            delivered.add(event)
        elif reason.value in _POISON:
            refused[event] = Refusal(str(reason), for_good=True)
        else:
            trouble = f"The broker refused: {reason}."
    if len(delivered) + len(refused) < asked:
        trouble = trouble or "The broker did not answer in time."
    return Sent(frozenset(delivered), refused, trouble)


def _topic(event: Event) -> str:
    return f"{settings.ENVIRONMENT.export_prefix}{event.topic}/{event.camera_id}"


def _properties(event: Event) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    properties.ContentType = "application/json"
    properties.UserProperty = ("event-id", event.event_id)
    return properties


@contextmanager
def _connected() -> Iterator[_Session]:
    address = urlsplit(settings.ENVIRONMENT.export_mqtt_url)
    is_tls = address.scheme == "mqtts"
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"trafficmon-{new_token()[:8]}", protocol=paho.MQTTv5)
    session = _Session(client)
    client.on_connect = session.on_connect
    client.on_disconnect = session.on_disconnect
    client.on_publish = session.on_publish
    client.max_inflight_messages_set(1000)
    if settings.ENVIRONMENT.export_mqtt_user:
        password = settings.ENVIRONMENT.export_mqtt_password.get_secret_value()
        client.username_pw_set(settings.ENVIRONMENT.export_mqtt_user, password or None)
    if is_tls:
        client.tls_set()
    _reach(lambda: client.connect(address.hostname or "", address.port or (8883 if is_tls else 1883), keepalive=30))
    client.loop_start()
    try:
        if not session.connected.wait(ANSWER_SECONDS):
            raise SinkUnavailable("The broker did not answer in time.")
        if session.refused_because:
            message = f"The broker refused the connection: {session.refused_because}."
            raise SinkUnavailable(message)
        yield session
    finally:
        client.disconnect()
        client.loop_stop()


def _reach(connect: Callable[[], object]) -> None:
    try:
        connect()
    except (OSError, ValueError) as error:
        message = f"The broker was not reached: {type(error).__name__}."
        raise SinkUnavailable(message) from None
