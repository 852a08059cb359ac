"""Cameras, who may see them, and what is drawn on their pictures: zones and counting lines."""

from __future__ import annotations

from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from cameras.addresses import check_source, mask_credentials
from cameras.calibrations import check_calibration
from cameras.fields import EncryptedTextField
from cameras.polygons import check_classes, check_line, check_polygon
from trafficmon.accounts.models import User


class CameraGroup(models.Model):
    """Cameras that belong together, and the people who may see them."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    viewers = models.ManyToManyField(
        User,
        blank=True,
        related_name="camera_groups",
        verbose_name=_("viewers"),
        help_text=_("Supervisors and administrators see every camera; others those of the groups named here."),
    )

    class Meta:
        ordering = ("name",)
        verbose_name = _("camera group")
        verbose_name_plural = _("camera groups")

    def __str__(self) -> str:
        return self.name


class Wanted(models.TextChoices):
    """What an operator asked for; the fleet sees to it."""

    RUNNING = "running", _("running")
    STOPPED = "stopped", _("stopped")


class StreamState(models.TextChoices):
    """What was seen, never what was asked for."""

    UNKNOWN = "unknown", _("not tried yet")
    CONNECTING = "connecting", _("connecting")
    ONLINE = "online", _("online")
    STALE = "stale", _("no new picture")
    OFFLINE = "offline", _("offline")
    STOPPED = "stopped", _("stopped")


class Sampling(models.TextChoices):
    """Which frames are decoded."""

    KEY_FRAME = "key_frame", _("key frames only")
    BURST = "burst", _("a short burst")
    EVERY_FRAME = "every_frame", _("every frame")


class CameraQuerySet(models.QuerySet["Camera"]):
    def visible_to(self, user: User) -> Self:
        """The cameras that `user` may see."""
        if user.sees_every_camera:
            return self
        return self.filter(pk__in=Camera.objects.filter(group__viewers=user).values("pk"))

    def wanted_running(self) -> Self:
        return self.filter(wanted=Wanted.RUNNING)


class _Kept(models.Manager["Camera"]):
    """Without those that were removed, of which only what deletes them need know."""

    def get_queryset(self) -> models.QuerySet[Camera]:
        return super().get_queryset().filter(removed_at=None)


KeptCameras = _Kept.from_queryset(CameraQuerySet)
CHECK_CAMERAS = "End-to-end check"
"""How the names begin of those that `manage.py e2e` makes and deletes."""


class Camera(models.Model):
    """A configured source of pictures."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    group = models.ForeignKey(
        CameraGroup, models.SET_NULL, null=True, blank=True, related_name="cameras", verbose_name=_("group")
    )
    source = EncryptedTextField(
        _("source"),
        validators=[check_source],
        help_text=_(
            "rtsp://user:password@host/path, http(s) stream, path of a video file below the media folder, or "
            "street://junction?seed=1. Kept encrypted and shown without the password."
        ),
    )
    detection_source = EncryptedTextField(
        _("source for detection"),
        blank=True,
        default="",
        validators=[check_source],
        help_text=_(
            "A smaller stream of the same camera, on which road users are found; evidence is cut from the source "
            "above. Empty: both are done on that."
        ),
    )
    frame_interval = models.FloatField(
        _("seconds between frames"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0.04)],
        help_text=_("Empty: the interval of the installation."),
    )
    sampling = models.CharField(_("sampling"), max_length=16, choices=Sampling.choices, default=Sampling.BURST)
    calibration = models.JSONField(
        _("calibration"),
        null=True,
        blank=True,
        validators=[check_calibration],
        help_text=_(
            'For speeds: four places of a flat road, in the same order, as {"picture": [[x, y], ...], "road": [[x, y], '
            "...]}. In the picture they are shares of its width and height, 0 to 1; on the road metres from any one of "
            "them. Choose them far apart and around the stretch that matters, such as the ends of lane markings: "
            "speeds are shown between them only. For a camera that does not move. Empty: no speeds."
        ),
    )
    detection_enabled = models.BooleanField(_("detection"), default=True)
    assessment_enabled = models.BooleanField(_("assessment"), default=True)
    wanted = models.CharField(_("wanted"), max_length=16, choices=Wanted.choices, default=Wanted.STOPPED)
    state = models.CharField(
        _("state"), max_length=16, choices=StreamState.choices, default=StreamState.UNKNOWN, editable=False
    )
    state_since = models.DateTimeField(_("since"), null=True, editable=False)
    last_frame_at = models.DateTimeField(_("last picture"), null=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=300, blank=True, editable=False)
    decoded_per_sample = models.FloatField(_("pictures decoded for a sample"), null=True, editable=False)
    decode_load = models.FloatField(_("share of a core for decoding"), null=True, editable=False)
    key_frame_seconds = models.FloatField(_("seconds between key frames"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    removed_at = models.DateTimeField(_("removed"), null=True, editable=False)

    objects = KeptCameras()
    with_removed = CameraQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name = _("camera")
        verbose_name_plural = _("cameras")
        constraints = [
            models.CheckConstraint(condition=models.Q(wanted__in=Wanted.values), name="camera_wanted_known"),
            models.CheckConstraint(condition=models.Q(state__in=StreamState.values), name="camera_state_known"),
            models.CheckConstraint(condition=models.Q(sampling__in=Sampling.values), name="camera_sampling_known"),
            models.CheckConstraint(
                condition=models.Q(frame_interval__isnull=True) | models.Q(frame_interval__gte=0.04),
                name="camera_frame_interval_possible",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_of_check(self) -> bool:
        """Whether it was made to try the system out: nobody need be told of its alerts."""
        return self.name.startswith(f"{CHECK_CAMERAS} ")

    @property
    def masked_source(self) -> str:
        """The source as it may be shown: without user name and password."""
        return mask_credentials(self.source)


class StateChange(models.Model):
    """A camera was seen in another state than before; `error` says why it gives no pictures."""

    camera = models.ForeignKey(Camera, models.CASCADE, related_name="state_changes", verbose_name=_("camera"))
    at = models.DateTimeField(_("since"))
    state = models.CharField(_("state"), max_length=16, choices=StreamState.choices)
    error = models.CharField(_("error"), max_length=300, blank=True)

    class Meta:
        ordering = ("-at", "-pk")
        verbose_name = _("change of state")
        verbose_name_plural = _("changes of state")
        indexes = [
            models.Index(fields=("camera", "-at", "-id"), name="state_by_camera_and_time"),
            models.Index(fields=("at",), name="state_by_time"),
        ]
        constraints = [models.CheckConstraint(condition=models.Q(state__in=StreamState.values), name="state_known")]

    def __str__(self) -> str:
        return f"{self.camera}: {self.state}"


class ZoneKind(models.TextChoices):
    """What a polygon means."""

    INCLUDE = "include", _("watch only here")
    IGNORE = "ignore", _("ignore here")
    LANE = "lane", _("lane with a direction")
    CROSSING = "crossing", _("pedestrian crossing")
    EMERGENCY_LANE = "emergency_lane", _("emergency lane")
    PARKING = "parking", _("parking")


class Zone(models.Model):
    """A polygon on a camera's picture, in shares of its width and height so that a new resolution keeps it."""

    camera = models.ForeignKey(Camera, models.CASCADE, related_name="zones", verbose_name=_("camera"))
    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=16, choices=ZoneKind.choices)
    polygon = models.JSONField(
        _("polygon"), validators=[check_polygon], help_text=_("[[x, y], ...] in shares of the picture, 0 to 1.")
    )
    direction_degrees = models.FloatField(
        _("direction"), null=True, blank=True, help_text=_("Of a lane: 0 is to the right, 90 downwards in the picture.")
    )
    minimum_seconds = models.FloatField(
        _("least stay"),
        default=0,
        validators=[MinValueValidator(0)],
        help_text=_(
            "Seconds for which a road user must have been seen in it to count as being there. Only where its identity "
            "is known; not for what is watched or ignored."
        ),
    )
    classes = models.JSONField(
        _("classes"),
        default=list,
        blank=True,
        validators=[check_classes],
        help_text=_('Empty: all. Otherwise a list such as ["person"].'),
    )

    class Meta:
        ordering = ("camera", "name")
        verbose_name = _("zone")
        verbose_name_plural = _("zones")
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=ZoneKind.values), name="zone_kind_known"),
            models.UniqueConstraint(fields=("camera", "name"), name="zone_name_unique_per_camera"),
            models.CheckConstraint(
                condition=models.Q(minimum_seconds=0)
                | (models.Q(minimum_seconds__gt=0) & ~models.Q(kind__in=[ZoneKind.INCLUDE, ZoneKind.IGNORE])),
                name="zone_least_stay_has_a_meaning",
                violation_error_message=_("What is watched or ignored has no least stay: leave it at 0."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.camera}: {self.name}"


class CountingLine(models.Model):
    """A line across a camera's picture at which road users are counted, in shares of its width and height."""

    camera = models.ForeignKey(Camera, models.CASCADE, related_name="lines", verbose_name=_("camera"))
    name = models.CharField(_("name"), max_length=100)
    ends = models.JSONField(
        _("ends"),
        validators=[check_line],
        help_text=_(
            "[[x, y], [x, y]] in shares of the picture, 0 to 1: an arrow from the first end to the second. Who crosses "
            "it from its left to its right goes forward, the others backward: for an arrow that points up, from left "
            "to right. Draw it a little wider than the road, where those who cross are seen before and behind it. "
            "Counting needs at least 5 frames a second: at one in 1.8 s most vehicles cross unseen between two of them."
        ),
    )
    classes = models.JSONField(
        _("classes"),
        default=list,
        blank=True,
        validators=[check_classes],
        help_text=_('Empty: all. Otherwise a list such as ["person"].'),
    )

    class Meta:
        ordering = ("camera", "name")
        verbose_name = _("counting line")
        verbose_name_plural = _("counting lines")
        constraints = [models.UniqueConstraint(fields=("camera", "name"), name="line_name_unique_per_camera")]

    def __str__(self) -> str:
        return f"{self.camera}: {self.name}"
