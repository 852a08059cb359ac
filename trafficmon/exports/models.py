"""The outbox of exported events, a row for each event and sink, and how each sink is."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from trafficmon.core.topics import Topic


class SinkName(models.TextChoices):
    """Where events go."""

    KAFKA = "kafka", _("Kafka")
    MQTT = "mqtt", _("MQTT")
    WEBHOOK = "webhook", _("webhook")


class EventState(models.TextChoices):
    """What became of an event."""

    WAITING = "waiting", _("waiting")
    DELIVERED = "delivered", _("delivered")
    PARKED = "parked", _("parked: refused for good")


TOPICS = [topic.value for topic in Topic]


class EventQuerySet(models.QuerySet["Event"]):
    def waiting_for(self, sink: str) -> Self:
        return self.filter(sink=sink, state=EventState.WAITING)

    def held(self, sink: str, now: object) -> Self:
        """Those that were refused lately: until they are tried again, whatever follows of their cameras waits."""
        return self.waiting_for(sink).filter(attempts__gt=0, next_at__gt=now)


class Event(models.Model):
    """One event for one sink, written in the transaction of what it tells of; its number is its place in the order."""

    sink = models.CharField(_("sink"), max_length=16, choices=SinkName.choices)
    event_id = models.CharField(_("id"), max_length=36)
    topic = models.CharField(_("topic"), max_length=32, choices=[(topic, topic) for topic in TOPICS])
    camera_id = models.BigIntegerField(_("camera"))
    body = models.TextField(_("event"), help_text=_("JSON, the same at every attempt."))
    created_at = models.DateTimeField(_("created"))
    state = models.CharField(_("state"), max_length=16, choices=EventState.choices, default=EventState.WAITING)
    attempts = models.PositiveIntegerField(_("times refused"), default=0)
    next_at = models.DateTimeField(_("next attempt"), null=True)
    ended_at = models.DateTimeField(_("delivered or parked"), null=True)
    last_error = models.CharField(_("last error"), max_length=300, blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        verbose_name = _("event")
        verbose_name_plural = _("events")
        indexes = [
            models.Index(fields=("sink", "id"), condition=Q(state="waiting"), name="event_waiting"),
            models.Index(
                fields=("sink", "next_at"), condition=Q(state="waiting", attempts__gt=0), name="event_refused"
            ),
            models.Index(fields=("state", "ended_at"), name="event_by_state_and_end"),
        ]
        constraints = [
            models.UniqueConstraint(fields=("sink", "event_id"), name="one_event_for_each_sink"),
            models.CheckConstraint(condition=Q(state__in=EventState.values), name="event_state_known"),
            models.CheckConstraint(condition=Q(sink__in=SinkName.values), name="event_sink_known"),
            models.CheckConstraint(condition=Q(topic__in=TOPICS), name="event_topic_known"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.event_id}"


class Sink(models.Model):
    """How a sink is, and which worker delivers to it: one at a time, or the order were lost."""

    name = models.CharField(_("sink"), max_length=16, choices=SinkName.choices, unique=True)
    lease_token = models.CharField(max_length=32, blank=True, default="")
    lease_until = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    next_at = models.DateTimeField(_("next attempt"), null=True)
    reached_at = models.DateTimeField(_("last reached"), null=True)
    last_error = models.CharField(_("last error"), max_length=300, blank=True)

    class Meta:
        ordering = ("name",)
        verbose_name = _("sink")
        verbose_name_plural = _("sinks")

    def __str__(self) -> str:
        return str(self.get_name_display())
