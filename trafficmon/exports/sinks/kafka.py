"""Apache Kafka: a topic of each kind, the camera as the key, the event's id in a header."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from django.conf import settings

from trafficmon.exports.models import Event
from trafficmon.exports.sinks import Refusal, Sent, SinkUnavailable

ANSWER_SECONDS = 30
_POISON = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}
"""What says that this very event will never be taken."""


def send(events: Sequence[Event]) -> Sent:
    """Send them and wait until the brokers have said of each what became of it."""
    delivered: set[int] = set()
    refused: dict[int, Refusal] = {}
    troubles: list[str] = []

    def note(number: int, error: KafkaError | None, _message: object) -> None:
        if error is None:
            delivered.add(number)
        elif error.code() in _POISON:
            refused[number] = Refusal(error.str(), for_good=True)
        else:
            troubles.append(error.str())

    kafka = _producer()
    for event in events:
        try:
            _produce(kafka, event, functools.partial(note, event.pk))
        except (KafkaException, BufferError) as error:
            reason = error.args[0] if error.args else error
            note(event.pk, reason, None) if isinstance(reason, KafkaError) else troubles.append(str(reason))
    if kafka.flush(ANSWER_SECONDS):
        troubles.append("The brokers did not answer in time.")
    if troubles:
        # What lies in this producer's own queue must not arrive after what is sent next.
        _producer.cache_clear()
        kafka.purge()
    return Sent(frozenset(delivered), refused, troubles[0] if troubles else "")


def _produce(kafka: Producer, event: Event, note: Any) -> None:
    kafka.produce(
        f"{settings.ENVIRONMENT.export_prefix}{event.topic}",
        event.body.encode(),
        key=str(event.camera_id).encode(),
        headers={"event-id": event.event_id.encode()},
        on_delivery=note,
    )


@functools.cache
def _producer() -> Producer:
    """One for all threads of this process; it keeps its connections."""
    try:
        return Producer(configuration())
    except KafkaException as error:
        message = f"Kafka's settings cannot be used: {error.args[0].str()}"
        raise SinkUnavailable(message) from None


def configuration() -> dict[str, object]:
    """What librdkafka is told: written once, by all replicas, in order."""
    environment = settings.ENVIRONMENT
    told: dict[str, object] = {
        "bootstrap.servers": environment.export_kafka_servers,
        "client.id": "trafficmon",
        "enable.idempotence": True,
        "message.timeout.ms": (ANSWER_SECONDS - 10) * 1000,
        "linger.ms": 0,
        "compression.type": "lz4",
        "security.protocol": environment.export_kafka_security.upper(),
        "log_level": 2,
    }
    if environment.export_kafka_security.startswith("sasl"):
        told |= {
            "sasl.mechanism": environment.export_kafka_mechanism,
            "sasl.username": environment.export_kafka_user,
            "sasl.password": environment.export_kafka_password.get_secret_value(),
        }
    return told
