"""Every WebSocket message to a client. Only here and in `incoming` is the outside contract's camelCase translated."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from assessment.ladder import LadderLevel, LadderReason
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel, RiskType, SkipReason
from trafficmon.core.objects import ObjectClass

Corners = tuple[float, float, float, float]
"""[x1, y1, x2, y2] in pixels of the source frame."""


class Part(BaseModel):
    """Anything that is spelled in camelCase outside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    def as_dict(self) -> dict[str, object]:
        """What is spelled outside; fields that are not known are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Outgoing(Part):
    """The `data` of a message to a client."""

    type_name: ClassVar[str]

    def as_text(self) -> str:
        return f'{{"type":"{self.type_name}","data":{self.as_json()}}}'

    def as_json(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_none=True)


class StoodIn(Part):
    name: str
    kind: str


class DetectedObject(Part):
    id: int
    """Its place in `detected_objects`, from 1: what `trigger_object_ids` name. `member_indices` count from 0."""
    object_class: ObjectClass = Field(alias="class")
    confidence: float
    bbox: Corners
    track_id: int | None = None
    zones: tuple[StoodIn, ...] | None = None
    parked: bool | None = None
    against_lane: bool | None = None
    speed_kmh: float | None = None
    speed_deviation_kmh: float | None = None


class GroupVerdict(Part):
    """Where the judging of one traffic group stands; the risk, and whose word it is, only once it is assessed."""

    group_index: int
    assessment_status: AssessmentStatus
    judged_by: JudgedBy | None = None
    skip_reason: SkipReason | None = None
    """Why no model is asked about it, where none is."""
    prior: float | None = None
    """How dangerous it looks by geometry and motion alone, where that was looked at."""
    risk_level: RiskLevel | None = None
    risk_types: tuple[str, ...] | None = None
    alert_description: str | None = None
    alert_confidence: float | None = None


class ShownGroup(GroupVerdict):
    object_count: int
    bbox: Corners
    classes: tuple[ObjectClass, ...]
    average_confidence: float
    member_indices: tuple[int, ...]
    closing_speed_kmh: float | None = None
    closing_speed_deviation_kmh: float | None = None


class GroupImage(Part):
    group_index: int
    image_base64: str
    bbox: Corners
    object_count: int
    classes: tuple[ObjectClass, ...]


class DangerousDrivingResult(Part):
    group_index: int
    judged_by: JudgedBy = JudgedBy.MODEL
    type: RiskType
    description: str
    risk_level: RiskLevel
    confidence: float
    risk_types: tuple[str, ...]
    danger_object_count: int
    trigger_object_ids: tuple[int, ...]


class FrameVerdict(Outgoing):
    """What the model said of one frame: the frame captured at `frame_timestamp`."""

    frame_timestamp: str | None = None
    dangerous_driving_results: tuple[DangerousDrivingResult, ...] = ()
    has_dangerous_driving: bool = False
    max_risk_level: RiskLevel = RiskLevel.NONE
    llm_latency: float = 0.0
    llm_model: str = ""
    llm_raw_text: str = ""


class AssessmentResult(FrameVerdict):
    """A verdict after its detection. `partial`: some questions have no answer; `late`: one was put again."""

    type_name: ClassVar[str] = "assessment_result"

    camera_id: int
    assessment_status: AssessmentStatus
    partial: bool = False
    late: bool = False
    reason: str = ""
    traffic_groups: tuple[GroupVerdict, ...] = ()
    traceparent: str | None = None
    """The step of the frame's trace that told of it, as W3C has it; only where frames are traced."""


class DetectionResult(FrameVerdict):
    """What one frame shows, and the camera's last verdict with the moment of the frame that verdict belongs to."""

    type_name: ClassVar[str] = "detection_result"

    camera_id: int
    timestamp: str
    frame: str = ""
    frame_key: str
    image_width: int
    image_height: int
    detected_objects: tuple[DetectedObject, ...]
    traffic_groups: tuple[ShownGroup, ...]
    group_images: tuple[GroupImage, ...] = ()
    assessment_status: AssessmentStatus
    partial: bool = False
    assessment_reason: str = ""
    """Why nothing is asked of this frame, where nothing is."""
    verdict_status: AssessmentStatus | None = None
    """The assessment status of the frame that the verdict belongs to."""
    verdict_partial: bool | None = None
    """Whether some questions of that frame have no answer."""
    process_time: float
    model_type: str
    supported_classes: tuple[ObjectClass, ...]
    tracking_enabled: bool
    server_draw_enabled: bool = False
    traceparent: str | None = None
    """As that of an assessment result."""

    def with_verdict(self, verdict: AssessmentResult | None) -> Self:
        """The same frame with the camera's last verdict; where that is this frame's own, its groups carry theirs."""
        if verdict is None or (self.frame_timestamp or "") > (verdict.frame_timestamp or ""):
            return self
        carried: dict[str, object] = {name: getattr(verdict, name) for name in FrameVerdict.model_fields}
        carried |= {"verdict_status": verdict.assessment_status, "verdict_partial": verdict.partial}
        if verdict.frame_timestamp == self.timestamp:
            carried |= {"assessment_status": verdict.assessment_status, "partial": verdict.partial}
            carried["traffic_groups"] = self._judged_groups({each.group_index: each for each in verdict.traffic_groups})
        return self.model_copy(update=carried)

    def _judged_groups(self, verdicts: dict[int, GroupVerdict]) -> tuple[ShownGroup, ...]:
        return tuple(
            group.model_copy(update=dict(verdicts[group.group_index])) if group.group_index in verdicts else group
            for group in self.traffic_groups
        )


