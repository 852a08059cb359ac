"""The traffic groups that raised no alert: left out by the gate, without an answer, or judged harmless by the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from assessment.group_outcomes import GroupOutcome, left_out_of, spell_prior, why_unanswered
from assessment.models import Assessment, Evidence, EvidenceKind, FrameResult
from assessment.results import detected_frame
from assessment.risk import AssessmentStatus
from cameras.models import Camera
from detection.detections import DetectedFrame
from trafficmon.accounts.models import User
from trafficmon.core.geometry import Box
from trafficmon.dashboard.alert_filter import Place, of_visible
from trafficmon.dashboard.alerts import ROWS_ONLY

ROWS_ON_A_PAGE = 30


@dataclass(frozen=True, slots=True)
class Shown:
    """One question, or all groups of one frame that were left out; `places` are those groups' boxes."""

    at: datetime
    camera: Camera
    frame: DetectedFrame
    groups: list[GroupOutcome]
    places: list[Box]
    asked: Assessment | None = None

    @property
    def picture(self) -> Evidence | None:
        """The whole picture, where it was kept."""
        return next(iter(self.asked.evidence.all()), None) if self.asked else None


@dataclass(frozen=True, slots=True)
class Kind:
    """One part of the page: what it is called, how it is found, and how a row of it is shown."""

    name: object
    explained: object
    moment: str
    find: Callable[[], QuerySet[Any]]
    show: Callable[[Any], Shown]


def _questions(found: QuerySet[Assessment]) -> QuerySet[Assessment]:
    pictures = Prefetch("evidence", queryset=Evidence.objects.filter(kind=EvidenceKind.FRAME))
    return found.select_related("camera", "frame_result", "dead_letter").defer("raw_text").prefetch_related(pictures)


def _show_question(asked: Assessment) -> Shown:
    frame = detected_frame(asked.frame_result)
    answered = asked.status == AssessmentStatus.DONE
    words = asked.description if answered else f"{asked.get_status_display()}: {why_unanswered(asked)}"
    outcome = GroupOutcome(asked.group_index, words, spell_prior(asked.prior, asked.prior_reason))
    places = _places(frame, [asked.group_index])
    return Shown(asked.created_at, asked.camera, frame, [outcome], places, asked)


def _show_left_out(row: FrameResult) -> Shown:
    frame, groups = detected_frame(row), left_out_of(row)
    return Shown(row.captured_at, row.camera, frame, groups, _places(frame, [each.group_index for each in groups]))


def _places(frame: DetectedFrame, indices: Iterable[int]) -> list[Box]:
    boxes = {group.index: group.box for group in frame.groups}
    whole = Box(0, 0, frame.width, frame.height)
    return [boxes.get(index, whole) for index in indices]


KINDS = {
    "unanswered": Kind(
        _("No answer"),
        _("The model was asked and no verdict came. That is not to say that there was no danger."),
        "created_at",
        lambda: _questions(Assessment.objects.unanswered()),
        _show_question,
    ),
    "rejected": Kind(
        _("Judged harmless"),
        _("The model saw no danger, or too little for an alert. Pictures of these are not kept."),
        "created_at",
        lambda: _questions(Assessment.objects.rejected()),
        _show_question,
    ),
    "left_out": Kind(
        _("Not asked about"),
        _("The gate left these groups out, for the reason that is told. Pictures of these are not kept."),
        "captured_at",
        lambda: FrameResult.objects.with_groups_left_out().select_related("camera"),
        _show_left_out,
    ),
}


class GroupFilter(forms.Form):
    """Which part is shown, and of which camera; it lives in the URL."""

    kind = forms.ChoiceField(required=False, choices=[(key, kind.name) for key, kind in KINDS.items()])
    camera = forms.TypedChoiceField(label=_("Camera"), required=False, coerce=int, empty_value=None)

    def __init__(self, *args: object, cameras: Sequence[Camera], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are
        camera = cast("forms.TypedChoiceField", self.fields["camera"])
        camera.choices = [("", _("all cameras")), *((each.pk, each.name) for each in cameras)]

    @property
    def chosen(self) -> str:
        """The key of the part that is shown."""
        wanted = self.cleaned_data.get("kind", "") if self.is_valid() else ""
        return wanted or next(iter(KINDS))

    def narrow(self, user: User, visible: Sequence[Camera]) -> QuerySet[Any]:
        """What is visible and matches, the newest first; a value that means nothing matches nothing."""
        kind = KINDS[self.chosen]
        rows = kind.find().order_by(f"-{kind.moment}", "-pk")
        if not self.is_valid():
            return rows.none()
        if self.cleaned_data["camera"]:
            return rows.filter(camera=self.cleaned_data["camera"])
        return of_visible(rows, user, [each.pk for each in visible])


@require_GET
@login_required
def group_list(request: HttpRequest) -> HttpResponse:
    """The groups without an alert, the newest first; the next rows alone where the page asks for them."""
    user = cast("User", request.user)
    visible = list(Camera.objects.visible_to(user).only("name"))
    narrowed = GroupFilter(request.GET, cameras=visible)
    kind, camera = KINDS[narrowed.chosen], request.GET.get("camera", "")
    rows = narrowed.narrow(user, visible)
    if place := Place.read(request.GET.get("before", "")):
        rows = behind(rows, kind.moment, place)
    found = list(rows[: ROWS_ON_A_PAGE + 1])
    last = found[ROWS_ON_A_PAGE - 1] if len(found) > ROWS_ON_A_PAGE else None
    context = {
        "filter": narrowed,
        "kinds": KINDS.items(),
        "kind": kind,
        "camera": camera,
        "rows": [kind.show(row) for row in found[:ROWS_ON_A_PAGE]],
        "next": Place(getattr(last, kind.moment), last.pk) if last else None,
    }
    alone = request.GET.get("part") == ROWS_ONLY
    return render(request, "dashboard/group_rows.html" if alone else "dashboard/groups.html", context)


def behind(rows: QuerySet[Any], moment: str, place: Place) -> QuerySet[Any]:
    """What comes after a place in a list that has the newest first."""
    bounded = rows.filter(**{f"{moment}__lte": place.at})
    return bounded.filter(Q(**{f"{moment}__lt": place.at}) | Q(pk__lt=place.row_id))
