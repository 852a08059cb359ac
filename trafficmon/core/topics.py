"""What other systems can be told of."""

from __future__ import annotations

from enum import StrEnum


class Topic(StrEnum):
    """The kinds of exported events, and the names of the topics they go to."""

    DETECTION_RESULTS = "detection-results"
    ASSESSMENT_TASKS = "assessment-tasks"
    RISK_ASSESSMENT_RESULTS = "risk-assessment-results"
    ALERTS = "alerts"
    DEAD_LETTERS = "dead-letters"