class AlertChange(StrEnum):
    OPENED = "opened"
    UPDATED = "updated"
    ESCALATED = "escalated"
    """More dangerous than before: open again, also where it was acknowledged."""
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class AlertStanding(Part):
    """Where an alert stands now."""

    alert_id: int
    kind: Literal["danger", "camera_lost"] = "danger"
    """A lost camera is no danger: it has no place, its `type` is `other`, and it does not end by not being seen."""
    camera_id: int
    camera_name: str
    state: str
    risk_level: RiskLevel
    type: RiskType
    type_name_shown: str = Field(alias="typeName")
    risk_types: tuple[str, ...]
    description: str
    bbox: tuple[float, ...]
    track_ids: tuple[int, ...]
    times_seen: int
    opened_at: str
    last_seen_at: str
    continues: bool
    stale_at: str | None = None
    closes_at: str | None = None
    seconds_left: float | None = None
    """These three are of dangers only."""
    acknowledged_at: str | None = None
    acknowledged_by: str | None = None
    closed_at: str | None = None


class AlertMessage(Outgoing, AlertStanding):
    """What happened to an alert (`change`), and where it stands now."""

    type_name: ClassVar[str] = "alert"

    change: AlertChange
    replayed: bool = False
    """Told again, to a page that has just opened or at a heartbeat: nothing changed at this moment."""


class AlertList(Outgoing):
    """Every live alert of the cameras that the client watches: what is not in it has ended."""

    type_name: ClassVar[str] = "alert_list"

    alerts: tuple[AlertMessage, ...]


class CameraStatus(Outgoing):
    """`status` 1 up, 0 down. `state` and `since` say what was seen and from when."""

    type_name: ClassVar[str] = "camera_status"

    camera_id: int
    status: Literal[0, 1]
    message: str
    latency_ms: float | None = None
    state: str | None = None
    since: str | None = None


class StreamStopped(Outgoing):
    type_name: ClassVar[str] = "stream_stopped"

    camera_id: int
    reason: str


class ConnectionAck(Outgoing):
    type_name: ClassVar[str] = "connection_ack"

    message: str
    server_time: str
    heartbeat_seconds: float


class ListedCamera(Part):
    camera_id: int
    name: str
    interval_seconds: float


class CameraList(Outgoing):
    """The cameras this client may see: after connecting, and whenever that changes."""

    type_name: ClassVar[str] = "camera_list"

    cameras: tuple[ListedCamera, ...]


class Ladder(Part):
    """How far assessment is reduced, why (`reason`, empty where it is not) and since when."""

    level: LadderLevel
    reason: LadderReason
    since: str | None = Field(default=None, exclude_if=lambda since: since is None)


class LoadMessage(Outgoing):
    """What cannot be kept up with: by what every camera's interval is stretched for want of detection (1: not at all),
    and how far assessment is reduced."""

    type_name: ClassVar[str] = "load"

    stretch: float
    interval_seconds: float
    """Of a camera without an interval of its own, stretched."""
    usual_interval_seconds: float
    ladder: Ladder


class Heartbeat(Outgoing):
    """The server's ping; a client need not answer it."""

    type_name: ClassVar[str] = "ping"

    server_time: str


class Pong(Outgoing):
    type_name: ClassVar[str] = "pong"

    server_time: str
    echo: float | str | None = None


class ErrorMessage(Outgoing):
    """A refused or impossible request: `request` is the type of what was asked, `code` for programs."""

    type_name: ClassVar[str] = "error"

    code: str
    message: str
    request: str | None = None
    camera_id: int | None = None


def pack_picture(message: DetectionResult, jpeg: bytes) -> bytes:
    """A binary message: 4 bytes big-endian length of the JSON text, the JSON text in UTF-8, the JPEG."""
    text = message.as_text().encode()
    return len(text).to_bytes(4, "big") + text + jpeg
