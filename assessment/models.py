"""What is kept: everything known of a frame, each question put to the model, the evidence, the alerts, the counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from django.db import connections, models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from assessment.risk import AssessmentStatus, RiskLevel, RiskType
from cameras.models import Camera, CountingLine
from detection.detections import Direction
from trafficmon.accounts.models import User
from trafficmon.core.objects import ROAD_USERS

STATUS_CHOICES = [
    (AssessmentStatus.PENDING.value, _("assessing")),
    (AssessmentStatus.DONE.value, _("assessed")),
    (AssessmentStatus.FAILED.value, _("failed")),
    (AssessmentStatus.EXPIRED.value, _("expired")),
    (AssessmentStatus.SKIPPED.value, _("not asked")),
]
LEVEL_CHOICES = [
    (RiskLevel.NONE.value, _("none")),
    (RiskLevel.LOW.value, _("low")),
    (RiskLevel.MEDIUM.value, _("medium")),
    (RiskLevel.HIGH.value, _("high")),
]
TYPE_CHOICES = [
    (RiskType.TAILGATING.value, _("following too closely")),
    (RiskType.UNSAFE_LANE_CHANGE.value, _("unsafe lane change")),
    (RiskType.EMERGENCY_LANE.value, _("driving in the emergency lane")),
    (RiskType.RED_LIGHT.value, _("running a red light")),
    (RiskType.WRONG_WAY.value, _("wrong way")),
    (RiskType.PEDESTRIAN_CONFLICT.value, _("conflict with a pedestrian")),
    (RiskType.COLLISION.value, _("collision")),
    (RiskType.ILLEGAL_STOP.value, _("stopped where it must not")),
    (RiskType.SPEEDING.value, _("speeding")),
    (RiskType.CONGESTION.value, _("congestion")),
    (RiskType.OTHER.value, _("other")),
]

DIRECTION_CHOICES = [(Direction.FORWARD.value, _("forward")), (Direction.BACKWARD.value, _("backward"))]
CLASS_CHOICES = [(each, each) for each in sorted(each.value for each in ROAD_USERS)]


def _known(field: str, choices: Sequence[tuple[str, object]], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [value for value, _label in choices]}), name=name)


class FrameResultQuerySet(models.QuerySet["FrameResult"]):
    def undecided(self) -> Self:
        """Those that still wait for answers or for their deadline."""
        return self.filter(status=AssessmentStatus.PENDING)

    def answered(self) -> Self:
        """Those not closed though none of their questions is pending any more."""
        return self.undecided().exclude(assessments__status=AssessmentStatus.PENDING)


class FrameResult(models.Model):
    """Everything known of one analysed frame."""

    camera = models.ForeignKey(Camera, models.CASCADE, related_name="frame_results", verbose_name=_("camera"))
    frame_key = models.CharField(_("frame"), max_length=64, unique=True)
    captured_at = models.DateTimeField(_("captured"))
    detected_at = models.DateTimeField(_("detected"))
    deadline_at = models.DateTimeField(_("deadline"))
    closed_at = models.DateTimeField(_("closed"), null=True)
    width = models.PositiveIntegerField(_("width"))
    height = models.PositiveIntegerField(_("height"))
    detections = models.JSONField(_("detections"), default=list)
    traffic_groups = models.JSONField(_("traffic groups"), default=list)
    process_seconds = models.FloatField(_("detection took"))
    model = models.CharField(_("detector"), max_length=200)
    tracking_enabled = models.BooleanField(_("tracking"), default=False)
    burst = models.JSONField(
        _("burst"), default=list, help_text=_("Frames sampled with it, where a question needs them.")
    )
    evidence_key = models.CharField(
        _("evidence"),
        max_length=64,
        blank=True,
        default="",
        help_text=_("The frame as the camera's main stream has it."),
    )
    status = models.CharField(_("assessment"), max_length=16, choices=STATUS_CHOICES)
    reason = models.CharField(_("reason"), max_length=100, blank=True)
    max_risk_level = models.CharField(_("risk"), max_length=8, choices=LEVEL_CHOICES, default=RiskLevel.NONE.value)
    partial = models.BooleanField(
        _("partial"), default=False, help_text=_("Some questions of this frame have no answer.")
    )

    objects = FrameResultQuerySet.as_manager()

    class Meta:
        ordering = ("-captured_at",)
        verbose_name = _("frame result")
        verbose_name_plural = _("frame results")
        indexes = [
            models.Index(fields=("camera", "-captured_at"), name="frame_by_camera_and_time"),
            models.Index(fields=("captured_at",), name="frame_by_time"),
            models.Index(fields=("deadline_at",), condition=Q(status="pending"), name="frame_undecided_by_deadline"),
        ]
        constraints = [
            _known("status", STATUS_CHOICES, "frame_status_known"),
            _known("max_risk_level", LEVEL_CHOICES, "frame_risk_known"),
            models.CheckConstraint(
                condition=~Q(status="pending") | Q(closed_at__isnull=True), name="frame_pending_is_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.camera_id} {self.captured_at:%Y-%m-%d %H:%M:%S}"


class AssessmentQuerySet(models.QuerySet["Assessment"]):
    def pending(self) -> Self:
        """Those without an outcome yet, leased or not, overdue or not."""
        return self.filter(status=AssessmentStatus.PENDING)

    def claimable(self, now: datetime) -> Self:
        """Those a worker may take now: due, within their deadline, and leased to nobody alive."""
        free = Q(lease_token="") | Q(lease_until__lte=now)
        return self.pending().filter(free, next_at__lte=now, deadline_at__gt=now)

    def skipping_locked(self) -> Self:
        """Without the rows that another transaction is just claiming, where the database can tell."""
        if connections[self.db].features.has_select_for_update_skip_locked:
            return self.select_for_update(skip_locked=True)
        return self

    def most_pressing_first(self) -> Self:
        """The urgent before all others, then by nearness of the deadline."""
        return self.order_by("-urgent", "deadline_at", "pk")


class Assessment(models.Model):
    """One question to the model about one traffic group (or, with index 0, the whole frame), and its outcome."""

    frame_result = models.ForeignKey(FrameResult, models.CASCADE, related_name="assessments", verbose_name=_("frame"))
    group_index = models.PositiveIntegerField(_("traffic group"))
    urgent = models.BooleanField(_("urgent"), default=False)
    status = models.CharField(
        _("status"), max_length=16, choices=STATUS_CHOICES, default=AssessmentStatus.PENDING.value
    )
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("asked"))
    next_at = models.DateTimeField(_("not before"))
    deadline_at = models.DateTimeField(_("deadline"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    lease_token = models.CharField(_("lease"), max_length=32, blank=True)
    lease_until = models.DateTimeField(_("leased until"), null=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)

    risk_level = models.CharField(_("risk"), max_length=8, choices=LEVEL_CHOICES, blank=True)
    risk_type = models.CharField(_("type"), max_length=32, choices=TYPE_CHOICES, blank=True)
    description = models.TextField(_("description"), blank=True)
    confidence = models.FloatField(_("confidence"), null=True)
    risk_types = models.JSONField(_("risk types"), default=list)
    danger_object_count = models.PositiveIntegerField(_("objects in danger"), default=0)
    trigger_object_ids = models.JSONField(_("objects that caused it"), default=list)

    llm_model = models.CharField(_("model"), max_length=100, blank=True)
    prompt_version = models.CharField(_("prompt"), max_length=100, blank=True)
    llm_seconds = models.FloatField(_("model took"), null=True)
    input_tokens = models.PositiveIntegerField(_("tokens in"), default=0)
    output_tokens = models.PositiveIntegerField(_("tokens out"), default=0)
    raw_text = models.TextField(_("the model's words"), blank=True)

    objects = AssessmentQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        verbose_name = _("assessment")
        verbose_name_plural = _("assessments")
        indexes = [
            models.Index(fields=("-urgent", "deadline_at"), condition=Q(status="pending"), name="assessment_waiting"),
            models.Index(fields=("-created_at",), name="assessment_by_time"),
        ]
        constraints = [
            models.UniqueConstraint(fields=("frame_result", "group_index"), name="one_assessment_per_group"),
            _known("status", STATUS_CHOICES, "assessment_status_known"),
            models.CheckConstraint(
                condition=(Q(status="done") & ~Q(risk_level="")) | (~Q(status="done") & Q(risk_level="")),
                name="assessment_has_level_only_when_done",
            ),
            models.CheckConstraint(
                condition=Q(risk_level__in=["", *RiskLevel]) & Q(risk_type__in=["", *RiskType]),
                name="assessment_risk_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.frame_result_id}/{self.group_index} {self.status}"


class EvidenceKind(models.TextChoices):
    """What a kept picture shows."""

    FRAME = "frame", _("whole picture")
    CROP = "crop", _("traffic group")


class Evidence(models.Model):
    """A picture kept to explain a verdict, with the digest that shows it was not altered."""

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="evidence", verbose_name=_("assessment"))
    kind = models.CharField(_("kind"), max_length=8, choices=EvidenceKind.choices)
    picture = models.FileField(_("picture"), max_length=200)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    created_at = models.DateTimeField(_("kept"), auto_now_add=True)

    class Meta:
        verbose_name = _("evidence")
        verbose_name_plural = _("evidence")
        constraints = [
            models.UniqueConstraint(fields=("assessment", "kind"), name="one_picture_of_a_kind"),
            models.CheckConstraint(condition=Q(kind__in=EvidenceKind.values), name="evidence_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.assessment_id} {self.kind}"


class AlertKind(models.TextChoices):
    """What an alert is about."""

    DANGER = "danger", _("danger")
    CAMERA_LOST = "camera_lost", _("camera lost")


class AlertState(models.TextChoices):
    """Where an alert stands with the operator."""

    OPEN = "open", _("open")
    ACKNOWLEDGED = "acknowledged", _("acknowledged")
    CLOSED = "closed", _("closed")


class AlertQuerySet(models.QuerySet["Alert"]):
    def live(self) -> Self:
        """Open or acknowledged: those that can still be continued."""
        return self.exclude(state=AlertState.CLOSED)

    def dangers(self) -> Self:
        """Those that verdicts raised: what continues, escalates and ends by not being seen."""
        return self.filter(kind=AlertKind.DANGER)

    def cameras_lost(self) -> Self:
        """Those about cameras that give no pictures."""
        return self.filter(kind=AlertKind.CAMERA_LOST)

    def visible_to(self, user: User) -> Self:
        """Those of the cameras that `user` may see."""
        return self.filter(camera__in=Camera.objects.visible_to(user))


class Alert(models.Model):
    """One danger that an operator sees, however many frames show it; or one camera that is gone.

    Of a lost camera `opened_at` is since when it is gone, its type is `other`, and it has no place and no verdict.
    """

    kind = models.CharField(_("kind"), max_length=16, choices=AlertKind.choices, default=AlertKind.DANGER)
    camera = models.ForeignKey(Camera, models.CASCADE, related_name="alerts", verbose_name=_("camera"))
    assessment = models.ForeignKey(
        Assessment, models.SET_NULL, null=True, related_name="alerts", verbose_name=_("latest assessment")
    )
    risk_type = models.CharField(_("type"), max_length=32, choices=TYPE_CHOICES)
    risk_level = models.CharField(_("risk"), max_length=8, choices=LEVEL_CHOICES)
    state = models.CharField(_("state"), max_length=16, choices=AlertState.choices, default=AlertState.OPEN)
    description = models.TextField(_("description"), blank=True)
    risk_types = models.JSONField(_("risk types"), default=list)
    place = models.JSONField(_("place"), default=list, help_text=_("Box of the traffic group in the latest frame, px."))
    track_ids = models.JSONField(_("tracks"), default=list)
    times_seen = models.PositiveIntegerField(_("times seen"), default=1)
    opened_at = models.DateTimeField(_("opened"))
    last_seen_at = models.DateTimeField(_("last seen"))
    closed_at = models.DateTimeField(_("closed"), null=True)
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True)
    acknowledged_by = models.ForeignKey(
        User, models.SET_NULL, null=True, related_name="acknowledged_alerts", verbose_name=_("acknowledged by")
    )

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ("-opened_at", "-pk")
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        indexes = [
            models.Index(fields=("-opened_at", "-id"), name="alert_by_time"),
            models.Index(fields=("camera", "-opened_at"), name="alert_by_camera_and_time"),
            models.Index(fields=("last_seen_at",), condition=~Q(state="closed"), name="alert_live_by_last_seen"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=AlertKind.values), name="alert_kind_known"),
            models.UniqueConstraint(
                fields=("camera",),
                condition=Q(kind="camera_lost") & ~Q(state="closed"),
                name="one_live_alert_per_lost_camera",
            ),
            models.CheckConstraint(condition=Q(state__in=AlertState.values), name="alert_state_known"),
            models.CheckConstraint(
                condition=Q(risk_level__in=list(RiskLevel)) & Q(risk_type__in=list(RiskType)), name="alert_risk_known"
            ),
            models.CheckConstraint(condition=Q(last_seen_at__gte=F("opened_at")), name="alert_seen_after_opened"),
            models.CheckConstraint(
                condition=Q(state="closed", closed_at__isnull=False) | (~Q(state="closed") & Q(closed_at__isnull=True)),
                name="alert_closed_has_a_moment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.camera}: {self.name} {self.risk_level}"

    @property
    def name(self) -> str:
        """What it is called on pages."""
        is_danger = self.kind == AlertKind.DANGER
        return str(self.get_risk_type_display() if is_danger else self.get_kind_display())


class LineCount(models.Model):
    """How many road users of one class crossed a counting line one way within an hour."""

    line = models.ForeignKey(CountingLine, models.CASCADE, related_name="counts", verbose_name=_("counting line"))
    hour = models.DateTimeField(_("hour"), help_text=_("Its beginning."))
    object_class = models.CharField(_("class"), max_length=16, choices=CLASS_CHOICES)
    direction = models.CharField(_("direction"), max_length=8, choices=DIRECTION_CHOICES)
    count = models.PositiveIntegerField(_("count"), default=0)

    class Meta:
        ordering = ("-hour", "line", "object_class", "direction")
        verbose_name = _("count of an hour")
        verbose_name_plural = _("counts by the hour")
        indexes = [models.Index(fields=("-hour",), name="line_count_by_hour")]
        constraints = [
            models.UniqueConstraint(
                fields=("line", "hour", "object_class", "direction"), name="one_count_of_an_hour_and_kind"
            ),
            _known("object_class", CLASS_CHOICES, "line_count_class_known"),
            _known("direction", DIRECTION_CHOICES, "line_count_direction_known"),
        ]

    def __str__(self) -> str:
        return f"{self.line_id} {self.hour:%Y-%m-%d %H}:00 {self.object_class} {self.direction}: {self.count}"
