"""What an analysis found: values that the report is written from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from assessment.judge import Judgement
from assessment.results import Outcome, join
from assessment.risk import WHOLE_FRAME, AssessmentStatus, RiskLevel, RiskType
from detection.detections import DetectedFrame, road_users


@dataclass(frozen=True, slots=True)
class Recording:
    """A video file; `duration_seconds` and `fps` are 0 where it does not say."""

    name: str
    width: int
    height: int
    codec: str
    fps: float
    duration_seconds: float
    started_at: datetime

    def moment(self, seconds: float) -> datetime:
        """When what the recording shows at `seconds` happened."""
        return self.started_at + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an analysis was made with, as far as a reader needs it to make it again."""

    every_seconds: float
    detector: str
    confidence_threshold: float
    iou_threshold: float
    distance_threshold_px: float
    cooldown_seconds: float
    llm_model: str
    asks: bool
    """Whether groups are assessed at all."""
    simulated: bool
    ask_from: float = 0.0
    """How dangerous a group must look by geometry and motion to be asked about."""


@dataclass(frozen=True, slots=True)
class Assessed:
    """One question and what became of it; `seconds` is the frame's place in the recording."""

    number: int
    frame_number: int
    seconds: float
    group_index: int
    status: AssessmentStatus
    reason: str = ""
    attempts: int = 0
    judgement: Judgement | None = None
    picture: bytes = b""
    """A small JPEG of what the model was shown."""

    @property
    def level(self) -> RiskLevel | None:
        """None unless it was answered: a question without an answer says nothing about the risk."""
        return self.judgement.verdict.level if self.judgement else None


@dataclass(frozen=True, slots=True)
class AnalysedFrame:
    """One sampled frame and the answers about it; `reason` says why nothing was asked."""

    number: int
    seconds: float
    frame: DetectedFrame
    reason: str
    assessed: tuple[Assessed, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """What its answers come to together; `skipped` where nothing was asked."""
        if not self.assessed:
            return Outcome(AssessmentStatus.SKIPPED, RiskLevel.NONE, partial=False)
        return join([(each.status, each.level) for each in self.assessed])

    @property
    def road_user_count(self) -> int:
        return len(road_users(self.frame.detections))

    def level_of(self, group_index: int) -> RiskLevel | None:
        """The answer about a group, or about the whole frame where that was asked."""
        levels = {each.group_index: each.level for each in self.assessed}
        return levels.get(group_index, levels.get(WHOLE_FRAME))


@dataclass(frozen=True, slots=True)
class DerivedAlert:
    """A danger that operators would have been shown, however many frames show it."""

    number: int
    risk_type: RiskType
    level: RiskLevel
    description: str
    risk_types: tuple[str, ...]
    opened_seconds: float
    last_seen_seconds: float
    times_seen: int
    frame_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything the report shows. `pictures` are JPEGs of telling frames, by the frame's number."""

    recording: Recording
    conditions: Conditions
    analysed_at: datetime
    took_seconds: float
    frames: tuple[AnalysedFrame, ...]
    alerts: tuple[DerivedAlert, ...]
    pictures: dict[int, bytes]
    stopped: str = ""
    """Why it ended before the recording did, empty when it did not."""

    @property
    def assessed(self) -> tuple[Assessed, ...]:
        """Every question of every frame, in order of time."""
        return tuple(each for frame in self.frames for each in frame.assessed)

    @property
    def analysed_seconds(self) -> float:
        """The last sampled frame's place in the recording, 0 when there is none."""
        return self.frames[-1].seconds if self.frames else 0.0
