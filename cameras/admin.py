"""Cameras, their groups, zones and counting lines, for administrators."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.timezone import localtime, now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from cameras.addresses import mask_credentials, unmask
from cameras.admin_forms import CameraActionForm, CameraPageForm, ImportForm
from cameras.models import Camera, CameraGroup, CountingLine, Wanted, Zone
from cameras.removal import remove
from cameras.skipped import skipped_in_words
from cameras.sources import Probe, UnableToOpen, probe
from cameras.transfer import COLUMNS, Imported, Mistake, UnusableFile, as_csv, as_json, import_cameras
from cameras.wording import in_words
from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.site import MOST_NAMED, AuditedAdmin, HistoryAdmin

PROBE_SECONDS = 8.0
EXPORTS = {"csv": ("text/csv", as_csv), "json": ("application/json", as_json)}
COUNTING_SECONDS = 0.2
"""The longest interval between frames at which counting is of use: at a longer one most vehicles cross unseen."""


@admin.register(CameraGroup)
class CameraGroupAdmin(AuditedAdmin):
    """Groups and who may see their cameras."""

    list_display = ("name", "camera_count", "viewer_count")
    search_fields = ("name",)
    filter_horizontal = ("viewers",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[CameraGroup]:
        counted: QuerySet[CameraGroup] = (
            super()
            .get_queryset(request)
            .annotate(
                camera_total=Count("cameras", filter=Q(cameras__removed_at=None), distinct=True),
                viewer_total=Count("viewers", distinct=True),
            )
        )
        return counted

    @admin.display(description=_("cameras"), ordering="camera_total")
    def camera_count(self, group: Any) -> int:
        return int(group.camera_total)

    @admin.display(description=_("viewers"), ordering="viewer_total")
    def viewer_count(self, group: Any) -> int:
        return int(group.viewer_total)


class ZoneInline(admin.TabularInline):  # type: ignore[type-arg]
    """The zones of a camera."""

    model = Zone
    extra = 0


class CountingLineInline(admin.TabularInline):  # type: ignore[type-arg]
    """The counting lines of a camera."""

    model = CountingLine
    extra = 0


@admin.register(Camera)
class CameraAdmin(HistoryAdmin):
    """Cameras: what they are, what is wanted of them, and what was seen."""

    form = CameraPageForm
    inlines = (ZoneInline, CountingLineInline)
    list_display = (
        "thumbnail",
        "name",
        "group",
        "state_and_error",
        "state_for",
        "picture_age",
        "wanted",
        "detection_enabled",
        "where",
        "live_page",
    )
    list_display_links = ("name",)
    list_filter = ("state", "wanted", "group", "detection_enabled", "assessment_enabled", "sampling")
    list_select_related = ("group",)
    date_hierarchy = "created_at"
    autocomplete_fields = ("group",)
    action_form = CameraActionForm
    change_list_template = "admin/cameras/camera/change_list.html"
    list_per_page = 100
    show_full_result_count = False
    search_fields = ("name", "group__name")
    actions = ("start", "stop", "detection_on", "detection_off", "set_group")
    readonly_fields = ("state_badge", "state_for", "last_frame_at", "last_problem", "reading_cost", "skipped")
    fieldsets = (
        (None, {"fields": ("name", "group", "source", "detection_source", "wanted")}),
        (
            _("Seen"),
            {"fields": (("state_badge", "state_for"), "last_frame_at", "last_problem", "reading_cost", "skipped")},
        ),
        (
            _("Analysis"),
            {"fields": ("sampling", "frame_interval", "detection_enabled", "assessment_enabled", "calibration")},
        ),
        (None, {"fields": ("drawing_version",)}),
    )

    class Media:
        css = {"all": ("cameras/admin.css",)}

    @admin.display(description=_("picture"))
    def thumbnail(self, camera: Camera) -> str:
        """Its newest picture, small; nothing where there never was one."""
        if camera.last_frame_at is None:
            return format_html('<span class="no-thumbnail">{}</span>', "–")
        picture = '<img class="thumbnail" src="{}" alt="" width="128" height="72" loading="lazy">'
        return format_html(picture, reverse("camera-thumbnail", args=[camera.pk]))

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, camera: Camera) -> str:
        return format_html('<span class="stream-state stream-{}">{}</span>', camera.state, camera.get_state_display())

    @admin.display(description=_("state"), ordering="state")
    def state_and_error(self, camera: Camera) -> str:
        return format_html(
            '{}<div class="stream-error">{}</div>', self.state_badge(camera), in_words(camera.last_error)
        )

    @admin.display(description=_("last error"))
    def last_problem(self, camera: Camera) -> str:
        return in_words(camera.last_error)

    @admin.display(description=_("since"), ordering="state_since", empty_value="–")
    def state_for(self, camera: Camera) -> str | None:
        """How long it has been in its state."""
        return _age(camera.state_since)

    @admin.display(description=_("last picture"), ordering="last_frame_at", empty_value="–")
    def picture_age(self, camera: Camera) -> str | None:
        return _age(camera.last_frame_at)

    @admin.display(description=_("reading"), empty_value="–")
    def reading_cost(self, camera: Camera) -> str | None:
        """What the samples take, and why: rare key frames are what makes them dear. A drawn street decodes none."""
        if not camera.decoded_per_sample or camera.decode_load is None:
            return None
        text = _("%(pictures).0f pictures decoded a sample, %(load).1f %% of a core; a key frame every %(key).1f s")
        figures = {"pictures": camera.decoded_per_sample, "load": 100 * camera.decode_load}
        return text % {**figures, "key": camera.key_frame_seconds or 0}

    @admin.display(description=_("skipped"), empty_value="–")
    def skipped(self, camera: Camera) -> str | None:
        """How many of its frames were given up lately, and why."""
        skipped = skipped_in_words(camera.pk)
        if skipped is None:
            return None
        shown = ", ".join(f"{reason}: {count}" for reason, count in skipped.counts) or _("none")
        return _("since %(time)s: %(counts)s") % {"time": date_format(localtime(skipped.since), "H:i"), "counts": shown}

    @admin.display(description=_("source"))
    def where(self, camera: Camera) -> str:
        """The source without its password."""
        return camera.masked_source

    @admin.display(description=_("page"))
    def live_page(self, camera: Camera) -> str:
        """The way to its live picture, its figures and the zone editor."""
        return format_html('<a href="{}">{}</a>', reverse("camera", args=[camera.pk]), _("live and zones"))

    @admin.action(description=_("Start the selected cameras"), permissions=["change"])
    def start(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        """Write that they are wanted; capture sees it and opens them."""
        self._say(request, cameras.update(wanted=Wanted.RUNNING))

    @admin.action(description=_("Stop the selected cameras"), permissions=["change"])
    def stop(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        """Write that they are not wanted; capture sees it and closes them."""
        self._say(request, cameras.update(wanted=Wanted.STOPPED))

    @admin.action(description=_("Switch detection on"), permissions=["change"])
    def detection_on(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        self._say(request, cameras.update(detection_enabled=True))

    @admin.action(description=_("Switch detection off"), permissions=["change"])
    def detection_off(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        self._say(request, cameras.update(detection_enabled=False))

    @admin.action(description=_("Put into the group chosen beside this"), permissions=["change"])
    def set_group(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        chosen = request.POST.get("group", "")
        group = CameraGroup.objects.filter(pk=chosen).first() if chosen.isdecimal() else None
        self._say(request, cameras.update(group=group))

    def delete_model(self, request: HttpRequest, obj: Camera) -> None:  # noqa: ARG002  # Django's signature
        """Stop and hide it; its history goes by and by."""
        remove(Camera.objects.filter(pk=obj.pk), now=now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Camera]) -> None:  # noqa: ARG002
        remove(Camera.objects.filter(pk__in=queryset.values("pk")), now=now())

    def _say(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%(count)d camera changed.", "%(count)d cameras changed.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form, with a warning where lines are drawn on a camera that is looked at too rarely to count."""
        camera = context.get("original")
        if camera is not None and camera.lines.exists():
            interval = camera.frame_interval or settings.ENVIRONMENT.frame_interval
            if interval > COUNTING_SECONDS:
                self.message_user(request, _sparse_counting(interval), messages.WARNING)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        """The test of a connection, for a camera not yet saved and for a kept one, before the usual pages."""
        test = self.admin_site.admin_view(self.test_view)
        return [
            path("export/<str:kind>/", self.admin_site.admin_view(self.export_view), name="cameras_camera_export"),
            path("import/", self.admin_site.admin_view(self.import_view), name="cameras_camera_import"),
            path("test/", test, name="cameras_camera_test_new"),
            path("<int:camera_id>/test/", test, name="cameras_camera_test"),
            *super().get_urls(),
        ]

    def export_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        """The cameras that the list is narrowed to, as a file; their addresses without secrets."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if kind not in EXPORTS:
            raise Http404
        rows = self.get_changelist_instance(request).get_queryset(request)
        cameras = list(rows.select_related("group").prefetch_related("zones", "lines"))
        audit.record(caller_of(request), "camera.export", None, numbers=[each.pk for each in cameras][:MOST_NAMED])
        content_type, write = EXPORTS[kind]
        headers = {"Content-Disposition": f'attachment; filename="cameras.{kind}"'}
        return HttpResponse(write(cameras), content_type=f"{content_type}; charset=utf-8", headers=headers)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Add and change cameras by a file, all of it or nothing; what is wrong is told by line."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None)
        mistakes: Sequence[Mistake] = ()
        if form.is_valid():
            try:
                return self._imported(request, import_cameras(form.rows, is_json=form.is_json))
            except UnusableFile as error:
                mistakes = error.mistakes
        context = {
            **self.admin_site.each_context(request),
            "title": _("Import cameras"),
            "opts": self.opts,
            "form": form,
            "mistakes": mistakes,
            "columns": COLUMNS,
        }
        return TemplateResponse(request, "admin/cameras/camera/import.html", context)

    def _imported(self, request: HttpRequest, done: Imported) -> HttpResponse:
        audit.record(caller_of(request), "camera.import", None, added=done.added, changed=done.changed)
        text = _("%(added)d cameras were added and %(changed)d changed.")
        self.message_user(request, text % {"added": len(done.added), "changed": len(done.changed)}, messages.SUCCESS)
        return redirect("admin:cameras_camera_changelist")

    @method_decorator(require_POST)
    def test_view(self, request: HttpRequest, camera_id: int | None = None) -> HttpResponse:
        """Try the sources as they stand in the form, saved or not: the picture that each gives or why it gives none."""
        camera = get_object_or_404(Camera, pk=camera_id) if camera_id else None
        may = self.has_change_permission(request, camera) if camera else self.has_add_permission(request)
        if not may:
            raise PermissionDenied
        sources = _sources(request.POST, camera)
        tried = [mask_credentials(source) for _name, source in sources]
        audit.record(caller_of(request), "camera.test", camera, sources=tried)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Test connection"),
            "opts": self.opts,
            "camera": camera,
            "trials": [_try(name, source) for name, source in sources],
        }
        return TemplateResponse(request, "admin/cameras/camera/test.html", context)


def _sparse_counting(interval_seconds: float) -> str:
    text = _(
        "The counting lines of this camera count next to nothing: one frame in %(interval)s s is too rare to see most "
        "vehicles on both sides of a line. Set at most %(needed)s seconds between frames (5 a second)."
    )
    return text % {"interval": interval_seconds, "needed": COUNTING_SECONDS}


def _age(moment: datetime | None) -> str | None:
    """How long ago, with the moment itself on a closer look."""
    if moment is None:
        return None
    seconds = (now() - moment).total_seconds()
    age = _("%(seconds)d s") % {"seconds": max(seconds, 0)} if seconds < 60 else timesince(moment)
    return format_html('<time class="age" title="{}">{}</time>', date_format(localtime(moment), "DATETIME_FORMAT"), age)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a source gave, or why it gave nothing; the source is masked."""

    name: str
    source: str
    found: Probe | None = None
    failure: str = ""

    @property
    def picture(self) -> str:
        """Its picture in base64."""
        return base64.b64encode(self.found.picture_jpeg).decode() if self.found else ""


def _sources(given: QueryDict, camera: Camera | None) -> list[tuple[str, str]]:
    """What the form's sources are called and lead to; that for detection only where there is one."""
    main = camera.source if camera else ""
    small = camera.detection_source if camera else ""
    sources = [(str(_("Source")), unmask(given.get("source", "").strip(), kept=main) or main)]
    detection_source = unmask(given.get("detection_source", "").strip(), kept=small)
    return [*sources, (str(_("Source for detection")), detection_source)] if detection_source else sources


def _try(name: str, source: str) -> Trial:
    masked = mask_credentials(source)
    try:
        return Trial(name, masked, probe(source, timeout_seconds=PROBE_SECONDS))
    except UnableToOpen as error:
        return Trial(name, masked, failure=str(error))
