"""The closed sets of judging: levels, types and states, and the parsed answer. No Django, no Redis, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class RiskLevel(StrEnum):
    """How dangerous a group is; ordered by `severity`."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def severity(self) -> int:
        """From 0 for `none` to 3 for `high`."""
        return list(RiskLevel).index(self)


class RiskType(StrEnum):
    """What kind of danger, as a code for messages, storage and metric labels."""

    TAILGATING = "tailgating"
    UNSAFE_LANE_CHANGE = "unsafe_lane_change"
    EMERGENCY_LANE = "emergency_lane"
    RED_LIGHT = "red_light"
    WRONG_WAY = "wrong_way"
    PEDESTRIAN_CONFLICT = "pedestrian_conflict"
    COLLISION = "collision"
    ILLEGAL_STOP = "illegal_stop"
    SPEEDING = "speeding"
    CONGESTION = "congestion"
    OTHER = "other"


class AssessmentStatus(StrEnum):
    """Where a question stands; only `done` can carry a level that means anything."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    SKIPPED = "skipped"


class JudgedBy(StrEnum):
    """Whose word a verdict is."""

    MODEL = "model"
    REUSE = "reuse"
    """A model's, about a group that looked the same seconds ago."""
    GEOMETRY = "geometry"
    """Nobody's: how it looks by geometry and motion, where no model may be asked."""


class SkipReason(StrEnum):
    """Why a model is not asked about a traffic group."""

    SWITCHED_OFF = "switched_off"
    TOO_FEW = "too_few_road_users"
    LOW_PRIOR = "low_prior"
    COOLDOWN = "cooldown"
    DUPLICATE = "duplicate_of_recent"
    URGENT_ONLY = "urgent_only"
    NO_MODEL = "no_model"
    """The ladder stands where none is asked."""


TERMINAL = frozenset(
    {AssessmentStatus.DONE, AssessmentStatus.FAILED, AssessmentStatus.EXPIRED, AssessmentStatus.SKIPPED}
)

WHOLE_FRAME = 0
"""The group index of an assessment that judges the frame as a whole."""


@dataclass(frozen=True, slots=True)
class RiskVerdict:
    """The parsed answer for one traffic group (or the whole frame, `group_index` 0)."""

    group_index: int
    level: RiskLevel
    type: RiskType
    description: str
    confidence: float
    risk_types: tuple[str, ...]
    danger_object_count: int
    trigger_object_ids: tuple[int, ...]


def highest(levels: Iterable[RiskLevel]) -> RiskLevel:
    """The most severe of `levels`; `none` when there are none."""
    return max(levels, key=lambda level: level.severity, default=RiskLevel.NONE)
