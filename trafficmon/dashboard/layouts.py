"""Layouts of the wall: which cameras a user looks at together, and in how many columns."""

from __future__ import annotations

from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.dashboard.models import MOST_CAMERAS, MOST_COLUMNS, WallLayout

COLUMNS = [(0, _("as many as are readable")), *((number, str(number)) for number in range(1, MOST_COLUMNS + 1))]


class LayoutForm(forms.Form):
    """A layout as its user fills it in; one of the same name is replaced."""

    name = forms.CharField(label=_("Name"), max_length=60)
    columns = forms.TypedChoiceField(label=_("Columns"), choices=COLUMNS, coerce=int)
    cameras = forms.ModelMultipleChoiceField(label=_("Cameras"), queryset=Camera.objects.none())

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are
        chosen = cast("forms.ModelMultipleChoiceField[Camera]", self.fields["cameras"])
        chosen.queryset = Camera.objects.visible_to(user)

    def clean_cameras(self) -> list[Camera]:
        """Refuse more than a wall can show."""
        cameras = list(self.cleaned_data["cameras"])
        if len(cameras) > MOST_CAMERAS:
            raise forms.ValidationError(_("A wall shows at most %d cameras.") % MOST_CAMERAS)
        return cameras


def _wall(layout: WallLayout | None = None) -> HttpResponseRedirect:
    return redirect(reverse("wall") + (f"?layout={layout.pk}" if layout else ""))


@require_POST
@login_required
def keep_layout(request: HttpRequest) -> HttpResponseRedirect:
    """Keep a layout of the user's own, and show it."""
    user = cast("User", request.user)
    form = LayoutForm(request.POST, user=user)
    if not form.is_valid():
        for field, errors in form.errors.items():
            label = form.fields[field].label if field in form.fields else ""
            messages.error(request, f"{label}: {' '.join(map(str, errors))}")
        return _wall()
    with transaction.atomic():
        columns = {"columns": form.cleaned_data["columns"]}
        layout, _made = WallLayout.objects.update_or_create(columns, user=user, name=form.cleaned_data["name"])
        layout.cameras.set(form.cleaned_data["cameras"])
    return _wall(layout)


@require_POST
@login_required
def forget_layout(request: HttpRequest, layout_id: int) -> HttpResponseRedirect:
    """Delete a layout of the user's own."""
    get_object_or_404(WallLayout, pk=layout_id, user=cast("User", request.user)).delete()
    return _wall()


@require_POST
@login_required
def order_layout(request: HttpRequest, layout_id: int) -> HttpResponse:
    """Keep in which order the cameras of a layout of the user's own are shown; of others that are named, nothing."""
    user = cast("User", request.user)
    numbers = [int(each) for each in request.POST.getlist("cameras")[:MOST_CAMERAS] if each.isdecimal()]
    with transaction.atomic():
        layout = get_object_or_404(WallLayout.objects.select_for_update(), pk=layout_id, user=user)
        held = set(layout.cameras.values_list("pk", flat=True))
        layout.order = list(dict.fromkeys(number for number in numbers if number in held))
        layout.save(update_fields=["order"])
    return HttpResponse(status=204)


@require_POST
@login_required
def prefer_layout(request: HttpRequest, layout_id: int) -> HttpResponseRedirect:
    """Show this layout first when the wall is opened, or none any more."""
    user = cast("User", request.user)
    layout = get_object_or_404(WallLayout, pk=layout_id, user=user)
    with transaction.atomic():
        WallLayout.objects.filter(user=user, is_default=True).update(is_default=False)
        if request.POST.get("on") == "yes":
            WallLayout.objects.filter(pk=layout.pk).update(is_default=True)
    return _wall(layout)
