"""Every exported event as pydantic models: what is written, and by which a consumer may check what it reads.

`data` is what browsers are told under the same names (`trafficmon.live.messages`), without pictures.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from assessment.risk import RiskLevel
from trafficmon.core.topics import Topic
from trafficmon.live.messages import AlertMessage, AssessmentResult, DetectionResult, Part


class AssessmentTask(Part):
    """A question that is put to a model: about one traffic group, or the whole frame (0)."""

    assessment_id: int
    camera_id: int
    frame_key: str
    frame_timestamp: str
    group_index: int
    urgent: bool
    prior: float | None = None
    deadline_at: str


class DeadLetterTold(Part):
    """A question that was given up; what its frame shows there is not known."""

    assessment_id: int
    camera_id: int
    frame_key: str
    frame_timestamp: str
    group_index: int
    reason: str
    attempts: int
    died_at: str
    max_risk_level: RiskLevel
    """Of the rest of the frame."""


class Envelope(Part):
    """What every event has: `id` is the same however often it comes; `occurred_at` is when it was written."""

    id: str
    schema_version: Literal[1] = 1
    camera_id: int
    occurred_at: str


class DetectionResultEvent(Envelope):
    type: Literal[Topic.DETECTION_RESULTS] = Topic.DETECTION_RESULTS
    data: DetectionResult


class AssessmentTaskEvent(Envelope):
    type: Literal[Topic.ASSESSMENT_TASKS] = Topic.ASSESSMENT_TASKS
    data: AssessmentTask


class RiskAssessmentResultEvent(Envelope):
    type: Literal[Topic.RISK_ASSESSMENT_RESULTS] = Topic.RISK_ASSESSMENT_RESULTS
    data: AssessmentResult


class AlertEventTold(Envelope):
    type: Literal[Topic.ALERTS] = Topic.ALERTS
    data: AlertMessage


class DeadLetterEvent(Envelope):
    type: Literal[Topic.DEAD_LETTERS] = Topic.DEAD_LETTERS
    data: DeadLetterTold


AnyEvent = DetectionResultEvent | AssessmentTaskEvent | RiskAssessmentResultEvent | AlertEventTold | DeadLetterEvent
_EVENTS: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])


def read_event(text: str | bytes) -> AnyEvent:
    """The event that a consumer received; raises pydantic.ValidationError where it is none."""
    return _EVENTS.validate_json(text)
