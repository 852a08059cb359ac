"""Everything known of a frame, each question put to the model, and the evidence."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from django.db import connections, models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from assessment.models.choices import (
    JUDGED_BY_CHOICES,
    LEVEL_CHOICES,
    PRIOR_CHOICES,
    SKIP_CHOICES,
    STATUS_CHOICES,
    TYPE_CHOICES,
    known,
)
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel, RiskType
from cameras.models import Camera


class FrameResultQuerySet(models.QuerySet["FrameResult"]):
    def undecided(self) -> Self:
        """Those that still wait for answers or for their deadline."""
        return self.filter(status=AssessmentStatus.PENDING)

    def answered(self) -> Self:
        """Those not closed though none of their questions is pending any more.

        Not by `Exists`: PostgreSQL, which knows little of a table that changes so fast, would then compare each frame
        with each question.
        """
        return self.undecided().exclude(pk__in=Assessment.objects.pending().values("frame_result"))

    def with_groups_left_out(self) -> Self:
        """Those with a group that nobody was asked about."""
        return self.exclude(skipped_groups=[])

    def skipping_locked(self) -> Self:
        """Without the rows that another transaction is just closing, where the database can tell."""
        if connections[self.db].features.has_select_for_update_skip_locked:
            return self.select_for_update(skip_locked=True)
        return self


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
    skipped_groups = models.JSONField(
        _("not asked about"), default=list, help_text=_("Group, reason, and how dangerous it looks by geometry.")
    )

    objects = FrameResultQuerySet.as_manager()

    class Meta:
        ordering = ("-captured_at",)
        verbose_name = _("frame result")
        verbose_name_plural = _("frame results")
        indexes = [
            models.Index(fields=("camera", "-captured_at"), name="frame_by_camera_and_time"),
            models.Index(fields=("captured_at",), name="frame_by_time"),
            models.Index(
                fields=("-captured_at", "-id"), condition=~Q(skipped_groups=[]), name="frame_with_skipped_by_time"
            ),
            models.Index(fields=("deadline_at",), condition=Q(status="pending"), name="frame_undecided_by_deadline"),
        ]
        constraints = [
            known("status", STATUS_CHOICES, "frame_status_known"),
            known("max_risk_level", LEVEL_CHOICES, "frame_risk_known"),
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

    def put_to_models(self) -> Self:
        """Those that a model answered, or was or is to answer."""
        return self.filter(judged_by=JudgedBy.MODEL)

    def unanswered(self) -> Self:
        """Those that ended without a verdict."""
        return self.filter(status__in=[AssessmentStatus.FAILED, AssessmentStatus.EXPIRED])

    def rejected(self) -> Self:
        """Those in which a model saw no danger, or too little for an alert."""
        answered = self.filter(status=AssessmentStatus.DONE, judged_by__in=[JudgedBy.MODEL, JudgedBy.REUSE])
        return answered.filter(risk_level__in=[RiskLevel.NONE, RiskLevel.LOW])

    def claimable(self, now: datetime, *, least: timedelta = timedelta(0)) -> Self:
        """Those a worker may take now: due, at least so far from their deadline, and leased to nobody alive."""
        return self.pending().filter(_held_by_nobody(now), next_at__lte=now, deadline_at__gt=now + least)

    def hopeless(self, now: datetime, *, least: timedelta) -> Self:
        """Those that nobody works on and whose deadline is too near for an answer."""
        return self.pending().filter(_held_by_nobody(now), deadline_at__lte=now + least)

    def in_line(self, now: datetime) -> Self:
        """Those that wait for a worker and for whichever key: not what failed by itself and waits to be tried again,
        what may go to one key or account only, and what was put again."""
        return self.pending().filter(_held_by_nobody(now), attempts=0, camera__route=None, late=False)

    def most_pressing_first(self) -> Self:
        """The urgent before all others, then in the order of their turns, which are fair over the cameras."""
        return self.order_by("-urgent", "turn_at", "pk")


def _held_by_nobody(now: datetime) -> Q:
    return Q(lease_token="") | Q(lease_until__lte=now)


class Assessment(models.Model):
    """One question to the model about one traffic group (or, with index 0, the whole frame), and its outcome."""

    frame_result = models.ForeignKey(FrameResult, models.CASCADE, related_name="assessments", verbose_name=_("frame"))
    camera = models.ForeignKey(
        Camera,
        models.CASCADE,
        related_name="assessments",
        verbose_name=_("camera"),
        help_text=_("That of the frame: turns and reuse look for it."),
    )
    group_index = models.PositiveIntegerField(_("traffic group"))
    urgent = models.BooleanField(_("urgent"), default=False)
    status = models.CharField(
        _("status"), max_length=16, choices=STATUS_CHOICES, default=AssessmentStatus.PENDING.value
    )
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("asked"))
    turn_at = models.DateTimeField(
        _("turn"), help_text=_("The more of a camera's questions wait, the later the turn of its next.")
    )
    next_at = models.DateTimeField(_("not before"))
    deadline_at = models.DateTimeField(_("deadline"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    lease_token = models.CharField(_("lease"), max_length=32, blank=True)
    lease_until = models.DateTimeField(_("leased until"), null=True)
    attempts = models.PositiveSmallIntegerField(
        _("attempts"), default=0, help_text=_("Calls that failed by themselves; throttled ones do not count.")
    )
    takeovers = models.PositiveSmallIntegerField(
        _("takeovers"), default=0, db_default=0, help_text=_("Workers that held it and died.")
    )
    calls = models.PositiveSmallIntegerField(_("calls"), default=0, help_text=_("Requests that were sent for it."))
    late = models.BooleanField(
        _("late"), default=False, help_text=_("Answered after its deadline: it raises no live alert.")
    )
    judged_by = models.CharField(_("judged by"), max_length=16, choices=JUDGED_BY_CHOICES, default=JudgedBy.MODEL.value)
    reused_from = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="reused_by",
        verbose_name=_("verdict of"),
        help_text=_("The assessment of a moment before whose verdict this is."),
    )
    sampled_from = models.CharField(
        _("sampled from"),
        max_length=32,
        choices=SKIP_CHOICES,
        blank=True,
        help_text=_("Why it would not have been asked about, had it not been drawn to know what the gate misses."),
    )
    prior = models.FloatField(
        _("prior"), null=True, help_text=_("How dangerous it looked by geometry and motion, 0 to 1.")
    )
    prior_reason = models.CharField(_("because"), max_length=32, choices=PRIOR_CHOICES, blank=True)
    traceparent = models.CharField(
        _("trace"),
        max_length=55,
        blank=True,
        default="",
        db_default="",
        help_text=_("The step that asked, as W3C has it."),
    )
    account = models.CharField(_("account"), max_length=64, blank=True)
    key = models.CharField(_("API key"), max_length=64, blank=True)

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
            models.Index(fields=("-urgent", "turn_at"), condition=Q(status="pending"), name="assessment_waiting"),
            models.Index(fields=("turn_at",), condition=Q(status="pending"), name="assessment_by_turn"),
            models.Index(
                fields=("camera", "turn_at"), condition=Q(status="pending"), name="assessment_turns_of_camera"
            ),
            models.Index(fields=("camera", "-created_at"), name="assessment_by_camera_and_time"),
            models.Index(fields=("-created_at",), name="assessment_by_time"),
            models.Index(
                fields=("-created_at", "-id"),
                condition=Q(status__in=["failed", "expired"]),
                name="unanswered_by_time",
            ),
            models.Index(
                fields=("camera", "-created_at", "-id"),
                condition=Q(status__in=["failed", "expired"]),
                name="unanswered_by_camera",
            ),
            models.Index(fields=("created_at",), condition=~Q(sampled_from=""), name="assessment_sampled_by_time"),
            models.Index(
                fields=("reused_from",), condition=Q(reused_from__isnull=False), name="assessment_reused_by_original"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=("frame_result", "group_index"), name="one_assessment_per_group"),
            known("status", STATUS_CHOICES, "assessment_status_known"),
            known("judged_by", JUDGED_BY_CHOICES, "assessment_judge_known"),
            models.CheckConstraint(
                condition=Q(sampled_from__in=["", *(value for value, _label in SKIP_CHOICES)]),
                name="assessment_sample_known",
            ),
            models.CheckConstraint(
                condition=Q(prior_reason__in=["", *(value for value, _label in PRIOR_CHOICES)]),
                name="assessment_prior_known",
            ),
            models.CheckConstraint(
                condition=Q(judged_by="model") | Q(status="done", calls=0, sampled_from=""),
                name="assessment_without_a_model_is_done",
            ),
            models.CheckConstraint(
                condition=Q(judged_by="reuse") | Q(reused_from__isnull=True), name="assessment_reused_is_named"
            ),
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
    EARLIER = "earlier", _("a moment before")


class Evidence(models.Model):
    """A picture kept to explain a verdict, with the digest that shows it was not altered."""

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="evidence", verbose_name=_("assessment"))
    kind = models.CharField(_("kind"), max_length=8, choices=EvidenceKind.choices)
    number = models.PositiveSmallIntegerField(
        _("number"), default=0, help_text=_("Of several of a kind: their order in time.")
    )
    picture = models.FileField(_("picture"), max_length=200)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    created_at = models.DateTimeField(_("kept"), auto_now_add=True)

    class Meta:
        verbose_name = _("evidence")
        verbose_name_plural = _("evidence")
        constraints = [
            models.UniqueConstraint(fields=("assessment", "kind", "number"), name="one_picture_of_a_kind"),
            models.CheckConstraint(condition=Q(kind__in=EvidenceKind.values), name="evidence_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.assessment_id} {self.kind}"
