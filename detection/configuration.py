"""The `model`, `tracking`, `post_processing` and `classes` parts of model_config.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from trafficmon.core.objects import ObjectClass

Share = Annotated[float, Field(gt=0, lt=1)]
Device = Annotated[str, StringConstraints(pattern=r"^(cpu|mps|cuda(:\d+)?)$")]


class Strict(BaseModel):
    """Unknown keys are mistakes; a configuration never changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ModelConfiguration(Strict):
    """Which weights find road users, where they run and what they keep."""

    name: str = "sample"
    """`sample` is the bundled demo detector; otherwise a path or a file in ALGO_WEIGHTS_DIR, such as `yolo11n.pt`."""
    backend: Literal["auto", "openvino", "ultralytics"] = "auto"
    device: Device = "cpu"
    confidence_threshold: Share = 0.35
    iou_threshold: Share = 0.50
    max_det: int = Field(default=200, ge=1, le=3000)
    half_precision: bool = False
    image_size: int = Field(default=640, ge=64, le=4096, multiple_of=32)
    rectangular: bool = True
    """Leave out the grey above and below wide pictures where OpenVINO weights were exported for square ones."""
    batch_size: int = Field(default=16, ge=1, le=256)
    """Pictures of several cameras that a GPU detects at once, at the most."""
    batch_wait_ms: float = Field(default=4, ge=0, le=1000)
    """How long the first of them waits for others while the GPU is idle."""


class TrackingConfiguration(Strict):
    """How identities are carried from frame to frame."""

    enabled: bool = True
    tracker: Literal["bytetrack", "botsort"] = "bytetrack"
    max_age: int = Field(default=30, ge=1, le=1000)
    """Detected pictures a track survives without being seen."""
    min_hits: int = Field(default=3, ge=1, le=100)
    """Detected pictures a track must be seen in before its identity is shown."""
    burst_detections: int = Field(default=1, ge=1, le=3)
    """Pictures detected of each burst: the more, the better road users are followed, and the more it costs."""


class GroupingConfiguration(Strict):
    """How road users close together become traffic groups."""

    enable_groups: bool = True
    distance_threshold: float = Field(default=150.0, gt=0)
    """Pixels between box centres."""
    min_group_size: int = Field(default=2, ge=2, le=1000)
    crop_margin: float = Field(default=12, ge=0)
    """Pixels by which a group's box grows before it is cut out."""
    parked_after_seconds: float = Field(default=60.0, gt=0)
    """A vehicle that has stood still for so long forms no groups until it moves; see `detection.standing`."""


class ClassesConfiguration(Strict):
    """The classes that are kept."""

    include: tuple[ObjectClass, ...] = Field(default=tuple(ObjectClass), min_length=1)


class DetectionConfiguration(Strict):
    """Everything detection needs to be told."""

    model: ModelConfiguration = ModelConfiguration()
    tracking: TrackingConfiguration = TrackingConfiguration()
    post_processing: GroupingConfiguration = GroupingConfiguration()
    classes: ClassesConfiguration = ClassesConfiguration()
