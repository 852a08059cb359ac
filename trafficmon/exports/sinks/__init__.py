"""The ways out, one module each, every one of them a function that sends some events and says what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from trafficmon.exports.models import Event, SinkName


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event was not taken; `for_good` says that it never will be."""

    told: str
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """Which events arrived and which were refused, by number. Of the others nothing is known: they are sent again.

    `trouble` says what is wrong with the sink as a whole, where something is.
    """

    delivered: frozenset[int] = frozenset()
    refused: Mapping[int, Refusal] = field(default_factory=dict)
    trouble: str = ""


class SinkUnavailable(Exception):
    """The sink as a whole does not answer, or lets us do nothing; the message has no secret in it."""


def sender(sink: str) -> Callable[[Sequence[Event]], Sent]:
    """What sends to a sink; raises SinkUnavailable where it cannot be reached."""
    match SinkName(sink):
        case SinkName.KAFKA:
            from trafficmon.exports.sinks import kafka

            return kafka.send
        case SinkName.MQTT:
            from trafficmon.exports.sinks import mqtt

            return mqtt.send
        case SinkName.WEBHOOK:
            from trafficmon.exports.sinks import webhook

            return webhook.send
